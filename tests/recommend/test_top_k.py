"""Top-k by blocks and by shards against NumPy."""

import jax
from jax import numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
import numpy as np
import pytest

from morning_jax.core import sharding
from morning_jax.recommend import top_k as top_k_lib
from morning_jax.recommend import top_k_sharded


def whole_numbers(rows: int, seed: int, width: int = 5) -> np.ndarray:
  """Small whole numbers: exact scores, and many ties between them."""
  rng = np.random.default_rng(seed)
  return rng.integers(-2, 3, (rows, width)).astype(np.float32)


def on_shards(brand: np.ndarray, catalogue: np.ndarray, **options):
  mesh = sharding.make_mesh(data=8, model=1)
  found = top_k_sharded.top_k(
    jnp.asarray(brand),
    sharding.put_rows(catalogue, mesh),
    num_rows=len(catalogue),
    mesh=mesh,
    **options,
  )
  return jax.device_get(found)


SEARCHES = {'blocks': top_k_lib.top_k, 'shards': on_shards}


def slow(brand: np.ndarray, catalogue: np.ndarray, k: int):
  score = brand.astype(np.float64) @ catalogue.astype(np.float64).T
  rows = np.argsort(-score, axis=1, kind='stable')[:, :k]
  return np.take_along_axis(score, rows, axis=1), rows


def assert_same(found: top_k_lib.TopK, want) -> None:
  np.testing.assert_array_equal(found.rows, want[1])
  np.testing.assert_array_equal(found.scores, want[0])


@pytest.mark.parametrize('block_rows', [1, 7, 64, 100, 1000, None])
@pytest.mark.parametrize('k', [1, 13, 100])
def test_blocks_equal_numpy_ties_included(k, block_rows):
  brand, catalogue = whole_numbers(6, 0), whole_numbers(100, 1)
  found = top_k_lib.top_k(brand, catalogue, k=k, block_rows=block_rows)
  assert_same(found, slow(brand, catalogue, k))
  assert found.scores.dtype == np.float32


@pytest.mark.parametrize('block_rows', [1, 5, None])
@pytest.mark.parametrize('rows', [96, 101])
@pytest.mark.parametrize('k', [1, 13, 90])
def test_shards_equal_numpy_ties_included(k, rows, block_rows):
  # All scores are at most 0: a padded row, 0, would be the best.
  brand, catalogue = (
    np.abs(whole_numbers(6, 0)),
    -np.abs(whole_numbers(rows, 1)),
  )
  found = on_shards(brand, catalogue, k=k, block_rows=block_rows)
  assert_same(found, slow(brand, catalogue, k))


def test_a_second_search_of_shards_compiles_nothing():
  top_k_sharded._search_shards.clear_cache()
  for seed in (0, 1):
    on_shards(whole_numbers(6, seed), whole_numbers(96, 2), k=3)
    assert top_k_sharded._search_shards._cache_size() == 1
  on_shards(whole_numbers(6, 0), whole_numbers(96, 2), k=4)
  assert top_k_sharded._search_shards._cache_size() == 2


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_a_device_needs_memory_for_a_block_however_large_its_shard(dtype):
  mesh = sharding.make_mesh(data=8, model=1)
  rows = NamedSharding(mesh, PartitionSpec(sharding.DATA))

  def temporaries(per_device: int) -> int:
    num_rows = 8 * per_device
    compiled = top_k_sharded._search_shards.lower(
      jax.ShapeDtypeStruct((16, 64), jnp.float32),
      jax.ShapeDtypeStruct((num_rows, 64), dtype, sharding=rows),
      k=10,
      num_rows=num_rows,
      mesh=mesh,
      block_rows=512,
      approximate=False,
    ).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  small, large = temporaries(1000), temporaries(64000)
  block = 4 * 512 * (64 + 16)
  assert small < 1.2 * block
  # What it adds are the numbers of the blocks.
  assert large < small + 4096


