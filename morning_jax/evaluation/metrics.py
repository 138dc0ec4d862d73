"""Ranking metrics by the protocol of SPEC section 8.

Conventions: every candidate of the split is ranked for every brand. A
candidate's rank is the number of candidates that score at least as high, so a
tied group gets its worst rank and a constant score earns nothing; in AUC a tie
counts half. Brands without a positive among the candidates are left out of
every metric.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import errors
from morning_jax.core import multihost

# In the order of the tables, with their headings.
TITLES = {
  'auc': 'AUC',
  'cauc': 'cAUC',
  'recall@10': 'R@10',
  'recall@50': 'R@50',
  'mrr': 'MRR',
  'map': 'MAP',
  'medr': 'MedR',
}
METRICS = tuple(TITLES)


@dataclasses.dataclass(frozen=True)
class BrandStatistics:
  """What each brand adds to the metrics; every array has length B.

  Concatenating the statistics of blocks of brands gives those of all of them.

  Attributes:
    positives: number of positives.
    pairs: number of (positive, negative) pairs.
    ordered: those ordered right, a tie counting half.
    category_pairs: the pairs whose negative was found under the brand's
      category.
    category_ordered: those ordered right.
    top_10: positives in the top 10.
    top_50: positives in the top 50.
    first_rank: rank of the first positive.
    average_precision: mean over k of k / r_k.
  """

  positives: np.ndarray
  pairs: np.ndarray
  ordered: np.ndarray
  category_pairs: np.ndarray
  category_ordered: np.ndarray
  top_10: np.ndarray
  top_50: np.ndarray
  first_rank: np.ndarray
  average_precision: np.ndarray

  def take(self, brands: np.ndarray) -> BrandStatistics:
    """Keeps some brands, by index or mask."""
    return BrandStatistics(
      **{k: v[brands] for k, v in dataclasses.asdict(self).items()}
    )


def concatenate(blocks: Sequence[BrandStatistics]) -> BrandStatistics:
  """Joins the statistics of blocks of brands."""
  return BrandStatistics(
    **{
      f.name: np.concatenate([getattr(b, f.name) for b in blocks])
      for f in dataclasses.fields(BrandStatistics)
    }
  )


def _ordinal(score: jax.Array) -> jax.Array:
  """Maps float32 to int32 of the same order, so that comparisons are exact.

  Devices may take numbers below 1e-38 for zero when they compare floats.
  """
  bits = jax.lax.bitcast_convert_type(score, jnp.int32)
  bits = jnp.where(bits == jnp.iinfo(jnp.int32).min, 0, bits)  # -0.0 is 0.0
  return bits ^ ((bits >> 31) & jnp.int32(0x7FFFFFFF))


@jax.jit
def _counts(
  score_BxM: jax.Array,
  positive_BxP: jax.Array,
  brand_category_B: jax.Array,
  found_under_M: jax.Array,
) -> dict[str, jax.Array]:
  """Counts, for each positive, the candidates above, at and below it.

  Args:
    score_BxM: float32 scores.
    positive_BxP: candidate index of each positive, -1 where there is none.
    brand_category_B: category code of each brand.
    found_under_M: category code under which each candidate was found, -1 where
      unknown.

  Returns:
    int32 [B, P] counts, int32 [B] numbers of negatives, and whether all scores
    are finite.
  """
  num_brands, num_candidates = score_BxM.shape
  order_BxM = _ordinal(score_BxM)
  rows_Bx1 = jnp.arange(num_brands)[:, None]
  negative_BxM = (
    jnp.ones(score_BxM.shape, bool)
    .at[rows_Bx1, jnp.where(positive_BxP < 0, num_candidates, positive_BxP)]
    .set(False, mode='drop')
  )
  same_BxM = negative_BxM & (brand_category_B[:, None] == found_under_M)

  def count(positive_B: jax.Array) -> dict[str, jax.Array]:
    own_Bx1 = order_BxM.at[rows_Bx1, positive_B[:, None]].get(mode='clip')
    below_BxM, tied_BxM = order_BxM < own_Bx1, order_BxM == own_Bx1
    total = functools.partial(jnp.sum, axis=1, dtype=jnp.int32)
    return {
      'rank': total(order_BxM >= own_Bx1),
      'below': total(below_BxM & negative_BxM),
      'tied': total(tied_BxM & negative_BxM),
      'category_below': total(below_BxM & same_BxM),
      'category_tied': total(tied_BxM & same_BxM),
    }

  counts = jax.lax.map(count, positive_BxP.T)
  counts = {k: v.T for k, v in counts.items()}
  counts['negatives'] = jnp.sum(negative_BxM, axis=1, dtype=jnp.int32)
  counts['category_negatives'] = jnp.sum(same_BxM, axis=1, dtype=jnp.int32)
  counts['finite'] = jnp.isfinite(score_BxM).all()
  return counts


def brand_statistics(
  score_BxM: jax.Array,
  positive_BxP: np.ndarray,
  *,
  brand_category_B: np.ndarray,
  found_under_M: np.ndarray,
) -> BrandStatistics:
  """Ranks all candidates for a block of brands.

  Args:
    score_BxM: float32 scores, finite.
    positive_BxP: int candidate index of each positive, -1 where a brand has
      fewer than P; each brand has one at least.
    brand_category_B: int category code of each brand.
    found_under_M: int category code under which each candidate was found; -1
      where unknown.

  Returns:
    Statistics of the B brands.

  Raises:
    DivergedError: a score is NaN or infinite.
  """
  found = multihost.fetch(
    _counts(score_BxM, positive_BxP, brand_category_B, found_under_M)
  )
  if not found.pop('finite'):
    raise errors.DivergedError(
      'scores are not finite: the model has diverged; a lower'
      ' config.optimizer.learning_rate may help'
    )
  counts = {k: v.astype(np.int64) for k, v in found.items()}
  valid_BxP = positive_BxP >= 0
  if not valid_BxP.any(axis=1).all():
    raise ValueError('a brand has no positive among the candidates')
  positives = valid_BxP.sum(axis=1)

  def total(count_BxP: np.ndarray) -> np.ndarray:
    return np.where(valid_BxP, count_BxP, 0).sum(axis=1)

  rank_BxP = np.where(valid_BxP, counts['rank'], np.iinfo(np.int64).max)
  rank_BxP = np.sort(rank_BxP, axis=1)
  k_P = np.arange(1, rank_BxP.shape[1] + 1)
  precision_BxP = np.where(k_P <= positives[:, None], k_P / rank_BxP, 0.0)
  return BrandStatistics(
    positives=positives,
    pairs=positives * counts['negatives'],
    ordered=total(counts['below']) + 0.5 * total(counts['tied']),
    category_pairs=positives * counts['category_negatives'],
    category_ordered=total(counts['category_below'])
    + 0.5 * total(counts['category_tied']),
    top_10=(rank_BxP <= 10).sum(axis=1),
    top_50=(rank_BxP <= 50).sum(axis=1),
    first_rank=rank_BxP[:, 0],
    average_precision=precision_BxP.sum(axis=1) / positives,
  )


def summarize(statistics: BrandStatistics) -> dict[str, float | None]:
  """Turns statistics into the metrics of SPEC section 8.

  Args:
    statistics: of all brands of a split, or of one category.

  Returns:
    Metric -> value; None where it is undefined: AUC without a negative, cAUC
    where no negative was found under a brand's category, everything without a
    brand.
  """
  s = statistics
  num_brands = len(s.positives)
  if not num_brands:
    return dict.fromkeys(METRICS)

  def share(part: np.ndarray, whole: np.ndarray) -> float | None:
    return float(part.sum() / whole.sum()) if whole.sum() else None

  return {
    'auc': share(s.ordered, s.pairs),
    'cauc': share(s.category_ordered, s.category_pairs),
    'recall@10': float(np.mean(s.top_10 / s.positives)),
    'recall@50': float(np.mean(s.top_50 / s.positives)),
    'mrr': float(np.mean(1.0 / s.first_rank)),
    'map': float(np.mean(s.average_precision)),
    'medr': float(np.sort(s.first_rank)[(num_brands - 1) // 2]),
  }
