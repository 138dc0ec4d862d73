"""Accounts of a bundle by role and name."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import tables

_ARTICLES = ('a brand', 'an influencer')


def _ids(dataset: accounts_lib.Dataset, role: int) -> np.ndarray:
  return dataset.accounts.ids[dataset.accounts.rows_of(role)]


def unknown(
  dataset: accounts_lib.Dataset, role: int, account_id: str
) -> errors.UserError:
  """Returns the error for a name that none has; it has the nearest names."""
  known = _ids(dataset, role).tolist()
  hint = tables.near(account_id, known)
  if account_id in _ids(dataset, 1 - role):
    hint = f' ({_ARTICLES[1 - role]} has that name)'
  return errors.UserError(
    f'{accounts_lib.ROLES[role]} {errors.quoted(account_id, limit=60)} is'
    f' none of the {len(known):,} in the bundle{hint}'
  )


def check(
  dataset: accounts_lib.Dataset, accounts: Iterable[tuple[int, str]]
) -> None:
  """Checks that a bundle has all accounts of some roles and names.

  Raises:
    UserError: it lacks one.
  """
  for role, account_id in accounts:
    if account_id not in _ids(dataset, role):
      raise unknown(dataset, role, account_id)