def test_approximate_search_is_exact_on_a_cpu():
  brand, catalogue = whole_numbers(4, 3, 32), whole_numbers(500, 4, 32)
  found = top_k_lib.top_k(
    brand, catalogue, k=20, block_rows=200, approximate=True
  )
  np.testing.assert_array_equal(found.scores, slow(brand, catalogue, 20)[0])


def test_random_vectors():
  rng = np.random.default_rng(0)
  brand = rng.normal(size=(3, 40)).astype(np.float32)
  catalogue = rng.normal(size=(2000, 40)).astype(np.float32)
  found = top_k_lib.top_k(brand, catalogue, k=50, block_rows=300)
  scores, rows = slow(brand, catalogue, 50)
  np.testing.assert_array_equal(found.rows, rows)
  np.testing.assert_allclose(found.scores, scores, rtol=1e-5)


def test_minus_zero_ties_with_zero():
  catalogue = np.array([[-0.0], [0.0], [-0.0]], np.float32)
  found = top_k_lib.top_k(np.ones((1, 1), np.float32), catalogue, k=3)
  assert found.rows.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize('block_rows', [1, 2, None])
@pytest.mark.parametrize('search', SEARCHES)
def test_rows_that_cannot_be_compared_are_never_found(search, block_rows):
  catalogue = np.eye(6, dtype=np.float32)
  catalogue[0] = -np.inf
  catalogue[4] = np.nan
  catalogue[5, 5] = np.inf
  brand = np.array([[1, 2, 3, 3, 5, 6], [np.nan] * 6], np.float32)
  found = SEARCHES[search](brand, catalogue, k=6, block_rows=block_rows)
  low = -np.inf
  assert found.rows.tolist() == [[5, 2, 3, 1, -1, -1], [-1] * 6]
  assert found.scores.tolist() == [[np.inf, 3, 3, 2, low, low], [low] * 6]


@pytest.mark.parametrize('search', SEARCHES)
def test_no_row_comes_twice_where_scores_overflow(search):
  catalogue = np.full((20, 2), -3e38, np.float32)
  catalogue[7] = 1
  found = SEARCHES[search](np.full((1, 2), 9, np.float32), catalogue, k=3)
  assert found.rows.tolist() == [[7, -1, -1]]
  assert found.scores.tolist() == [[18, -np.inf, -np.inf]]


@pytest.mark.parametrize('block_rows', [7, 64, None])
@pytest.mark.parametrize('search', SEARCHES)
def test_rows_that_a_brand_skips_are_not_found(search, block_rows):
  brand, catalogue = whole_numbers(6, 0), whole_numbers(100, 1)
  rng = np.random.default_rng(2)
  skip = rng.integers(-1, 100, (6, 40)).astype(np.int32)
  found = SEARCHES[search](
    brand, catalogue, k=13, skip_BxP=skip, block_rows=block_rows
  )
  score = brand.astype(np.float64) @ catalogue.astype(np.float64).T
  for row, left_out in zip(score, skip, strict=True):
    row[left_out[left_out >= 0]] = -np.inf
  rows = np.argsort(-score, axis=1, kind='stable')[:, :13]
  np.testing.assert_array_equal(found.rows, rows)


@pytest.mark.parametrize('search', SEARCHES)
def test_large_blocks_are_searched_by_groups(search):
  brand, catalogue = whole_numbers(3, 0, 12), whole_numbers(5000, 1, 12)
  found = SEARCHES[search](brand, catalogue, k=5, block_rows=1100)
  assert_same(found, slow(brand, catalogue, 5))


def test_wrong_sizes_are_named():
  brand, catalogue = whole_numbers(2, 0), whole_numbers(9, 1)
  with pytest.raises(ValueError, match='last dimension'):
    top_k_lib.top_k(brand[:, :3], catalogue, k=1)
  for k in (0, 10):
    with pytest.raises(ValueError, match=r'1\.\.9'):
      top_k_lib.top_k(brand, catalogue, k=k)
