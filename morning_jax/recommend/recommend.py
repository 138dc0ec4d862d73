"""Whom a brand should work with, which brands suit an influencer, look-alikes.

A score F(b, m) is an inner product, so it splits by coordinates. Every
perspective has a base line of its own, the same for all candidates; what tells
candidates apart is the distance from the typical one:

  F(b, m) - F(b, typical) = sum over pieces p of <b_p, m_p - mean_p>

with the mean over all influencers of the catalogue, whatever the filters. Parts
are computed in float64 and add up to the left side.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import look_alikes
from morning_jax.recommend import ordering

Similar = look_alikes.Similar
similar = look_alikes.similar
similarities = look_alikes.similarities


_FEW = 32  # places that are sooner counted than all scores are sorted


@dataclasses.dataclass(frozen=True)
class Part:
  """What a perspective's modality adds, beyond a typical candidate.

  Attributes:
    perspective: 'content', 'audience' or 'attribute'.
    modality: see `catalogue.Coordinates`.
    value: in units of the score; negative: it speaks against.
  """

  perspective: str
  modality: str
  value: float


@dataclasses.dataclass(frozen=True)
class Recommendation:
  """One account of a ranking.

  Attributes:
    rank: from 1, among those who pass the filters.
    place: from 1, among all accounts of the catalogue, whatever the filters.
    account_id: the influencer; the brand, of `brands_for`.
    row: its row among the catalogue's accounts of its role.
    score: F.
    typical: F of the typical account of the catalogue.
    parts: they add up to `score - typical`.
    cooperates: whether the two have worked together already.
    lacks: perspectives of which the account shows nothing.
  """

  rank: int
  place: int
  account_id: str
  row: int
  score: float
  typical: float
  parts: tuple[Part, ...]
  cooperates: bool
  lacks: tuple[str, ...]

  @property
  def by_perspective(self) -> dict[str, float]:
    """Perspective -> the sum of its parts."""
    total: dict[str, float] = {}
    for part in self.parts:
      total[part.perspective] = total.get(part.perspective, 0.0) + part.value
    return total


def scores(
  catalogue: catalogue_lib.Catalogue, account: catalogue_lib.Account
) -> np.ndarray:
  """Scores an account against all of the other role.

  Args:
    catalogue: the accounts.
    account: a brand or an influencer.

  Returns:
    float32, in the order of the other side's rows.
  """
  return catalogue.side(1 - account.role).products_N(account.vector_D)


def recommend(
  catalogue: catalogue_lib.Catalogue,
  brand: catalogue_lib.Account | str,
  top_k: int = 10,
  filters: filters_lib.Filters = filters_lib.NONE,
  *,
  score_M: np.ndarray | None = None,
) -> list[Recommendation]:
  """Ranks influencers for a brand: the exact best by score.

  Args:
    catalogue: who there is.
    brand: the brand, or its id in the bundle.
    top_k: how many; fewer come back where the filters leave fewer.
    filters: who may be among them.
    score_M: what `scores` returned for the brand, where it is at hand.

  Returns:
    The best, best first; of equal scores the lower row first.

  Raises:
    UserError: an unknown brand, a filter that can't be applied or leaves
      nobody, or more asked for than there are.
  """
  if isinstance(brand, str):
    brand = catalogue.brand(brand)
  passed = filters_lib.mask(catalogue, brand, filters)
  if not passed.mask_M.any():
    raise errors.UserError(f'the filters leave nobody: {passed.tell()}')
  return _rank(catalogue, brand, passed.mask_M, top_k, score_M)


def brands_for(
  catalogue: catalogue_lib.Catalogue,
  influencer: catalogue_lib.Account | str,
  top_k: int = 10,
  *,
  include_cooperating: bool = False,
) -> list[Recommendation]:
  """Ranks the brands of a catalogue for an influencer; see `recommend`.

  Args:
    catalogue: who there is.
    influencer: the influencer, or its id in the bundle.
    top_k: how many.
    include_cooperating: whether brands that it has worked with stay.

  Raises:
    UserError: an unknown influencer, or more asked for than there are.
  """
  if isinstance(influencer, str):
    influencer = catalogue.influencer(influencer)
  mask_B = np.ones(len(catalogue.brands), bool)
  if not include_cooperating:
    mask_B[_cooperating(catalogue, influencer)] = False
    if not mask_B.any():
      raise errors.UserError(
        f'influencer {errors.quoted(influencer.account_id, limit=60)} works'
        ' with every brand of the bundle already'
      )
  return _rank(catalogue, influencer, mask_B, top_k)


def parts_of(
  catalogue: catalogue_lib.Catalogue,
  account: catalogue_lib.Account,
  vector_D: np.ndarray,
) -> tuple[Part, ...]:
  """Splits a score, less that of the typical account, by pieces.

  Args:
    catalogue: its other side tells what is typical.
    account: the one that is asked about.
    vector_D: the account of the other role.

  Returns:
    Parts in the order of `catalogue.pieces`.
  """
  own = account.vector_D.astype(np.float64)
  beyond = vector_D - catalogue.side(1 - account.role).mean_D
  return tuple(
    Part(p.perspective, p.modality, float(own[p.where] @ beyond[p.where]))
    for p in catalogue.pieces
  )


def _rank(
  catalogue: catalogue_lib.Catalogue,
  account: catalogue_lib.Account,
  mask_N: np.ndarray,
  top_k: int,
  score_N: np.ndarray | None = None,
) -> list[Recommendation]:
  """Ranks the accounts of the other role that a mask lets through."""
  side = catalogue.side(1 - account.role)
  ordering.check_count(top_k, len(side), side.role)
  if score_N is None:
    score_N = scores(catalogue, account)
  rows = ordering.best_rows(score_N, mask_N, top_k)
  places = _places(score_N, rows)
  own = account.vector_D.astype(np.float64)
  typical = float(own @ side.mean_D)
  known = set(_cooperating(catalogue, account))
  return [
    Recommendation(
      rank=rank,
      place=place,
      account_id=str(side.ids_N[row]),
      row=row,
      score=float(own @ side.vector_NxD[row].astype(np.float64)),
      typical=typical,
      parts=parts_of(catalogue, account, side.vector_NxD[row]),
      cooperates=row in known,
      lacks=tuple(k for k, has in side.present.items() if not has[row]),
    )
    for rank, (row, place) in enumerate(zip(rows, places, strict=True), 1)
  ]


def _places(score_N: np.ndarray, rows: list[int]) -> list[int]:
  """Returns how many accounts score at least as high as each of some rows."""
  if len(rows) <= _FEW:
    return [int((score_N >= score_N[row]).sum()) for row in rows]
  ordered = np.sort(score_N)
  above = np.searchsorted(ordered, score_N[rows], side='left')
  places: list[int] = (len(ordered) - above).tolist()
  return places


def _cooperating(
  catalogue: catalogue_lib.Catalogue, account: catalogue_lib.Account
) -> list[int]:
  """Returns the rows of the other role that have worked with an account."""
  if account.row is None:
    return []
  if account.role == accounts_lib.BRAND:
    return list(catalogue.partners.get(account.row, []))
  brand_P, influencer_P = catalogue.positives_Px2.T
  rows: list[int] = brand_P[influencer_P == account.row].tolist()
  return rows
