"""Metrics of a split with their intervals, per category, and brand by brand."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import splits as splits_lib
from morning_jax.evaluation import evaluator
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.recommend import catalogue as catalogue_lib

RESAMPLES = 1000
_FEW = 10  # brands of which an interval says something


@dataclasses.dataclass(frozen=True)
class Measured:
  """A metric of some brands.

  Attributes:
    value: the metric; None where it is undefined.
    low: lower end of the 95 % interval; None with fewer than 10 brands.
    high: its upper end.
  """

  value: float | None
  low: float | None = None
  high: float | None = None


@dataclasses.dataclass(frozen=True)
class Quality:
  """How well a split's brands are ranked.

  Attributes:
    split: its name.
    num_brands: its brands.
    num_candidates: its candidates.
    metrics: metric -> over all brands.
    categories: category -> its number of brands, and its metrics.
    brands: account ids, by average precision, best first.
    average_precision: of each of `brands`.
  """

  split: str
  num_brands: int
  num_candidates: int
  metrics: dict[str, Measured]
  categories: dict[str, tuple[int, dict[str, Measured]]]
  brands: tuple[str, ...]
  average_precision: tuple[float, ...]


def measure(
  catalogue: catalogue_lib.Catalogue, *, resamples: int = RESAMPLES
) -> Quality:
  """Ranks the split's candidates for its brands, as `launch.evaluate` does.

  Args:
    catalogue: the model and the bundle.
    resamples: how often brands are drawn anew for the intervals (percentile
      bootstrap over brands; Efron and Tibshirani, 1993, section 13.3).

  Returns:
    Of the test brands, or of the validation brands where there are none.

  Raises:
    UserError: there is neither.
  """
  dataset = catalogue.dataset
  found = (splits_lib.select(dataset, name) for name in ('test', 'valid'))
  split = next((s for s in found if s is not None), None)
  if split is None:
    raise errors.UserError(
      f'{dataset.name}: no brand was held out, so there is nothing to report of'
      ' how well the model ranks new ones'
    )
  row_of_side = np.empty(len(dataset.accounts), np.int64)
  for side in (catalogue.brands, catalogue.influencers):
    row_of_side[side.account_row_N] = np.arange(len(side))
  score_BxM = (
    catalogue.brands.vector_NxD[row_of_side[split.brand_row_B]]
    @ catalogue.influencers.vector_NxD[row_of_side[split.candidate_row_M]].T
  )
  s = evaluator.statistics_of_scores(score_BxM, dataset.accounts, split)
  category_B = dataset.accounts.categories[split.brand_row_B]
  order = np.argsort(-s.average_precision, kind='stable')
  return Quality(
    split=split.name,
    num_brands=len(split.brand_row_B),
    num_candidates=len(split.candidate_row_M),
    metrics=_with_intervals(s, resamples),
    categories={
      str(c): (
        int((category_B == c).sum()),
        _with_intervals(s.take(category_B == c), resamples),
      )
      for c in np.unique(category_B[category_B != ''])
    },
    brands=tuple(dataset.accounts.ids[split.brand_row_B][order].tolist()),
    average_precision=tuple(s.average_precision[order].tolist()),
  )


def _with_intervals(
  statistics: metrics_lib.BrandStatistics, resamples: int
) -> dict[str, Measured]:
  values = metrics_lib.summarize(statistics)
  count = len(statistics.positives)
  if count < _FEW:
    return {name: Measured(value) for name, value in values.items()}
  rng = np.random.default_rng(0)
  drawn = [
    metrics_lib.summarize(statistics.take(rng.integers(count, size=count)))
    for _ in range(resamples)
  ]
  found = {}
  for name, value in values.items():
    known = [x for d in drawn if (x := d[name]) is not None]
    low, high = np.quantile(known, [0.025, 0.975]) if known else (None, None)
    found[name] = Measured(
      value,
      None if low is None else float(low),
      None if high is None else float(high),
    )
  return found


def chosen_brands(
  catalogue: catalogue_lib.Catalogue,
  quality: Quality,
  asked: Sequence[str],
  *,
  best: int,
) -> list[tuple[str, str]]:
  """Chooses whom the case studies are about.

  Args:
    catalogue: who there is.
    quality: how well brands are ranked.
    asked: brands that the user names.
    best: how many of the best, and as many of the worst.

  Returns:
    (why, brand): those asked for, then best and worst in turn, none twice.

  Raises:
    UserError: a brand that was asked for is unknown.
  """
  chosen = {name: 'asked for' for name in asked}
  for name in asked:
    catalogue.account(accounts_lib.BRAND, name)
  count = len(quality.brands)
  for i in range(min(best, count // 2)):
    chosen.setdefault(quality.brands[i], f'best {i + 1} of {count}')
    chosen.setdefault(quality.brands[-1 - i], f'worst {i + 1} of {count}')
  return [(why, name) for name, why in chosen.items()]
