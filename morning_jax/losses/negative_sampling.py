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
_AT_ONCE = 16  # entries of a list that are looked up together


@flax.struct.dataclass
class CandidateLists:
  """The brands of each candidate, as compressed rows.

  Attributes:
    start: int32 [candidates + 1], where each candidate's list begins.
    brand_P: int32, brands. It may be longer than all lists.
  """

  start: Array
  brand_P: Array


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
    by_candidate: the same pairs as lists of the candidates, where pairs are
      looked up from that side.
    search_steps: bisections that find a place in the longest list.
    most_candidates: as many as `num_candidates`, or more.
  """

  start: Array
  candidate_P: Array
  rest_rank_P: Array
  num_candidates: Array
  search_steps: int = flax.struct.field(pytree_node=False)
  most_candidates: int = flax.struct.field(pytree_node=False)
  by_candidate: CandidateLists | None = None


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
    most_candidates=num_candidates,
  )


def make_candidate_lists(
  brand_P: np.ndarray, candidate_P: np.ndarray, *, num_candidates: int
) -> CandidateLists | None:
  """Builds the candidates' lists on the host, if they are the shorter ones.

  What `positives_among` costs is how long the lists of a batch are together,
  and which side has long ones depends on the data: a brand works with hundreds
  of influencers, or an influencer with hundreds of brands. A pair that is drawn
  meets a list of n entries n times as often as one of one entry: sides are
  compared by the sums of squares.

  Args:
    brand_P: brand of each positive.
    candidate_P: influencer of each, 0..num_candidates-1; no pair occurs twice.
    num_candidates: number of influencers.

  Returns:
    The lists as NumPy arrays; None where those of the brands are as short.
  """
  count = np.bincount(candidate_P, minlength=num_candidates)
  if np.sum(np.bincount(brand_P) ** 2) <= np.sum(count**2):
    return None
  order = np.argsort(candidate_P, kind='stable')
  return CandidateLists(
    start=np.concatenate([[0], np.cumsum(count)]).astype(np.int32),
    brand_P=brand_P[order].astype(np.int32),
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


def positives_among(
  lists: PositiveLists, brand_R: jax.Array, candidate_C: jax.Array
) -> jax.Array:
  """Tells which pairs of some brands and some candidates are positives.

  Costs what the lists of one side are long, and no comparison of a pair.

  Args:
    lists: the positives.
    brand_R: brands; one may occur several times.
    candidate_C: candidates; one may occur several times.

  Returns:
    bool [R, C].
  """
  other = lists.by_candidate
  if other is not None:
    num_brands = len(lists.start) - 1
    return _listed(other.start, other.brand_P, candidate_C, brand_R, num_brands)
  return _listed(
    lists.start,
    lists.candidate_P,
    brand_R,
    candidate_C,
    lists.most_candidates,
  ).T


def _listed(
  start: jax.Array,
  entry_P: jax.Array,
  owner_A: jax.Array,
  other_B: jax.Array,
  num_others: int,
) -> jax.Array:
  """Tells whom of some the lists of others have.

  Args:
    start: where each owner's list begins, and the last one ends.
    entry_P: the lists, one after another.
    owner_A: owners.
    other_B: whom to look for, 0..num_others-1.
    num_others: how many there are.

  Returns:
    bool [B, A].
  """
  owners, others = len(owner_A), len(other_B)
  number_B = jnp.arange(others, dtype=jnp.int32)
  # One row for all that are the same, and one list.
  place = jnp.full(num_others, -1, jnp.int32).at[other_B].max(number_B)
  own_A, order_A = jax.lax.sort(
    (owner_A, jnp.arange(owners, dtype=jnp.int32)), num_keys=1
  )
  is_first = jnp.concatenate([jnp.ones(1, bool), own_A[1:] != own_A[:-1]])
  first_A = jax.lax.cummax(jnp.where(is_first, jnp.arange(owners), 0))
  column_A = jnp.zeros(owners, jnp.int32).at[order_A].set(first_A)
  start_A, stop_A = start[own_A], start[own_A + 1]
  # Lists are cut into lines, and as many lines as there are owners are worked
  # on together, whosever they are: one long list costs what it is long.
  lines_A = jnp.where(is_first, -(-(stop_A - start_A) // _AT_ONCE), 0)
  end_A = jnp.cumsum(lines_A)

  def add(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    begin, found_BxA = carry
    line_L = begin + jnp.arange(owners)
    own_L = jnp.searchsorted(
      end_A, line_L, side='right', method='scan_unrolled'
    )
    is_line = own_L < owners
    own_L = jnp.minimum(own_L, owners - 1)
    nth_L = line_L - end_A[own_L] + lines_A[own_L]
    at_LxE = (start_A[own_L] + nth_L * _AT_ONCE)[:, None] + jnp.arange(_AT_ONCE)
    place_LxE = place[entry_P.at[at_LxE].get(mode='clip')]
    is_there = is_line[:, None] & (at_LxE < stop_A[own_L][:, None])
    row_LxE = jnp.where(is_there & (place_LxE >= 0), place_LxE, others)
    found_BxA = found_BxA.at[row_LxE, own_L[:, None]].set(True, mode='drop')
    return begin + owners, found_BxA

  _, found_BxA = jax.lax.while_loop(
    lambda carry: carry[0] < end_A[-1],
    add,
    (jnp.int32(0), jnp.zeros((others, owners), bool)),
  )
  return found_BxA[place[other_B][:, None], column_A]
