"""What a comparison measured, per method, repetition and brand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses

import numpy as np

from morning_jax.evaluation import metrics as metrics_lib

# Metric -> numerator and denominator of a brand: a fold's value is the sum of
# the ones over the sum of the others. MedR is a median and has none.
_RATIOS = {
  'auc': lambda s: (s.ordered, s.pairs),
  'cauc': lambda s: (s.category_ordered, s.category_pairs),
  'recall@10': lambda s: (s.top_10 / s.positives, np.ones(len(s.positives))),
  'recall@50': lambda s: (s.top_50 / s.positives, np.ones(len(s.positives))),
  'mrr': lambda s: (1.0 / s.first_rank, np.ones(len(s.positives))),
  'map': lambda s: (s.average_precision, np.ones(len(s.positives))),
}


@dataclasses.dataclass(frozen=True)
class Group:
  """Brands that are measured together: those that one fold holds out.

  Attributes:
    key: of the group: the same key in two methods' results means the same
      brands, ranked against the same candidates.
    brand_B: which brands, as indices into the comparison's list of brands.
    statistics: what each brand adds to the metrics.
  """

  key: tuple[int, ...]
  brand_B: np.ndarray
  statistics: metrics_lib.BrandStatistics

  def ratios(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns metric -> numerators and denominators, [B] each."""
    return {k: make(self.statistics) for k, make in _RATIOS.items()}


def point(groups: Iterable[Group]) -> dict[str, float | None]:
  """Returns the mean over the groups of each metric, of those that have it."""
  values = [metrics_lib.summarize(g.statistics) for g in groups]
  means: dict[str, float | None] = {}
  for metric in metrics_lib.METRICS:
    have = [v for s in values if (v := s[metric]) is not None]
    means[metric] = float(np.mean(have)) if have else None
  return means


def of_category(
  groups: Iterable[Group], category_B: np.ndarray, category: str
) -> list[Group]:
  """Keeps one category, and joins the folds of a repetition.

  A fold holds a few brands of a category, too few to be measured alone.

  Args:
    groups: of one method; keys begin with the repetition.
    category_B: category of each brand of the comparison.
    category: which one.

  Returns:
    A group for each repetition.
  """
  parts: dict[int, list[Group]] = {}
  for group in groups:
    chosen = category_B[group.brand_B] == category
    if chosen.any():
      parts.setdefault(group.key[0], []).append(
        Group(group.key, group.brand_B[chosen], group.statistics.take(chosen))
      )
  return [
    Group(
      (seed,),
      np.concatenate([g.brand_B for g in groups]),
      metrics_lib.concatenate([g.statistics for g in groups]),
    )
    for seed, groups in parts.items()
  ]


def to_json(statistics: metrics_lib.BrandStatistics) -> dict[str, list]:
  """Returns statistics as plain lists; numbers come back as they were."""
  return {k: v.tolist() for k, v in dataclasses.asdict(statistics).items()}


def from_json(fields: Mapping[str, list]) -> metrics_lib.BrandStatistics:
  """Reads what `to_json` returned."""
  return metrics_lib.BrandStatistics(
    **{k: np.array(v) for k, v in fields.items()}
  )
