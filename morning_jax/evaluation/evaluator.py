"""Ranks every candidate of a split for every brand and measures it.

Training's periodic evaluation and `launch.evaluate` run the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import multihost
from morning_jax.data import splits as splits_lib
from morning_jax.evaluation import encode as encode_lib
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.losses import pairwise
from morning_jax.model import morning

_SCORES_AT_A_TIME = 1 << 24  # of the score matrix, held on device


def _category_codes(
  accounts: accounts_lib.Accounts, split: splits_lib.Split
) -> tuple[np.ndarray, np.ndarray]:
  """Returns category codes of the brands and of where candidates were found."""
  brand = accounts.categories[split.brand_row_B]
  if accounts.found_under is None:
    found = np.full(len(split.candidate_row_M), '')
  else:
    found = accounts.found_under[split.candidate_row_M]
  names = np.unique(np.concatenate([brand, found]))
  brand_B = np.where(brand == '', -2, np.searchsorted(names, brand))
  found_M = np.where(found == '', -1, np.searchsorted(names, found))
  return brand_B.astype(np.int32), found_M.astype(np.int32)


class _Positives:
  """The positives of a split's brands, as compressed rows."""

  def __init__(self, split: splits_lib.Split):
    order = np.argsort(split.brand_P, kind='stable')
    self._candidate_P = split.candidate_P[order].astype(np.int32)
    self.count_B = np.bincount(split.brand_P, minlength=len(split.brand_row_B))
    self._start_B = np.cumsum(self.count_B) - self.count_B

  def matrix(self, brands: np.ndarray) -> np.ndarray:
    """Returns [brands, P] candidate indices; -1 where a brand has fewer.

    P is a power of two, so that all blocks share few programs.
    """
    count = self.count_B[brands][:, None]
    place = np.arange(1 << (int(count.max()) - 1).bit_length())
    last = len(self._candidate_P) - 1
    index = np.minimum(self._start_B[brands][:, None] + place, last)
    return np.where(place < count, self._candidate_P[index], -1)


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What an evaluation of one split found.

  Attributes:
    metrics: the object that `metrics.json` holds for the split.
    scores: perspective -> float32 [B, M], where they were asked for.
  """

  metrics: dict[str, Any]
  scores: dict[str, np.ndarray] | None = None


@jax.jit
def _scores(
  brand: Mapping[str, jax.Array],
  candidate: Mapping[str, jax.Array],
  chosen: np.ndarray,
) -> tuple[dict[str, jax.Array], jax.Array]:
  """Scores chosen brands: perspective -> [chosen, M], and their sum F."""
  scores = morning.scores_of_all(
    {k: v[chosen] for k, v in brand.items()}, candidate
  )
  return scores, pairwise.join(scores)


def rank_split(
  brand: Mapping[str, jax.Array],
  candidate: Mapping[str, jax.Array],
  accounts: accounts_lib.Accounts,
  split: splits_lib.Split,
  *,
  keep_scores: bool = False,
) -> Evaluation:
  """Ranks a split's candidates by inner products (SPEC section 8).

  Args:
    brand: perspective -> [B, D] representations.
    candidate: perspective -> [M, D] representations.
    accounts: who the accounts are.
    split: what to rank.
    keep_scores: whether to return the scores, all of them.

  Returns:
    Metrics over all brands and per category.
  """
  category_B, found_M = _category_codes(accounts, split)
  positives = _Positives(split)
  num_brands, num_candidates = len(split.brand_row_B), len(found_M)
  # The number of positives differs wildly between brands: grouping brands of
  # like numbers keeps the padding small.
  order = np.argsort(positives.count_B, kind='stable')
  step = max(1, min(num_brands, _SCORES_AT_A_TIME // num_candidates))
  blocks, stored = [], []
  for start in range(0, num_brands, step):
    chosen = order[start : start + step]
    scores, total_BxM = _scores(brand, candidate, chosen)
    blocks.append(
      metrics_lib.brand_statistics(
        total_BxM,
        positives.matrix(chosen),
        brand_category_B=category_B[chosen],
        found_under_M=found_M,
      )
    )
    if keep_scores:
      stored.append(multihost.fetch({**scores, 'scores': total_BxM}))
  back = np.argsort(order)
  statistics = metrics_lib.concatenate(blocks).take(back)
  names = accounts.categories[split.brand_row_B]
  sizes = {'num_candidates': num_candidates}
  return Evaluation(
    metrics={
      **metrics_lib.summarize(statistics),
      'num_brands': num_brands,
      **sizes,
      'per_category': {
        str(name): {
          **metrics_lib.summarize(statistics.take(names == name)),
          'num_brands': int((names == name).sum()),
          **sizes,
        }
        for name in np.unique(names[names != ''])
      },
    },
    scores={k: np.concatenate([b[k] for b in stored])[back] for k in stored[0]}
    if keep_scores
    else None,
  )


def statistics_of_scores(
  score_BxM: np.ndarray,
  accounts: accounts_lib.Accounts,
  split: splits_lib.Split,
) -> metrics_lib.BrandStatistics:
  """Ranks a split's candidates by scores that anything may have computed.

  Args:
    score_BxM: float32 scores of the split's brands and candidates.
    accounts: who the accounts are.
    split: what is ranked, with its positives.

  Returns:
    What each brand adds to the metrics.
  """
  category_B, found_M = _category_codes(accounts, split)
  return metrics_lib.brand_statistics(
    jnp.asarray(score_BxM),
    _Positives(split).matrix(np.arange(len(split.brand_row_B))),
    brand_category_B=category_B,
    found_under_M=found_M,
  )


def evaluate_split(
  scorer: encode_lib.Scorer,
  params: Any,
  dataset: accounts_lib.Dataset,
  split: splits_lib.Split,
  *,
  step: int,
  keep_scores: bool = False,
) -> Evaluation:
  """Evaluates parameters on a split.

  Args:
    scorer: encodes the data set's accounts.
    params: the parameters.
    dataset: the data set.
    split: one of its splits.
    step: the training step of the parameters, for the record.
    keep_scores: whether to return the scores.

  Returns:
    The metrics; in a synthetic world with those of the planted preference
    under `planted`, which is the ceiling.
  """
  evaluation = rank_split(
    scorer.encode(params, split.brand_row_B, role='brand'),
    scorer.encode(params, split.candidate_row_M, role='influencer'),
    dataset.accounts,
    split,
    keep_scores=keep_scores,
  )
  evaluation.metrics['step'] = step
  if dataset.planted is not None:
    planted = rank_split(
      {'planted': jnp.asarray(dataset.planted[split.brand_row_B])},
      {'planted': jnp.asarray(dataset.planted[split.candidate_row_M])},
      dataset.accounts,
      split,
    ).metrics
    evaluation.metrics['planted'] = {k: planted[k] for k in metrics_lib.METRICS}
  return evaluation
