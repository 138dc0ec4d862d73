"""The model against arithmetic in NumPy, and any subset of its inputs."""

import functools
import itertools

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from configs import morning as config_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import input_spec
from morning_jax.model import factory
from morning_jax.model import morning
from tests import parameters

SIZES = {
  'content_image': 9,
  'content_text': 5,
  'audience_image': 7,
  'audience_text': 4,
  'attribute_embedding': 6,
}
PERSPECTIVES = ('content', 'audience', 'attribute')


def config(variant, **changes):
  c = config_lib.get_config(variant)
  c.model.image_widths = (8, 6)
  c.model.text_widths = (8, 6)
  c.model.attribute_widths = (8, 6)
  c.model.update(changes)
  return c.model


def table(count=5, seed=0, missing=()):
  rng = np.random.default_rng(seed)
  features, present = {}, {}
  for f, size in SIZES.items():
    x = rng.normal(size=(count, size)).astype(np.float32)
    features[f] = jnp.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))
    present[f] = jnp.array([(f, i) not in missing for i in range(count)])
  return accounts_lib.AccountTable(features=features, present=present)


def make(model_config, sizes=SIZES, scale=0.3):
  spec, notes = input_spec.resolve(model_config, sizes)
  model = factory.build(model_config, spec)
  params = parameters.draw(model, table(), table(), scale=scale)
  return model, {'params': params}, notes


def encode(model, variables, accounts, role):
  apply = functools.partial(model.apply, role=role, method='encode')
  return jax.jit(apply)(variables, accounts)


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def test_paper_model_by_hand():
  """Eq. 7-12, 20-27, written out in NumPy."""
  # A softmax that is all but even would hide what stands in it.
  model, variables, _ = make(config('paper'), scale=1.0)
  brands, influencers = table(seed=1), table(seed=2)
  scores = morning.scores_of_all(
    *jax.jit(model.apply)(variables, brands, influencers)
  )
  p = jax.tree.map(lambda x: np.asarray(x, np.float64), variables['params'])

  def mlp(q, x):
    h = x @ q['dense0']['kernel'] + q['dense0']['bias']
    h = np.where(h > 0, h, 0.01 * h)
    return h @ q['dense1']['kernel'] + q['dense1']['bias']

  def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

  def encode(accounts):
    x = {k: np.asarray(v, np.float64) for k, v in accounts.features.items()}
    c = mlp(p['content']['image'], x['content_image']) * mlp(
      p['content']['text'], x['content_text']
    )
    u = mlp(p['audience']['image'], x['audience_image']) * mlp(
      p['audience']['text'], x['audience_text']
    )
    q = p['coattention']
    f = sigmoid(c @ q['content']['kernel'] + q['content']['bias']) * sigmoid(
      u @ q['audience']['kernel'] + q['audience']['bias']
    )
    return {
      'content': c * 6 * softmax(c * f),
      'audience': u * 6 * softmax(u * f),
      'attribute': mlp(p['attribute'], x['attribute_embedding']),
    }

  b, m = encode(brands), encode(influencers)
  for k in PERSPECTIVES:
    want = b[k] @ m[k].T
    scale = np.abs(want).max()
    np.testing.assert_allclose(scores[k] / scale, want / scale, atol=1e-5)


SUBSETS = [
  names for n in (1, 2, 3) for names in itertools.combinations(PERSPECTIVES, n)
]


@pytest.mark.parametrize('variant', ['', 'paper', 'release'])
@pytest.mark.parametrize('names', SUBSETS)
def test_any_subset_of_perspectives(variant, names):
  model, variables, _ = make(config(variant, perspectives=names))
  # Not jitted, which would sort them.
  scores = morning.scores_of_all(*model.apply(variables, table(), table()))
  assert tuple(scores) == names
  attends = {'content', 'audience'} <= set(names)
  assert ('coattention' in variables['params']) == (attends and bool(variant))


@pytest.mark.parametrize('variant', ['', 'paper'])
@pytest.mark.parametrize('modality', ['image', 'text'])
def test_one_modality_alone(variant, modality):
  model, variables, _ = make(config(variant, modalities=(modality,)))
  for perspective in ('content', 'audience'):
    assert set(variables['params'][perspective]) == {modality}
  encoded = encode(model, variables, table(), 'brand')
  assert set(encoded) == set(PERSPECTIVES)


