"""Who follows the accounts of a bundle, by hash."""

from __future__ import annotations

import os
import pathlib
import re

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import tables

_HASH = re.compile('[0-9a-f]{8,128}')


def read_audience(
  folder: pathlib.Path, accounts: accounts_lib.Accounts, notes: list[str]
) -> accounts_lib.AudienceMembers | None:
  """Reads the followers, where the bundle has any.

  Args:
    folder: the bundle's folder.
    accounts: its accounts.
    notes: gets a line for duplicates.

  Returns:
    The followers; None where the bundle has no such file.

  Raises:
    BundleError: the table is not readable or empty, a row names an unknown
      account, or a follower by anything but a hash.
  """
  path = folder / layout.AUDIENCE
  if not os.path.lexists(path):
    return None
  index = tables.AccountIndex(accounts)
  number: dict[str, int] = {}
  pairs = []
  for row in tables.rows(path, ('role', 'account_id', 'member')):
    account = index.find(row, tables.role_of(row), 'account_id')
    member = row['member'].lower()
    if not _HASH.fullmatch(member):
      row.fail(
        f'member {errors.quoted(row["member"], limit=40)} is no hash: 8 to 128'
        ' hexadecimal digits, never the name or the number of a person'
      )
    pairs.append((account, number.setdefault(member, len(number))))
  if not pairs:
    raise layout.BundleError(
      errors.in_file(path, 'no members; leave the file out instead')
    )
  hashes = np.array(list(number))
  order = np.argsort(hashes)
  new_number = np.empty(len(hashes), np.int64)
  new_number[order] = np.arange(len(hashes))
  pairs_Nx2 = np.array(pairs, np.int64)
  pairs_Nx2[:, 1] = new_number[pairs_Nx2[:, 1]]
  unique_Nx2 = np.unique(pairs_Nx2, axis=0)
  if len(unique_Nx2) < len(pairs):
    notes.append(
      f'{layout.AUDIENCE}: {len(pairs) - len(unique_Nx2):,} duplicate rows'
      ' merged'
    )
  return accounts_lib.AudienceMembers(
    hashes_N=hashes[order],
    holder=unique_Nx2[:, 0],
    member=unique_Nx2[:, 1],
  )
