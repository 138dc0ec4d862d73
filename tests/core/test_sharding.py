"""Meshes and shardings on eight simulated devices."""

import flax.linen as nn
import jax
from jax import numpy as jnp
from jax.sharding import PartitionSpec
import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.core import sharding


def test_the_data_axis_takes_what_the_model_axis_leaves():
  assert dict(sharding.make_mesh().shape) == {'data': 8, 'model': 1}
  assert dict(sharding.make_mesh(model=2).shape) == {'data': 4, 'model': 2}
  few = sharding.make_mesh(data=2, devices=jax.devices()[3:])
  assert list(few.devices.flat) == jax.devices()[3:5]


@pytest.mark.parametrize(
  ('sizes', 'message'),
  [
    ({'data': 0}, 'sizes are at least 1'),
    ({'data': -2}, 'sizes are at least 1'),
    ({'model': 0}, 'sizes are at least 1'),
    ({'model': 3}, 'config.mesh.model=3 does not divide 8 devices'),
    ({'data': 3, 'model': 4}, 'data=3 x model=4 needs 12 devices, there are 8'),
  ],
)
def test_sizes_that_do_not_fit_are_one_line(sizes, message):
  with pytest.raises(errors.UserError, match=message) as e:
    sharding.make_mesh(**sizes)
  assert '\n' not in str(e.value)


def test_rows_are_spread_and_padded_with_zeros():
  mesh = sharding.make_mesh(data=4, model=2)
  rows = np.arange(1.0, 11.0).reshape(5, 2)
  flags = np.ones(5, bool)
  put, put_flags = sharding.put_rows((rows, flags), mesh)
  assert put.shape == (8, 2)
  assert put.sharding.spec == PartitionSpec('data')
  np.testing.assert_array_equal(put[:5], rows)
  assert not np.any(put[5:])
  assert put_flags.tolist() == [True] * 5 + [False] * 3
  # Rows that the axis divides stay as many.
  assert len(sharding.put_rows(np.ones(8), mesh)) == 8


def test_only_large_arrays_of_the_graph_are_spread(monkeypatch):
  monkeypatch.setattr(sharding, 'LARGE', 16)
  mesh = sharding.make_mesh(data=8)
  sizes = (8, 15, 16, 17, 24)
  put = sharding.put_large([np.arange(n) for n in sizes], mesh)
  spread = [x.sharding.spec == PartitionSpec('data') for x in put]
  # 17 is large, yet 8 devices do not divide it.
  assert spread == [False, False, True, False, True]
  for n, x in zip(sizes, put, strict=True):
    np.testing.assert_array_equal(x, np.arange(n))


def test_rows_of_a_batch_are_constrained_on_a_mesh_alone():
  x = jnp.ones((8, 2))
  assert sharding.shard_rows(x) is x
  with jax.set_mesh(sharding.make_mesh(data=8)):
    spread = jax.jit(sharding.shard_rows)(x)
  assert spread.sharding.spec == PartitionSpec('data')


class Layer(nn.Module):
  """A kernel of logical axes, a bias of one, and a scalar without any."""

  size: int
  width: int
  nodes: int

  @nn.compact
  def __call__(self):
    init = nn.with_logical_partitioning
    self.param(
      'kernel',
      init(nn.initializers.zeros, ('feature_in', 'feature_out')),
      (self.size, self.width),
    )
    self.param(
      'vectors',
      init(nn.initializers.zeros, ('vertex', 'feature_in')),
      (self.nodes, self.size),
    )
    self.param('scale', nn.initializers.zeros, ())


def specs(*, fsdp=False, size=8, width=6, nodes=32):
  boxed = jax.eval_shape(
    Layer(size=size, width=width, nodes=nodes).init, jax.random.key(0)
  )
  mesh = sharding.make_mesh(data=4, model=2)
  found = sharding.state_shardings(boxed, mesh, fsdp=fsdp)['params']
  return {k: tuple(v.spec) for k, v in found.items()}


def test_a_state_is_spread_by_its_logical_axes():
  assert specs() == {
    'kernel': (None, 'model'),
    # A small graph is replicated.
    'vectors': (None, None),
    'scale': (),
  }
  # What an axis does not divide is replicated.
  assert specs(width=7)['kernel'] == (None, None)


def test_a_large_graph_is_spread(monkeypatch):
  monkeypatch.setattr(sharding, 'LARGE', 32)
  assert specs()['vectors'] == ('data', None)
  assert specs(nodes=33)['vectors'] == (None, None)


def test_full_sharding_spreads_matrices_over_both_axes():
  found = specs(fsdp=True)
  assert found['kernel'] == ('data', 'model')
  # An axis is used once for an array.
  assert found['vectors'] == ('data', None)
  assert specs(fsdp=True, size=6)['kernel'] == (None, 'model')
