"""The accounts of a bundle, and who advertised for whom."""

from __future__ import annotations

import pathlib
import re

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import tables

_MOST_FOLLOWERS = (1 << 63) - 1  # what an int64 holds
_REQUIRED = ('account_id', 'role', 'category', 'split')
_OPTIONAL = ('found_under_category', 'followers', 'biography')


def read_accounts(
  folder: pathlib.Path, *, both_roles: bool = True
) -> accounts_lib.Accounts:
  """Reads who the rows of the data set are.

  Args:
    folder: the bundle's folder.
    both_roles: whether there must be a brand and an influencer.

  Returns:
    The A accounts, in the order of the file.

  Raises:
    BundleError: the table is missing or not readable, a row is wrong or there
      twice, or a role has no account.
  """
  path = folder / layout.ACCOUNTS
  ids: list[str] = []
  roles: list[int] = []
  splits: list[str] = []
  categories: list[str] = []
  columns: dict[str, list[str]] = {}
  followers: list[int] = []
  first_seen: dict[tuple[int, str], int] = {}
  for row in tables.rows(path, _REQUIRED, _OPTIONAL):
    account = row['account_id']
    if not account:
      row.fail('account_id is empty')
    role = tables.role_of(row)
    seen = first_seen.setdefault((role, account), row.number)
    if seen != row.number:
      row.fail(
        f'{accounts_lib.ROLES[role]} {errors.quoted(account)} is already in row'
        f' {seen}'
      )
    ids.append(account)
    roles.append(role)
    splits.append(_split(row, role))
    categories.append(row['category'])
    for name in row.cells.keys() & set(_OPTIONAL):
      columns.setdefault(name, []).append(row[name])
    if 'followers' in row.cells:
      followers.append(_followers(row))
  if not ids:
    raise layout.BundleError(
      errors.in_file(path, 'no accounts; the bundle is empty')
    )
  for role_id, role_name in enumerate(accounts_lib.ROLES):
    if both_roles and role_id not in roles:
      raise layout.BundleError(
        errors.in_file(path, f'there is no {role_name} among the accounts')
      )

  def text_column(name: str) -> np.ndarray | None:
    return np.array(columns[name]) if name in columns else None

  return accounts_lib.Accounts(
    ids=np.array(ids),
    roles=np.array(roles, np.int8),
    categories=np.array(categories),
    splits=np.array(splits),
    found_under=text_column('found_under_category'),
    followers=np.array(followers, np.int64) if followers else None,
    biographies=text_column('biography'),
  )


def _split(row: tables.Row, role: int) -> str:
  """Returns a brand's split, '' for an influencer."""
  split, name = row['split'].lower(), accounts_lib.ROLES[role]
  if role == accounts_lib.INFLUENCER and not split:
    return ''
  if split not in accounts_lib.SPLITS:
    hint = tables.near(split, accounts_lib.SPLITS)
    if not split:
      hint = '; a brand for neither training nor evaluation is left out'
    row.fail(
      f'split {errors.quoted(row["split"], limit=40)} of {name}'
      f' {errors.quoted(row["account_id"], limit=40)} is none of'
      f' {", ".join(accounts_lib.SPLITS)}{hint}'
    )
  # A split says nothing about an influencer, so any known one is allowed.
  return split if role == accounts_lib.BRAND else ''


def _followers(row: tables.Row) -> int:
  """Returns a number of followers, -1 where it is unknown."""
  text = row['followers']
  if not text:
    return -1
  if not re.fullmatch(r'[+-]?[0-9]+', text):
    row.fail(f'followers {errors.quoted(text)} is not a whole number')
  if text.startswith('-') and text.strip('-0'):
    row.fail(f'followers {errors.quoted(text)} is negative')
  digits = text.lstrip('+-0')
  if len(digits) > 19 or int(digits or 0) > _MOST_FOLLOWERS:
    row.fail(f'followers {errors.quoted(text)} is too large a number')
  return int(digits or 0)


def read_interactions(
  folder: pathlib.Path, accounts: accounts_lib.Accounts, notes: list[str]
) -> np.ndarray:
  """Reads who worked for whom.

  Args:
    folder: the bundle's folder.
    accounts: its accounts.
    notes: gets a line for duplicates and one for brands without a positive.

  Returns:
    int64 [P, 2], account rows (brand, influencer), no duplicates, in the order
    of the file.

  Raises:
    BundleError: the table is missing, not readable or empty, or a row names an
      unknown account.
  """
  path = folder / layout.INTERACTIONS
  index = tables.AccountIndex(accounts)
  pairs = [
    (
      index.find(row, accounts_lib.BRAND, 'brand_id'),
      index.find(row, accounts_lib.INFLUENCER, 'influencer_id'),
    )
    for row in tables.rows(path, ('brand_id', 'influencer_id'))
  ]
  if not pairs:
    raise layout.BundleError(
      errors.in_file(path, 'no interactions; the bundle is empty')
    )
  all_pairs = np.array(pairs, np.int64)
  _, first = np.unique(all_pairs, axis=0, return_index=True)
  merged = len(all_pairs) - len(first)
  if merged:
    notes.append(
      f'{layout.INTERACTIONS}: {merged:,} duplicate interactions merged'
    )
  positives = all_pairs[np.sort(first)]
  idle = len(
    np.setdiff1d(accounts.rows_of(accounts_lib.BRAND), positives[:, 0])
  )
  if idle:
    notes.append(
      f'{layout.INTERACTIONS}: {idle:,} brands without a positive are left out'
    )
  return positives
