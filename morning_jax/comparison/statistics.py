"""Intervals by a bootstrap over brands; tests by exchanging methods.

The unit that is drawn is the brand: pairs of one brand hang together, and a
brand of one repetition comes back in the others. A resample draws as many
brands as there are, with replacement, and recomputes every metric as it is
defined: per fold, pooled over the fold's pairs (AUC, cAUC) or as a mean over
its brands, then the mean over folds and repetitions. All methods see the same
resamples, so that differences are paired.

The intervals say how the figures would vary with other brands of the kind.
They hold the trained models fixed; repetitions average over splits into folds
and seeds.
Resamples of a few brands are too much alike (those of one are all the same),
and the interval too narrow: below `FEWEST_BRANDS` there is none.

Whether two methods differ is asked by a paired randomisation test (R. A.
Fisher's sign-flip test, for metrics of any form): were they alike, then what
they did to a brand could as well have been the other's. Each brand's results,
of all repetitions together, are exchanged or not by the toss of a coin, the
metrics recomputed as they are defined, and p is the share of tosses with a
difference as large as the one that was seen. It keeps its level with any
number of brands: with B of them p is about 2 in 2^B at least, so that five
can't reach 0.05.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses

import numpy as np

from morning_jax.comparison import results
from morning_jax.core import random_streams
from morning_jax.evaluation import metrics as metrics_lib

RESAMPLES = 10_000
FEWEST_BRANDS = 10  # for an interval
_LEVEL = 95.0  # per cent


def draw_weights(num_brands: int, *, resamples: int, seed: int) -> np.ndarray:
  """Draws resamples of the brands.

  Args:
    num_brands: number of brands, B.
    resamples: number of resamples, W.
    seed: of the draw.

  Returns:
    float64 [W, B]: how often each resample holds each brand.
  """
  generator = random_streams.generator(seed, random_streams.Stream.BOOTSTRAP)
  share_B = np.full(num_brands, 1.0 / num_brands)
  return generator.multinomial(num_brands, share_B, size=resamples).astype(
    np.float64
  )


def _median(rank_B: np.ndarray, weight_WxB: np.ndarray) -> np.ndarray:
  """Returns the lower median of repeated ranks, [W]; NaN without any."""
  order = np.argsort(rank_B, kind='stable')
  upto_WxB = np.cumsum(weight_WxB[:, order], axis=1)
  total_W = upto_WxB[:, -1]
  middle_W = np.floor((total_W - 1) / 2)
  index_W = np.argmax(upto_WxB > middle_W[:, None], axis=1)
  return np.where(total_W > 0, rank_B[order][index_W], np.nan)


def _mean_over_groups(value_GxW: list[np.ndarray]) -> np.ndarray:
  """Averages over the groups that have a value, [W]; NaN where none has."""
  stacked = np.stack(value_GxW)
  have = np.isfinite(stacked)
  count_W = have.sum(axis=0)
  total_W = np.where(have, stacked, 0.0).sum(axis=0)
  return np.where(count_W > 0, total_W / np.maximum(count_W, 1), np.nan)


def resample(
  groups: Sequence[results.Group], weight_WxB: np.ndarray
) -> dict[str, np.ndarray]:
  """Recomputes the metrics for each resample.

  Args:
    groups: of one method.
    weight_WxB: of `draw_weights`.

  Returns:
    Metric -> [W]; NaN where a resample leaves it undefined.
  """
  collected: dict[str, list[np.ndarray]] = {m: [] for m in metrics_lib.METRICS}
  for group in groups:
    weight = weight_WxB[:, group.brand_B]
    ratios = group.ratios()
    parts = np.stack([x for pair in ratios.values() for x in pair], axis=1)
    sums = weight @ parts
    for i, metric in enumerate(ratios):
      over, under = sums[:, 2 * i], sums[:, 2 * i + 1]
      collected[metric].append(
        np.where(under > 0, over / np.where(under > 0, under, 1.0), np.nan)
      )
    collected['medr'].append(_median(group.statistics.first_rank, weight))
  return {m: _mean_over_groups(values) for m, values in collected.items()}


def interval(
  value_W: np.ndarray, *, num_brands: int
) -> tuple[float | None, float | None]:
  """Returns the 95 % percentile interval of resamples.

  Args:
    value_W: the value in each resample; NaN where it is undefined.
    num_brands: number of brands that were drawn from.

  Returns:
    Both ends; None where nothing is defined, or brands are too few.
  """
  value_W = value_W[np.isfinite(value_W)]
  if num_brands < FEWEST_BRANDS or not len(value_W):
    return None, None
  tail = (100.0 - _LEVEL) / 2
  low, high = np.percentile(value_W, [tail, 100.0 - tail])
  return float(low), float(high)


def p_value(difference: float, exchanged_W: np.ndarray) -> float:
  """Returns the two-sided p-value of a randomisation test.

  The share of exchanges with a difference as large as the one that was seen,
  which counts as one of them: p is never 0.

  Args:
    difference: that was seen.
    exchanged_W: the difference after each exchange.

  Returns:
    The p-value.
  """
  # Sums in another order differ in the last bits.
  reached = np.abs(exchanged_W) >= abs(difference) - 1e-9
  return (int(reached.sum()) + 1) / (len(exchanged_W) + 1)


def holm(p: Mapping[str, float | None]) -> dict[str, float | None]:
  """Corrects p-values for their number (Holm, Scand. J. Stat. 6, 1979).

  Args:
    p: name -> p-value; None is not tested and does not count.

  Returns:
    name -> corrected p-value, at most 1.
  """
  tested = sorted((v, k) for k, v in p.items() if v is not None)
  corrected: dict[str, float | None] = dict.fromkeys(p)
  largest = 0.0
  for i, (value, name) in enumerate(tested):
    largest = max(largest, min(1.0, (len(tested) - i) * value))
    corrected[name] = largest
  return corrected


@dataclasses.dataclass
class Cell:
  """One metric of one method.

  Attributes:
    mean: over folds and repetitions; None where it is undefined.
    low: lower end of its 95 % interval.
    high: upper end; both None where brands are too few.
    difference: from the reference, over the repetitions of both.
    difference_low: lower end of its paired 95 % interval.
    difference_high: upper end; both None where brands are too few.
    p: two-sided p-value of the difference.
    p_holm: the same, corrected for the number of rows.
  """

  mean: float | None
  low: float | None = None
  high: float | None = None
  difference: float | None = None
  difference_low: float | None = None
  difference_high: float | None = None
  p: float | None = None
  p_holm: float | None = None


def _exchange(
  own: Sequence[results.Group],
  other: Sequence[results.Group],
  exchanged_WxB: np.ndarray,
) -> dict[str, np.ndarray]:
  """Recomputes the differences with brands exchanged between two methods.

  Args:
    own: of one method.
    other: of the other, the same groups in the same order.
    exchanged_WxB: bool, whether the methods exchange what they did to a brand.

  Returns:
    Metric -> [W].
  """
  num_brands = exchanged_WxB.shape[1]
  # Both methods' brands side by side; weights say whose counts.
  both = [
    results.Group(
      a.key,
      np.concatenate([a.brand_B, b.brand_B + num_brands]),
      metrics_lib.concatenate([a.statistics, b.statistics]),
    )
    for a, b in zip(own, other, strict=True)
  ]
  counted = np.concatenate([~exchanged_WxB, exchanged_WxB], axis=1)
  one = resample(both, counted.astype(np.float64))
  two = resample(both, (~counted).astype(np.float64))
  return {m: one[m] - two[m] for m in one}


def _with_difference(
  cells: dict[str, Cell],
  own: list[results.Group],
  other: list[results.Group],
  *,
  weight_WxB: np.ndarray,
  exchanged_WxB: np.ndarray,
) -> None:
  """Fills in the differences of a method from the reference."""
  by_key = {g.key: g for g in other}
  own = [g for g in own if g.key in by_key]
  other = [by_key[g.key] for g in own]
  if not own:
    return
  means = results.point(own), results.point(other)
  drawn = resample(own, weight_WxB), resample(other, weight_WxB)
  exchanged = _exchange(own, other, exchanged_WxB)
  for metric, cell in cells.items():
    a, b = means[0][metric], means[1][metric]
    if a is None or b is None:
      continue
    cell.difference = a - b
    cell.difference_low, cell.difference_high = interval(
      drawn[0][metric] - drawn[1][metric], num_brands=weight_WxB.shape[1]
    )
    cell.p = p_value(a - b, exchanged[metric])


def summarize(
  groups: Mapping[str, list[results.Group]],
  *,
  num_brands: int,
  reference: str,
  resamples: int = RESAMPLES,
  seed: int = 0,
) -> dict[str, dict[str, Cell]]:
  """Computes a whole table.

  Args:
    groups: method -> what was measured.
    num_brands: number of brands of the comparison.
    reference: the method that the others are compared with, if it is there.
    resamples: number of resamples, and of exchanges.
    seed: of both.

  Returns:
    Method -> metric -> cell.
  """
  weight_WxB = draw_weights(num_brands, resamples=resamples, seed=seed)
  tosses = random_streams.generator(
    seed, random_streams.Stream.RANDOMIZATION_TEST
  )
  exchanged_WxB = tosses.integers(0, 2, (resamples, num_brands)) == 1
  summary: dict[str, dict[str, Cell]] = {}
  for method, own in groups.items():
    drawn = resample(own, weight_WxB)
    cells = {}
    for metric, mean in results.point(own).items():
      low, high = interval(drawn[metric], num_brands=num_brands)
      cells[metric] = Cell(mean=mean, low=low, high=high)
    if method != reference and reference in groups:
      _with_difference(
        cells,
        own,
        groups[reference],
        weight_WxB=weight_WxB,
        exchanged_WxB=exchanged_WxB,
      )
    summary[method] = cells
  for metric in metrics_lib.METRICS:
    corrected = holm({m: cells[metric].p for m, cells in summary.items()})
    for method, value in corrected.items():
      summary[method][metric].p_holm = value
  return summary
