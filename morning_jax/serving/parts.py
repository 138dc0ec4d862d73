"""Accounts of a ranking with the parts of their scores, some at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import recommend
from morning_jax.serving import scores as scores_lib

Found = recommend.Recommendation


def describe(
  catalogue: catalogue_lib.Catalogue,
  account: catalogue_lib.Account,
  rows: Sequence[int],
  scores: scores_lib.Scores,
) -> list[Found]:
  """Describes accounts of the other role, as `recommend.recommend` does.

  Args:
    catalogue: who there is.
    account: the one that is asked about.
    rows: of the other side, in the order of their ranks.
    scores: of the account.
  """
  side = catalogue.side(1 - account.role)
  rows = list(rows)
  if not rows:
    return []
  own = account.vector_D.astype(np.float64)
  product = side.vector_NxD[rows] * own
  typical = own * side.mean_D
  starts = [p.where.start for p in catalogue.pieces]
  values = np.add.reduceat(product - typical, starts, axis=1).tolist()
  total, score = float(typical.sum()), product.sum(axis=1).tolist()
  known = _partners(catalogue, account)
  lacking = {k: ~has[rows] for k, has in side.present.items()}
  lacking = {k: lacks for k, lacks in lacking.items() if lacks.any()}
  return [
    Found(
      rank=i + 1,
      place=place,
      account_id=str(side.ids_N[row]),
      row=row,
      score=score[i],
      typical=total,
      parts=tuple(
        recommend.Part(p.perspective, p.modality, value)
        for p, value in zip(catalogue.pieces, values[i], strict=True)
      ),
      cooperates=row in known,
      lacks=tuple(k for k, lacks in lacking.items() if lacks[i]),
    )
    for i, (row, place) in enumerate(
      zip(rows, scores.places(rows), strict=True)
    )
  ]


def _partners(
  catalogue: catalogue_lib.Catalogue, account: catalogue_lib.Account
) -> set[int]:
  if account.row is None:
    return set()
  if account.role == accounts_lib.BRAND:
    return set(map(int, catalogue.partners.get(account.row, ())))
  brand_P, influencer_P = catalogue.positives_Px2.T
  return set(map(int, brand_P[influencer_P == account.row]))
