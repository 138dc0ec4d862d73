"""Checksums of arrays: the same on the host, on one device and on many."""

import jax
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np
import pytest

from morning_jax.checkpoint import checksums


def _array(dtype: str, shape: tuple[int, ...]) -> jax.Array:
  bits = np.random.default_rng(0).integers(0, 256, (*shape, 8), np.uint8)
  return jnp.asarray(bits[..., 0].astype(np.float32) - 128).astype(dtype)


@pytest.fixture
def on_device(monkeypatch):
  def describe(tree):
    monkeypatch.setattr(checksums, '_SMALL', 0)
    try:
      return checksums.describe(tree)
    finally:
      monkeypatch.undo()

  return describe


@pytest.mark.parametrize(
  'dtype', ['float32', 'bfloat16', 'float16', 'int8', 'uint32', 'bool']
)
@pytest.mark.parametrize('shape', [(), (0,), (5,), (8, 3)])
def test_the_host_and_a_device_find_the_same(on_device, dtype, shape):
  x = {'x': _array(dtype, shape)}
  assert checksums.describe(x) == on_device(x)


def test_numbers_of_eight_bytes():
  with jax.enable_x64(True):
    x = jnp.asarray(np.random.default_rng(2).normal(size=33))
    assert x.dtype == np.float64
    on_device = np.asarray(checksums._sums_on_device(x))
  np.testing.assert_array_equal(checksums._sums(np.asarray(x), np), on_device)


def test_what_is_stored_by_earlier_versions_stays_valid():
  assert checksums.describe({'x': jnp.arange(6.0).reshape(2, 3)})['x'] == [
    [2, 3],
    'float32',
    '67200000e1a00000',
  ]


def test_keys_and_numpy_arrays(on_device):
  x = {'key': jax.random.key(3), 'host': np.arange(4, dtype=np.float32)}
  found = checksums.describe(x)
  assert found == on_device(x)
  assert found['host'][:2] == [[4], 'float32']


def test_the_number_of_devices_changes_nothing(on_device):
  x = _array('float32', (16, 3))
  mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ('data', 'model'))
  for spec in [PartitionSpec(), PartitionSpec('data'), PartitionSpec('model')]:
    sharded = {'x': jax.device_put(x, NamedSharding(mesh, spec))}
    assert checksums.describe(sharded) == checksums.describe({'x': x})
    assert on_device(sharded) == checksums.describe({'x': x})


def test_a_flipped_bit_and_a_swap_show():
  x = np.arange(40, dtype=np.float32)
  whole = checksums.describe({'x': x})
  for change in range(40):
    flipped = x.copy()
    flipped.view(np.uint32)[change] ^= 1 << (change % 32)
    assert checksums.describe({'x': flipped}) != whole
  swapped = x[np.r_[1, 0, 2:40]]
  assert checksums.describe({'x': swapped}) != whole