def test_what_the_data_lacks_is_said():
  sizes = {'content_text': 5, 'attribute_embedding': 6}
  _, variables, notes = make(config('paper'), sizes)
  assert set(variables['params']) == {'content', 'attribute'}
  assert set(variables['params']['content']) == {'text'}
  assert len(notes) == 2
  assert 'no content_image; the model uses content_text alone' in notes[0]
  assert 'runs without this perspective' in notes[1]


def test_nothing_left_is_an_error():
  c = config('paper', perspectives=('audience',))
  with pytest.raises(errors.UserError, match='none of the perspectives'):
    input_spec.resolve(c, {'content_text': 5})


@pytest.mark.parametrize('variant', ['', 'paper'])
def test_an_account_without_a_modality(variant):
  model, variables, _ = make(config(variant))
  missing = [('content_text', 2), ('attribute_embedding', 3)]
  accounts = table(missing=missing)
  encoded = encode(model, variables, accounts, 'brand')
  for x in encoded.values():
    assert np.isfinite(x).all()
  # What stands in a missing row doesn't matter; in another row it does.
  features = dict(accounts.features)
  features['content_text'] = accounts.features['content_text'].at[2].set(99)
  changed = accounts_lib.AccountTable(
    features=features, present=accounts.present
  )
  again = encode(model, variables, changed, 'brand')
  np.testing.assert_array_equal(again['content'], encoded['content'])
  features['content_text'] = accounts.features['content_text'].at[1].set(99)
  again = encode(model, variables, changed, 'brand')
  assert not np.array_equal(again['content'][1], encoded['content'][1])

  # The vector that stands in for it is learned.
  def total(params):
    out = model.apply(
      {'params': params}, accounts, role='brand', method='encode'
    )
    return sum(jnp.sum(x**2 + x) for x in out.values())

  grads = jax.grad(total)(variables['params'])
  assert np.any(grads['attribute']['missing'])
  assert np.any(grads['content']['text']['missing'])
  assert not np.any(grads['audience']['text']['missing'])


@pytest.mark.parametrize('variant', ['', 'paper', 'release'])
def test_an_account_is_encoded_apart_from_all_others(variant):
  model, variables, _ = make(config(variant))
  accounts = table(count=6)
  whole = encode(model, variables, accounts, 'influencer')
  alone = encode(model, variables, accounts[np.array([4])], 'influencer')
  for k in PERSPECTIVES:
    np.testing.assert_allclose(alone[k][0], whole[k][4], rtol=1e-5, atol=1e-6)
  _, both = model.apply(variables, table(count=3, seed=5), accounts)
  for k in PERSPECTIVES:
    np.testing.assert_allclose(both[k], whole[k], rtol=1e-5, atol=1e-6)


def test_roles_share_weights_except_in_the_release():
  for variant, same in (('', True), ('paper', True), ('release', False)):
    model, variables, _ = make(config(variant))
    brand = encode(model, variables, table(), 'brand')
    other = encode(model, variables, table(), 'influencer')
    equal = np.allclose(brand['content'], other['content'], atol=1e-7)
    assert equal == same, variant


def test_the_default_starts_from_plain_similarity():
  c = config('', output_scale=0.0)
  spec, _ = input_spec.resolve(c, SIZES)
  model = factory.build(c, spec)
  variables = model.init(jax.random.key(0), table(), table())
  scores = morning.scores_of_all(
    *model.apply(variables, table(seed=1), table(seed=2))
  )
  features = table(seed=1).features, table(seed=2).features
  for perspective in PERSPECTIVES:
    cosines = sum(
      features[0][f] @ features[1][f].T
      for f in accounts_lib.PERSPECTIVES[perspective].values()
    )
    np.testing.assert_allclose(scores[perspective], 10 * cosines, atol=1e-4)


@pytest.mark.parametrize('variant', ['', 'paper', 'release'])
def test_dropout_needs_training(variant):
  model, variables, _ = make(config(variant))
  one = jax.jit(model.apply)(variables, table(), table())[0]['content']
  np.testing.assert_array_equal(
    one, jax.jit(model.apply)(variables, table(), table())[0]['content']
  )
  trained = [
    model.apply(
      variables,
      table(),
      table(),
      train=True,
      rngs={'dropout': jax.random.key(s)},
    )[0]['content']
    for s in (0, 1)
  ]
  assert not np.array_equal(trained[0], trained[1])


def test_bfloat16_computes_low_and_scores_high():
  model, variables, _ = make(config('paper', dtype='bfloat16'))
  for leaf in jax.tree.leaves(variables):
    assert leaf.dtype == jnp.float32
  encoded = encode(model, variables, table(), 'brand')
  for x in encoded.values():
    assert x.dtype == jnp.float32
