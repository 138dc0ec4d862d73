"""Do reasons tell the truth: removed together, do they cost what they say?

Of the best of some brands, the first k reasons are removed together and the
influencers are encoded again. Beside them stand k features drawn at random.
Faithful reasons cost much more than random ones, and about the sum of what each
costs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import tabulate

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend as recommend_lib

COUNTS = (1, 2, 3, 5, 10)
_TOP = 10


@dataclasses.dataclass(frozen=True)
class Faithfulness:
  """What k reasons cost together; means over pairs, in units of the score.

  Attributes:
    k: how many were removed.
    pairs: of how many pairs; those with fewer removable features are left out.
    said: the sum of the first k reasons' drops.
    measured: the drop when they are removed together.
    error: the mean distance between the two.
    correlation: of the two over the pairs; NaN where one does not vary.
    random: the drop when k features drawn at random are removed together.
    beyond_typical: the score beyond that of the typical influencer.
  """

  k: int
  pairs: int
  said: float
  measured: float
  error: float
  correlation: float
  random: float
  beyond_typical: float


def measure(
  catalogue: catalogue_lib.Catalogue,
  brand_rows: Sequence[int],
  *,
  counts: Sequence[int] = COUNTS,
  top: int = _TOP,
  seed: int = 0,
) -> list[Faithfulness]:
  """Measures the reasons of the best influencers of some brands.

  Args:
    catalogue: who there is.
    brand_rows: rows of the catalogue's brands, one at least.
    counts: the numbers of reasons k.
    top: how many of the best of each brand.
    seed: of the random features.

  Returns:
    A row for each k that any pair has reasons for.
  """
  rng = np.random.default_rng(seed)
  everybody = filters_lib.Filters(include_cooperating=True)
  found: dict[int, list[tuple[float, float, float, float]]] = {}
  for row in brand_rows:
    brand = catalogue.account_at(accounts_lib.BRAND, row)
    best = recommend_lib.recommend(
      catalogue, brand, min(top, len(catalogue.influencers)), everybody
    )
    influencers = [
      catalogue.account_at(accounts_lib.INFLUENCER, r.row) for r in best
    ]
    reasons = reasons_lib.reasons(catalogue, brand, influencers)
    variants, known = [], []
    for r, influencer, own in zip(best, influencers, reasons, strict=True):
      for k in counts:
        if k > len(own.ordered):
          continue
        drawn = rng.permutation(len(own.ordered))[:k]
        for chosen in (own.ordered[:k], [own.ordered[i] for i in drawn]):
          variants.append(
            catalogue.removals.without(
              influencer.profile, [x.removed for x in chosen]
            )
          )
        said = sum(x.drop for x in own.ordered[:k])
        known.append((k, said, own.score, r.score - r.typical))
    if not variants:
      continue
    left = reasons_lib.scores_of(catalogue, brand, variants)
    for i, (k, said, score, beyond) in enumerate(known):
      measured, random = score - left[2 * i], score - left[2 * i + 1]
      found.setdefault(k, []).append((said, measured, random, beyond))
  return [_summary(k, np.array(found[k])) for k in sorted(found)]


def _summary(k: int, values_Nx4: np.ndarray) -> Faithfulness:
  said, measured, random, beyond = values_Nx4.T
  varies = len(said) > 1 and said.std() > 0 and measured.std() > 0
  return Faithfulness(
    k=k,
    pairs=len(said),
    said=float(said.mean()),
    measured=float(measured.mean()),
    error=float(np.abs(said - measured).mean()),
    correlation=(
      float(np.corrcoef(said, measured)[0, 1]) if varies else float('nan')
    ),
    random=float(random.mean()),
    beyond_typical=float(beyond.mean()),
  )


def table(found: Sequence[Faithfulness]) -> str:
  """Formats what `measure` found."""
  return tabulate.tabulate(
    [
      [
        f.k,
        f.pairs,
        f'{f.said:.2f}',
        f'{f.measured:.2f}',
        f'{f.error:.2f}',
        '-' if np.isnan(f.correlation) else f'{f.correlation:.2f}',
        f'{f.random:.2f}',
        f'{f.beyond_typical:.2f}',
      ]
      for f in found
    ],
    headers=[
      'reasons\nremoved',
      'pairs',
      'sum of\ntheir drops',
      'drop\ntogether',
      'distance',
      'correlation',
      'drop of as\nmany at random',
      'score beyond\ntypical',
    ],
    disable_numparse=True,
    colalign=['right'] * 8,
  )
