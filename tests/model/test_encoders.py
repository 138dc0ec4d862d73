"""Dense layers with drop-connect, and the encoder of one modality."""

import functools

import flax.linen as nn
import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.model import encoders


def params_of(module, *args):
  return nn.unbox(module.init(jax.random.key(0), *args))['params']


def test_uniform_weights_fill_their_range_evenly():
  x = encoders.uniform(0.1)(jax.random.key(0), (100, 100))
  assert -0.1 <= x.min() < -0.099
  assert 0.099 < x.max() <= 0.1
  count, _ = np.histogram(x, bins=4, range=(-0.1, 0.1))
  np.testing.assert_allclose(count, 2500, rtol=0.05)


def dense(**options):
  return encoders.Dense(
    width=50,
    kernel_init=nn.initializers.ones,
    bias_init=nn.initializers.constant(0.25),
    **options,
  )


def test_drop_connect_drops_weights_for_all_rows_alike():
  module = dense(drop_connect=0.75)
  x = jnp.eye(40)
  params = params_of(module, x)
  run = functools.partial(module.apply, {'params': params}, x)
  np.testing.assert_array_equal(run(), jnp.full((40, 50), 1.25))
  rngs = {'dropout': jax.random.key(1)}
  weight = run(train=True, rngs=rngs) - 0.25  # row i is row i of the matrix
  assert set(np.unique(weight).tolist()) == {0.0, 4.0}
  assert 0.2 < np.mean(weight > 0) < 0.3
  # Another batch of the same step has the same matrix.
  twice = module.apply(
    {'params': params}, jnp.concatenate([x, x]), train=True, rngs=rngs
  )
  np.testing.assert_array_equal(twice[:40], twice[40:])


def test_parameters_stay_float32():
  module = dense(dtype=jnp.bfloat16)
  x = jnp.ones((2, 3))
  params = params_of(module, x)
  assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype('float32')}
  assert module.apply({'params': params}, x).dtype == jnp.bfloat16


def test_an_encoder_by_hand():
  init = nn.initializers.normal(1.0)
  module = encoders.Encoder(widths=(4, 3), kernel_init=init, bias_init=init)
  x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
  present = np.array([True, True, False, True, True])
  p = jax.tree.map(np.array, params_of(module, x, present))
  p['missing'] += np.arange(6, dtype=np.float32)
  found = module.apply({'params': p}, x, present)
  seen = np.where(present[:, None], x, p['missing'])
  hidden = seen @ p['dense0']['kernel'] + p['dense0']['bias']
  hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
  want = hidden @ p['dense1']['kernel'] + p['dense1']['bias']
  np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
