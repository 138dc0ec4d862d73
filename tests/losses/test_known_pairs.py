"""Known pairs of blocks, found by sorting, against a table of all pairs."""

import jax
from jax import numpy as jnp
from jax.sharding import PartitionSpec
import numpy as np
import pytest

from morning_jax.core import sharding
from morning_jax.losses import known_pairs
from morning_jax.losses import negative_sampling

SIZE = 8


def find(positive, brand_B, candidate_C):
  """Every device's own brands against all of the candidates."""
  brand_P, candidate_P = np.nonzero(positive)
  lists = negative_sampling.make_positive_lists(
    brand_P,
    candidate_P,
    num_brands=len(positive),
    num_candidates=positive.shape[1],
  )
  whole = SIZE * negative_sampling.LINE
  listed = np.zeros(-(-len(candidate_P) // whole) * whole, np.int32)
  listed[: len(candidate_P)] = lists.candidate_P
  mesh = sharding.make_mesh(data=SIZE, model=1)

  def of_device(brand_M, listed_P):
    words = known_pairs.find(
      lists.replace(start=jnp.asarray(lists.start), candidate_P=listed_P),
      brand_M,
      jnp.asarray(candidate_C),
      lists_axis='data',
      axes=('data', 'model'),
      to_block=lambda x: x,
    )
    return known_pairs.known(words, len(brand_M))

  return jax.jit(
    jax.shard_map(
      of_device,
      mesh=mesh,
      in_specs=PartitionSpec('data'),
      out_specs=PartitionSpec('data'),
      check_vma=False,
    )
  )(jnp.asarray(brand_B), jnp.asarray(listed))


@pytest.mark.parametrize('longest', [3, 300])
def test_all_pairs_of_brands_and_candidates(longest, monkeypatch):
  # Fewer at a time than there are, and lists of several lines.
  monkeypatch.setattr(known_pairs, '_AT_ONCE', 50)
  rng = np.random.default_rng(longest)
  positive = np.zeros((6, 400), bool)
  for brand, count in enumerate([longest, 0, 1, 2, longest // 2, longest]):
    positive[brand, rng.choice(400, count, replace=False)] = True
  # More rows than a word has bits, and influencers in several columns.
  brand_B = rng.integers(0, 6, SIZE * 35)
  candidate_C = np.r_[rng.integers(0, 400, 200), np.zeros(9), 399].astype(int)
  found = find(positive, brand_B, candidate_C)
  np.testing.assert_array_equal(found, positive[brand_B][:, candidate_C])
