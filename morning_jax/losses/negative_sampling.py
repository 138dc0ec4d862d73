"""Which influencers are a brand's positives, and uniform draws from the rest.

Positives are stored as compressed rows, so that memory grows with the number of
positives alone: a brand with a hundred thousand of them costs no other brand
anything.
"""

from __future__ import annotations

import flax.struct
import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core.accounts import Array

# Entries of the lists that are looked up together where they are sharded
# (`known_pairs`): each device has a multiple of so many.
LINE = 64


@flax.struct.dataclass
class PositiveLists:
  """The positives of each brand, sorted, as compressed rows.

  Attributes:
    start: int32 [brands + 1], where each brand's list begins.
    candidate_P: int32, candidates in 0..num_candidates-1, ascending within a
      brand. It may be longer than all lists.
    rest_rank_P: int32, how many of the candidates below this one are no
      positives of the brand.
    num_candidates: int32, how many influencers can be drawn.
    search_steps: bisections that find a place in the longest list.
  """

  start: Array
  candidate_P: Array
  rest_rank_P: Array
  num_candidates: Array
  search_steps: int = flax.struct.field(pytree_node=False)


def make_positive_lists(
  brand_P: np.ndarray,
  candidate_P: np.ndarray,
  *,
  num_brands: int,
  num_candidates: int,
) -> PositiveLists:
  """Builds the lists on the host.

  Args:
    brand_P: brand of each positive, 0..num_brands-1.
    candidate_P: influencer of each, 0..num_candidates-1; no pair occurs twice.
    num_brands: number of brands.
    num_candidates: number of influencers.

  Returns:
    The lists as NumPy arrays.

  Raises:
    ValueError: an index is out of range, or a brand has no negatives at all.
  """
  for name, index, size in (
    ('brand', brand_P, num_brands),
    ('candidate', candidate_P, num_candidates),
  ):
    if len(index) and not 0 <= index.min() <= index.max() < size:
      raise ValueError(f'{name} indices are not all in 0..{size - 1}')
  order = np.lexsort((candidate_P, brand_P))
  brand_P, candidate_P = brand_P[order], candidate_P[order]
  count = np.bincount(brand_P, minlength=num_brands)
  if count.max(initial=0) >= num_candidates:
    raise ValueError(
      f'brand {count.argmax()} has all {num_candidates} candidates as positives'
    )
  start = np.concatenate([[0], np.cumsum(count)])
  rest_rank = candidate_P - (np.arange(len(brand_P)) - start[brand_P])
  return PositiveLists(
    start=start.astype(np.int32),
    candidate_P=candidate_P.astype(np.int32),
    rest_rank_P=rest_rank.astype(np.int32),
    num_candidates=np.int32(num_candidates),
    search_steps=int(count.max(initial=0)).bit_length(),
  )


def _count_at_most(
  values_P: jax.Array, lists: PositiveLists, brand: jax.Array, x: jax.Array
) -> jax.Array:
  """Counts the values <= x within each brand's (ascending) list."""
  low = lists.start[brand]
  first = low
  high = lists.start[brand + 1]
  for _ in range(lists.search_steps):
    middle = (low + high) // 2
    value = values_P.at[middle].get(mode='clip')
    right = (value <= x) & (low < high)
    low, high = (
      jnp.where(right, middle + 1, low),
      jnp.where(right, high, jnp.maximum(middle, low)),
    )
  return low - first


def draw(
  key: jax.Array, lists: PositiveLists, brand_P: jax.Array, *, count: int
) -> jax.Array:
  """Draws negatives uniformly from the influencers that are no positives.

  Exact: the r-th candidate that is no positive is found by bisection, with no
  rejection.

  Args:
    key: PRNG key.
    lists: the positives of each brand.
    brand_P: brand of each positive of the batch.
    count: negatives a positive, N.

  Returns:
    int32 [P, N] candidates, drawn with replacement.
  """
  brand_PxN = jnp.broadcast_to(brand_P[:, None], (len(brand_P), count))
  num_positive = lists.start[brand_PxN + 1] - lists.start[brand_PxN]
  r = jax.random.randint(
    key, brand_PxN.shape, 0, lists.num_candidates - num_positive
  )
  return r + _count_at_most(lists.rest_rank_P, lists, brand_PxN, r)


def is_positive(
  lists: PositiveLists, brand: jax.Array, candidate: jax.Array
) -> jax.Array:
  """Tells which (brand, candidate) pairs are positives.

  Args:
    lists: the positives of each brand.
    brand: brands, any shape.
    candidate: candidates; broadcast against `brand`.

  Returns:
    bool of the broadcast shape.
  """
  brand, candidate = jnp.broadcast_arrays(brand, candidate)
  upto = _count_at_most(lists.candidate_P, lists, brand, candidate)
  last = lists.candidate_P.at[lists.start[brand] + upto - 1].get(mode='clip')
  return (upto > 0) & (last == candidate)
