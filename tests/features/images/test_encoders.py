"""The table of encoders, and what all encoders have in common."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.features.images import decoding
from morning_jax.features.images import encoder as encoder_lib
from morning_jax.features.images import encoders
from morning_jax.features.images import options as options_lib

SIZE = 16


def _apply(params, pixels):
  x = pixels.astype(jnp.float32).reshape(len(pixels), -1) / 255
  return jax.nn.softmax(x @ params['kernel'])


def made(name='mine', group='mood', size=SIZE, squash=False, classes=7, seed=0):
  """An encoder of one random layer."""
  kernel = np.random.default_rng(seed).normal(size=(size * size * 3, classes))
  return encoder_lib.ImageEncoder(
    name=name,
    groups=(
      encoder_lib.Group(group, tuple(f'{group}{i}' for i in range(classes))),
    ),
    views=(decoding.View(size=size, resize=size, squash=squash),),
    params={'kernel': kernel.astype(np.float32)},
    apply=_apply,
    digest=f'{name} {seed}',
  )


def pictures(count, views=1):
  rng = np.random.default_rng(1)
  return rng.integers(0, 256, (count, views, SIZE, SIZE, 3), np.uint8)


@pytest.fixture
def table(monkeypatch):
  monkeypatch.setattr(encoders, '_ENCODERS', dict(encoders._ENCODERS))


@pytest.mark.usefixtures('table')
def test_an_encoder_from_outside_is_one_function():
  asked = []

  def build(options, argument):
    asked.append((options.batch_size, argument))
    return made()

  encoders.register('mine', build)
  assert 'mine' in encoders.names()
  options = options_lib.ImageOptions(encoder='mine:a+b', batch_size=3)
  assert encoders.load(options).name == 'mine'
  assert asked == [(3, 'a+b')]
  for name in ('mine', 'pattern', 'Mine', '', 'a+b', 'a:b'):
    with pytest.raises(ValueError, match='encoder'):
      encoders.register(name, build)


@pytest.mark.usefixtures('table')
def test_names_and_arguments_are_split_at_names_alone():
  encoders.register('mine', lambda *_: made())
  assert encoders.split('pattern:60,24') == [('pattern', '60,24')]
  assert encoders.split('mine+pattern') == [('mine', None), ('pattern', None)]
  assert encoders.split('mine:/a+b/c:d+pattern:3,2') == [
    ('mine', '/a+b/c:d'),
    ('pattern', '3,2'),
  ]
  assert encoders.split('mine:x+patterns') == [('mine', 'x+patterns')]


def test_an_unknown_name_is_one_line_with_the_near_one():
  for name, near in (('patern', 'pattern'), ('imagenet-resnet15', 'resnet1')):
    with pytest.raises(errors.UserError, match=f'did you mean .*{near}'):
      encoders.load(options_lib.ImageOptions(encoder=name))
  with pytest.raises(errors.UserError, match='no image encoder') as caught:
    encoders.load(options_lib.ImageOptions(encoder='x' * 999 + '\n'))
  assert len(str(caught.value)) <= 300 and '\n' not in str(caught.value)


def test_vectors_are_the_same_bits_whatever_the_neighbours():
  encoder = made()
  pixels = pictures(23)
  together = list(encoder.encode_all(pixels, batch_size=4))
  assert len(together) == 23
  for order in (np.arange(23)[::-1], np.random.default_rng(0).permutation(23)):
    others = list(encoder.encode_all(pixels[order], batch_size=4))
    for at, which in enumerate(order):
      assert others[at].tobytes() == together[which].tobytes()
  for i in (0, 22):
    (alone,) = encoder.encode_all(pixels[i : i + 1], batch_size=4)
    assert alone.tobytes() == together[i].tobytes()


def test_vectors_are_the_same_bits_on_any_number_of_devices():
  encoder = made()
  pixels = pictures(23)
  one = list(encoder.encode_all(pixels, batch_size=4))
  some = list(
    encoder.encode_all(pixels, batch_size=4, devices=jax.devices()[1:4])
  )
  assert np.stack(one).tobytes() == np.stack(some).tobytes()


def test_pictures_are_read_as_vectors_are_taken():
  encoder = made()
  taken = []

  def asked():
    for i, pixels in enumerate(pictures(40)):
      taken.append(i)
      yield pixels

  vectors = encoder.encode_all(asked(), batch_size=4)
  assert not taken
  next(vectors)
  assert len(taken) == 8  # one batch at work, one ahead
  assert list(encoder.encode_all(iter(()), batch_size=4)) == []


def test_encoders_are_joined_and_views_shared():
  one = made('a', 'mood')
  two = made('b', 'taste', squash=True, classes=5, seed=1)
  three = made('c', 'time', classes=3, seed=2)  # sees what the first one sees
  joined = encoder_lib.join([one, two, three])
  assert joined.views == (one.views[0], two.views[0])
  assert joined.size == 15 and joined.name == 'a+b+c'
  assert [g.name for g in joined.groups] == ['mood', 'taste', 'time']
  pixels = pictures(4, views=2)
  expected = np.concatenate(
    [
      one.encode(pixels[:, :1]),
      two.encode(pixels[:, 1:]),
      three.encode(pixels[:, :1]),
    ],
    axis=1,
  )
  np.testing.assert_allclose(joined.encode(pixels), expected, rtol=1e-5)
  assert encoder_lib.join([one]) is one
  digests = {
    encoder_lib.join(parts).digest for parts in ([one, two], [two, one], [one])
  }
  assert len(digests) == 3


@pytest.mark.usefixtures('table')
def test_encoders_that_do_not_go_together_are_refused():
  encoders.register('mine', lambda *_: made())
  for spec, words in (
    ('mine+pattern', 'different sizes: mine 16, pattern:1000,365 64'),
    ('mine+mine', 'tell the same: mood, mood'),
  ):
    with pytest.raises(errors.UserError, match=words):
      encoders.load(options_lib.ImageOptions(encoder=spec))
