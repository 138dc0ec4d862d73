"""Accounts that are like an account, by what tells them from the typical one.

Raw representations have much in common, whoever it is; their cosines are all
high. Centred on the catalogue they tell accounts apart.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import ordering


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


def similar(
  catalogue: catalogue_lib.Catalogue,
  account: catalogue_lib.Account | str,
  perspective: str | None = None,
  top_k: int = 10,
  *,
  exclude: frozenset[str] = frozenset(),
) -> list[Similar]:
  """Finds the accounts of the same role that are most like one.

  Args:
    catalogue: who there is.
    account: an account, or an influencer's id in the bundle.
    perspective: the perspective to compare by; None for all of them, weighed
      as the score weighs them.
    top_k: how many, the account itself left out.
    exclude: ids of accounts that are left out.

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
  if exclude:
    mask_N &= ~np.isin(side.ids_N, list(exclude))
  ordering.check_count(
    top_k, len(side) - (account.row is not None), account.role
  )
  if not mask_N.any():
    left = f' shows anything of {perspective}' if perspective else ' is left'
    raise errors.UserError(f'no other {accounts_lib.ROLES[account.role]}{left}')
  similarity_N = similarities(catalogue, account, where)
  return [
    Similar(
      rank=rank,
      account_id=str(side.ids_N[row]),
      row=row,
      similarity=float(similarity_N[row]),
    )
    for rank, row in enumerate(
      ordering.best_rows(similarity_N, mask_N, top_k), 1
    )
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
  product_N = side.products_N(own.astype(np.float32), where) - mean @ own
  length_N = side.spread_N(where) * np.linalg.norm(own)
  return np.clip(
    np.divide(
      product_N, length_N, out=np.zeros(len(side)), where=length_N > 1e-12
    ),
    -1.0,
    1.0,
  )
