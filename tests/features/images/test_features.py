"""The features of a shard: what is read, what is encoded, what is reported."""

import numpy as np
from PIL import Image
from PIL import ImageEnhance
import pytest

from morning_jax.features.images import encoders
from morning_jax.features.images import features
from morning_jax.features.images import options as options_lib
from morning_jax.features.images import pattern as pattern_lib
from tests.features.images import photographs

PATTERN = pattern_lib.Pattern(objects=60, scenes=24)
OPTIONS = options_lib.ImageOptions(
  encoder=PATTERN.spec, batch_size=8, threads=2
)


@pytest.fixture(scope='module')
def encoder():
  return encoders.load(OPTIONS)


class Spy:
  """An encoder that counts the pictures that it is given."""

  def __init__(self, encoder):
    self._encoder = encoder
    self.seen = 0

  def __getattr__(self, name):
    return getattr(self._encoder, name)

  def encode_all(self, pixels, *, batch_size):
    for vector in self._encoder.encode_all(pixels, batch_size=batch_size):
      self.seen += 1
      yield vector


def write(folder, accounts, *, seed=0):
  """Writes pictures: of each account, of each post, [(objects, scenes)]."""
  rng = np.random.default_rng(seed)
  found = []
  for a, posts in enumerate(accounts):
    found.append([])
    for p, shown in enumerate(posts):
      paths = []
      for i, (objects, scenes) in enumerate(shown):
        path = folder / f'{a}_{p}_{i}.png'
        drawn = pattern_lib.draw(PATTERN, objects, scenes, rng)
        Image.fromarray(drawn).save(path)
        paths.append(path)
      found[-1].append(features.Post(f'post {a} {p}', tuple(paths)))
  return found


def random_accounts(count, seed=0):
  rng = np.random.default_rng(seed)
  return [
    [
      [
        (
          rng.integers(0, 60, rng.integers(1, 5)),
          rng.integers(0, 24, rng.integers(1, 3)),
        )
        for _ in range(rng.integers(0, 3))
      ]
      for _ in range(rng.integers(0, 5))
    ]
    for _ in range(count)
  ]


def test_features_are_what_was_drawn(tmp_path, encoder):
  accounts = write(
    tmp_path,
    [
      [[([3], [1])], [([3, 9], [2])]],  # 3: 1 + 1/2; 9: 1/2
      [[([5], [0]), ([7], [0])], []],  # one post of two pictures
      [],
    ],
  )
  found = features.picture_features(accounts, encoder, OPTIONS)
  expected = np.zeros((3, 84), np.float32)
  expected[0, [3, 9, 61, 62]] = [0.75, 0.25, 0.5, 0.5]
  expected[1, [5, 7, 60]] = [0.5, 0.5, 1.0]
  expected[2] = np.nan
  np.testing.assert_allclose(found.values_AxF, expected, atol=1e-6)
  assert (found.pictures, found.reposted, found.unreadable) == (4, 0, ())


def test_bytes_are_the_same_for_every_sharding(tmp_path, encoder):
  accounts = write(tmp_path, random_accounts(40))
  broken = accounts[5][0].pictures[0] if accounts[5] else None
  for posts in accounts[::9]:
    for post in posts[:1]:
      for path in post.pictures[:1]:
        path.write_bytes(b'broken')
        broken = path
  assert broken is not None
  whole = features.picture_features(accounts, encoder, OPTIONS)
  assert len(whole.unreadable) > 1
  for size in (1, 3, 17):
    parts = [
      features.picture_features(accounts[i : i + size], encoder, OPTIONS)
      for i in range(0, 40, size)
    ]
    values = np.concatenate([part.values_AxF for part in parts])
    assert values.tobytes() == whole.values_AxF.tobytes()
    assert sum(part.pictures for part in parts) == whole.pictures
    assert sum(part.reposted for part in parts) == whole.reposted
    assert sum((p.unreadable for p in parts), ()) == whole.unreadable
  again = features.picture_features(
    accounts,
    encoder,
    options_lib.ImageOptions(encoder=PATTERN.spec, batch_size=8, threads=5),
  )
  assert again.values_AxF.tobytes() == whole.values_AxF.tobytes()


