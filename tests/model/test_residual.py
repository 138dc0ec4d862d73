"""The encoder that starts from plain similarity, by hand."""

import flax.linen as nn
import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.model import residual

OPTIONS = {
  'widths': (4, 5),
  'hidden_scale': 0.15,
  'output_scale': 0.02,
  'initial_weight': 9.0,
}


def features(size, seed=0):
  x = np.random.default_rng(seed).normal(size=(6, size))
  x /= np.linalg.norm(x, axis=1, keepdims=True)
  return x.astype(np.float32)


def init(module, x):
  present = np.ones(len(x), bool)
  return nn.unbox(module.init(jax.random.key(0), x, present))['params']


def test_a_zero_row_stays_zero():
  x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
  np.testing.assert_allclose(residual.unit(x), [[0.6, 0.8], [0, 0]], atol=1e-6)


def test_the_sum_of_input_and_mlp_by_hand():
  x = features(3)
  module = residual.ResidualEncoder(**OPTIONS)
  rng = np.random.default_rng(1)
  params = jax.tree.map(lambda p: rng.normal(size=p.shape), init(module, x))
  present = np.array([True, True, False, True, True, True])
  found = module.apply({'params': params}, x, present)
  hidden = x @ params['dense0']['kernel'] + params['dense0']['bias']
  hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
  y = hidden @ params['dense1']['kernel'] + params['dense1']['bias']
  # The output is wider than the input: 5 against 3.
  y[:, :3] += x * np.exp(params['gain'])
  y /= np.linalg.norm(y, axis=1, keepdims=True)
  y[2] = params['missing']
  want = np.exp(params['log_weight'] / 2) * y
  np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)


def test_it_starts_near_the_similarity_of_the_inputs():
  x = features(8)
  module = residual.ResidualEncoder(**OPTIONS)
  params = init(module, x)
  present = np.arange(6) != 4
  found = np.asarray(module.apply({'params': params}, x, present))
  assert found.shape == (6, 8)
  scores = found @ found.T
  want = 9.0 * x @ x.T
  # A missing modality is neutral towards everyone.
  want[4] = want[:, 4] = 0
  np.testing.assert_allclose(scores, want, atol=0.1)
  assert np.abs(scores - want).max() > 1e-4


def test_dropout_changes_the_correction_alone():
  x = features(8)
  module = residual.ResidualEncoder(**OPTIONS, hidden_dropout=0.5)
  params = init(module, x)
  params['dense1']['kernel'] = jnp.ones_like(params['dense1']['kernel'])
  present = np.ones(6, bool)

  def encode(seed):
    return module.apply(
      {'params': params}, x, present, train=True, rngs={'dropout': seed}
    )

  one, two = encode(jax.random.key(0)), encode(jax.random.key(1))
  assert np.abs(one - two).max() > 1e-3
  params['dense1']['kernel'] = jnp.zeros_like(params['dense1']['kernel'])
  np.testing.assert_array_equal(
    encode(jax.random.key(0)), encode(jax.random.key(1))
  )


PROJECTED = {**OPTIONS, 'widths': (4, 3), 'projection_width': 3}


@pytest.mark.parametrize('kind', ['learned', 'random'])
def test_a_projection_by_hand(kind):
  x = features(8)
  module = residual.ResidualEncoder(**PROJECTED, projection=kind)
  rng = np.random.default_rng(1)
  params = jax.tree.map(lambda p: rng.normal(size=p.shape), init(module, x))
  assert params['projection'].shape == (8, 3)
  found = module.apply({'params': params}, x, np.ones(6, bool))
  hidden = x @ params['dense0']['kernel'] + params['dense0']['bias']
  hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
  y = hidden @ params['dense1']['kernel'] + params['dense1']['bias']
  y += (x * np.exp(params['gain'])) @ params['projection']
  y /= np.linalg.norm(y, axis=1, keepdims=True)
  want = np.exp(params['log_weight'] / 2) * y
  np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)


def test_only_inputs_that_are_wider_are_projected():
  module = residual.ResidualEncoder(**PROJECTED, projection='learned')
  assert 'projection' in init(module, features(4))
  for size in (2, 3):
    assert 'projection' not in init(module, features(size))
  none = residual.ResidualEncoder(**PROJECTED)
  assert 'projection' not in init(none, features(4))


def test_a_drawn_projection_stays_and_a_learned_one_moves():
  x = features(8)

  def gradient(kind):
    module = residual.ResidualEncoder(**PROJECTED, projection=kind)
    params = init(module, x)

    def loss(params):
      encoded = module.apply({'params': params}, x, np.ones(6, bool))
      return jnp.sum(jnp.square(encoded - 1.0))

    return jax.grad(loss)(params)

  assert not np.any(gradient('random')['projection'])
  assert np.any(gradient('random')['gain'])  # behind it
  assert np.any(gradient('learned')['projection'])


def test_a_projection_keeps_similarities():
  x = features(400)
  options = {**OPTIONS, 'widths': (4, 3), 'projection_width': 200}
  module = residual.ResidualEncoder(**options, projection='random')
  params = init(module, x)
  found = np.asarray(module.apply({'params': params}, x, np.ones(6, bool)))
  assert found.shape == (6, 200)
  lengths = np.linalg.norm(x @ params['projection'], axis=1)
  np.testing.assert_allclose(lengths, 1.0, atol=4 * 0.05)
  # Standard deviation of an inner product of unit vectors: about 200 ** -0.5,
  # less what the half of the directions that is left knows.
  np.testing.assert_allclose(found @ found.T, 9.0 * x @ x.T, atol=9 * 4 * 0.06)
