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


@dataclasses.dataclass(frozen=True)
class Similar:
  """An account that is like another.

  Attributes:
    rank: from 1.
    account_id: its name.
    row: its row among the catalogue's accounts of its role.
    similarity: cosine of the two distances from the typical account, -1 to 1.
  """

  rank: int
  account_id: str
  row: int
  similarity: float


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
  return catalogue.side(1 - account.role).vector_NxD @ account.vector_D


def recommend(
  catalogue: catalogue_lib.Catalogue,
  brand: catalogue_lib.Account | str,
  top_k: int = 10,
  filters: filters_lib.Filters = filters_lib.NONE,
) -> list[Recommendation]:
  """Ranks influencers for a brand: the exact best by score.

  Args:
    catalogue: who there is.
    brand: the brand, or its id in the bundle.
    top_k: how many; fewer come back where the filters leave fewer.
    filters: who may be among them.

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
  return _rank(catalogue, brand, passed.mask_M, top_k)


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
  return _rank(catalogue, influencer, mask_B, top_k)


def similar(
  catalogue: catalogue_lib.Catalogue,
  account: catalogue_lib.Account | str,
  perspective: str | None = None,
  top_k: int = 10,
) -> list[Similar]:
  """Finds the accounts of the same role that are most like one.

  Args:
    catalogue: who there is.
    account: an account, or an influencer's id in the bundle.
    perspective: the perspective to compare by; None for all of them, weighed
      as the score weighs them.
    top_k: how many, the account itself left out.

  Returns:
    The most similar, first; those who lack the perspective are not among them.

  Raises:
    UserError: an unknown account, a perspective that the model or the account
      does not have, or more asked for than there are.
  """
  if isinstance(account, str):
    account = catalogue.influencer(account)
  side = catalogue.side(account.role)
  mask_N = np.ones(len(side), bool)
  where = slice(None)
  if perspective is not None:
    if perspective not in catalogue.perspectives:
      raise errors.UserError(filters_lib.no_perspective(catalogue, perspective))
    if perspective in account.lacks:
      raise errors.UserError(
        f'{accounts_lib.ROLES[account.role]}'
        f' {errors.quoted(account.account_id, limit=60)} shows nothing of the'
        f' perspective {perspective}'
      )
    where = catalogue.slices[perspective]
    mask_N &= side.present[perspective]
  if account.row is not None:
    mask_N[account.row] = False
  _check_count(top_k, len(side) - (account.row is not None), account.role)
  similarity_N = similarities(catalogue, account, where)
  return [
    Similar(
      rank=rank,
      account_id=str(side.ids_N[row]),
      row=row,
      similarity=float(similarity_N[row]),
    )
    for rank, row in enumerate(best_rows(similarity_N, mask_N, top_k), 1)
  ]


def similarities(
  catalogue: catalogue_lib.Catalogue,
  account: catalogue_lib.Account,
  where: slice = slice(None),
) -> np.ndarray:
  """Compares an account with all of its role, by centred cosine.

  Args:
    catalogue: who there is.
    account: the account.
    where: coordinates to compare by.

  Returns:
    float64, -1 to 1; 0 where one of the two is the typical account itself.
  """
  side = catalogue.side(account.role)
  mean = side.mean_D[where]
  own = account.vector_D[where] - mean
  product_N = side.vector_NxD[:, where] @ own.astype(np.float32) - mean @ own
  length_N = side.spread_N(where) * np.linalg.norm(own)
  return np.clip(
    np.divide(
      product_N, length_N, out=np.zeros(len(side)), where=length_N > 1e-12
    ),
    -1.0,
    1.0,
  )


def best_rows(score_N: np.ndarray, mask_N: np.ndarray, top_k: int) -> list[int]:
  """Returns the rows with the highest scores among some, best first.

  Args:
    score_N: scores.
    mask_N: which rows take part.
    top_k: how many rows, at most.

  Returns:
    Rows; of equal scores the lower one first.
  """
  rows = np.flatnonzero(mask_N)
  if top_k < len(rows):
    score = score_N[rows]
    least = np.partition(score, len(rows) - top_k)[len(rows) - top_k]
    rows = rows[score >= least]
  order = np.argsort(-score_N[rows], kind='stable')
  found: list[int] = rows[order[:top_k]].tolist()
  return found


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
) -> list[Recommendation]:
  """Ranks the accounts of the other role that a mask lets through."""
  side = catalogue.side(1 - account.role)
  _check_count(top_k, len(side), side.role)
  score_N = scores(catalogue, account)
  rows = best_rows(score_N, mask_N, top_k)
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


def _check_count(top_k: int, there: int, role: int) -> None:
  if top_k < 1:
    raise errors.UserError(f'top_k={top_k}: ask for one at least')
  if top_k > there:
    raise errors.UserError(
      f'top_k={top_k:,}: there are {there:,} {accounts_lib.ROLES[role]}s in the'
      ' bundle'
    )