def test_what_can_not_be_read_is_listed_and_does_not_count(tmp_path, encoder):
  accounts = write(
    tmp_path, [[[([3], [1])], [([4], [1]), ([5], [1])]], [[([6], [2])]]]
  )
  bad = [accounts[0][1].pictures[0], accounts[1][0].pictures[0]]
  bad[0].write_bytes(b'')
  bad[1].unlink()
  found = features.picture_features(accounts, encoder, OPTIONS)
  assert found.pictures == 4
  assert found.unreadable == (
    features.Unreadable('post 0 1', bad[0], 'is empty'),
    features.Unreadable('post 1 0', bad[1], 'No such file or directory'),
  )
  expected = np.zeros(84)
  expected[[3, 5, 61]] = [0.5, 0.5, 1.0]  # the second post has one picture left
  np.testing.assert_allclose(found.values_AxF[0], expected, atol=1e-6)
  assert np.isnan(found.values_AxF[1]).all()


def test_a_repost_is_encoded_once_and_counts_again(tmp_path, encoder):
  photo = Image.open(photographs.CHINA).convert('RGB')
  paths = [tmp_path / f'{i}.jpg' for i in range(4)]
  photo.save(paths[0], quality=95)
  photo.resize((320, 214)).save(paths[1], quality=50)  # re-encoded
  Image.open(photographs.FLOWER).save(paths[2])
  # Flat pictures have one hash, whatever their colour.
  ImageEnhance.Brightness(photo.resize((9, 9))).enhance(0.0).save(paths[3])
  white = tmp_path / 'white.png'
  Image.new('RGB', (50, 50), 'white').save(white)
  accounts = [
    [features.Post(str(p), (p,)) for p in (*paths, white, paths[0])],
    [features.Post('other', (paths[0],))],
  ]
  spy = Spy(encoder)
  found = features.picture_features(accounts, spy, OPTIONS)
  assert found.reposted == 2
  assert spy.seen == 4  # the other account's copy has the very same pixels
  # What each counts is the same as if it were the first copy.
  first = [
    [
      features.Post('p', (p,))
      for p in (paths[0], paths[0], paths[2], paths[3], white, paths[0])
    ]
  ]
  expected = features.picture_features(first, encoder, OPTIONS)
  assert found.values_AxF[0].tobytes() == expected.values_AxF[0].tobytes()

  every = options_lib.ImageOptions(
    encoder=PATTERN.spec, batch_size=8, same_bits=-1
  )
  spy = Spy(encoder)
  found = features.picture_features(accounts, spy, every)
  assert found.reposted == 0 and spy.seen == 5


def test_a_higher_threshold_leaves_zeros_and_no_nan(tmp_path, encoder):
  accounts = write(tmp_path, [[[(list(range(16)), [1])]]])
  found = features.picture_features(accounts, encoder, OPTIONS)
  assert (found.values_AxF[0, :60] == 0).all()  # 2 of 32 tiles each
  np.testing.assert_allclose(found.values_AxF[0, 61], 1.0, rtol=1e-6)
  lower = options_lib.ImageOptions(
    encoder=PATTERN.spec, batch_size=8, threshold=0.05
  )
  found = features.picture_features(accounts, encoder, lower)
  np.testing.assert_allclose(found.values_AxF[0, :16], 1 / 16, rtol=1e-4)


def test_a_shard_without_pictures(encoder):
  posts = [features.Post('1', ())]
  found = features.picture_features([posts, []], encoder, OPTIONS)
  assert found.values_AxF.shape == (2, 84)
  assert np.isnan(found.values_AxF).all()
  none = features.picture_features([], encoder, OPTIONS)
  assert none.values_AxF.shape == (0, 84)
