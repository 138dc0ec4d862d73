"""Removes an account from a bundle, and a row from an array of accounts.

The bundle's folder is rewritten beside itself and takes its own name when it is
complete, so that nobody ever reads half of it. Columns that no reader of this
program knows are kept. What is removed is deleted, not moved elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import csv
import dataclasses
import fcntl
import io
import os
import pathlib
import shutil
from typing import Any, BinaryIO

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import user_files
from morning_jax.data.bundle import bundle
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import npy_file
from morning_jax.data.bundle import tables

_BLOCK = 1 << 26  # bytes of an array that are copied at a time
# Files in which no account is named.
_IMPERSONAL = (
  layout.ATTRIBUTES,
  layout.GRAPH,
  layout.FEATURE_NAMES,
  'attribute_vectors.txt',
  'fitted',  # what launch.prepare learned
)
_Named = Callable[[dict[str, str]], bool]


@dataclasses.dataclass(frozen=True)
class Place:
  """Where an account stands in a bundle.

  Attributes:
    role: `BRAND` or `INFLUENCER`.
    row: its row in `accounts.csv`, from 0, and of every array.
    row_of_role: its row among the accounts of its role, from 0.
    num_of_role: how many accounts have its role.
  """

  role: int
  row: int
  row_of_role: int
  num_of_role: int


@dataclasses.dataclass(frozen=True)
class Forgotten:
  """What was removed from a bundle.

  Attributes:
    rows: file -> rows that it lost; files that lost none are absent.
    unknown: files of the folder that no bundle has, which were left alone.
  """

  rows: dict[str, int]
  unknown: tuple[str, ...]


def find(
  accounts: accounts_lib.Accounts, account_id: str, role: int | None = None
) -> Place | None:
  """Finds an account of a bundle.

  Args:
    accounts: of the bundle.
    account_id: its name.
    role: its role; None for whichever has the name.

  Returns:
    Where it stands; None where nobody has the name.

  Raises:
    UserError: a brand and an influencer have it, and no role was named.
  """
  found = np.flatnonzero(accounts.ids == account_id)
  if role is not None:
    found = found[accounts.roles[found] == role]
  if len(found) > 1:
    raise errors.UserError(
      f'{errors.quoted(account_id, limit=60)} is a brand and an influencer, two'
      ' accounts; say which with --role=brand or --role=influencer'
    )
  if not len(found):
    return None
  row = int(found[0])
  same_role = accounts.rows_of(int(accounts.roles[row]))
  return Place(
    role=int(accounts.roles[row]),
    row=row,
    row_of_role=int(np.searchsorted(same_role, row)),
    num_of_role=len(same_role),
  )


@contextlib.contextmanager
def held(folder: pathlib.Path) -> Iterator[None]:
  """Keeps others from rewriting a bundle at the same time.

  Raises:
    BundleError: it is none.
    TransientError: another process rewrites it now.
  """
  files.restore_folder(files.real_path(folder))
  bundle.check_folder(folder)
  handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  try:
    try:
      fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
      changed = os.fstat(handle).st_ino != os.stat(folder).st_ino
    except BlockingIOError:
      changed = True
    if changed:
      raise errors.TransientError(
        errors.in_file(folder, 'another process rewrites it; run this again')
      )
    yield
  finally:
    os.close(handle)


def forget(
  folder: pathlib.Path, accounts: accounts_lib.Accounts, place: Place
) -> Forgotten:
  """Rewrites a bundle without an account, as a whole or not at all.

  Args:
    folder: the bundle's folder.
    accounts: what is in it now.
    place: where the account stands.

  Returns:
    What was removed.

  Raises:
    BundleError: what is left would be no bundle; nothing was changed.
    OSError: it can't be written; nothing was changed.
  """
  folder = files.real_path(folder)  # a link to a bundle stays one
  if (folder / layout.RECORDS).exists():
    raise layout.BundleError(
      errors.in_file(
        folder,
        'its features are records, which lose no row; remove the account from'
        ' the bundle of arrays and write the records again (launch.records)',
      )
    )
  files.remove_abandoned(folder.parent)
  rows: dict[str, int] = {}
  unknown: list[str] = []
  arrays = (*(f'{f}.npy' for f in accounts_lib.FEATURES), layout.PLANTED)
  with files.replaced_folder(folder) as draft:
    for path in sorted(folder.iterdir()):
      copy = draft / path.name
      if path.name.startswith('.') and path.name.endswith('.draft'):
        continue
      if path.name in arrays:
        lost = without_row(npy_file.load_array(path), place.row, copy)
      elif (named := _names_in(path.name, accounts, place)) is not None:
        lost = _without_lines(path, named, copy)
      else:
        if path.name not in _IMPERSONAL:
          unknown.append(path.name)
        if path.is_dir():
          shutil.copytree(path, copy, symlinks=True)
        else:
          shutil.copy2(path, copy, follow_symlinks=False)
        continue
      shutil.copymode(path, copy)
      if lost:
        rows[path.name] = lost
    try:
      bundle.read_bundle(draft)
    except layout.BundleError as e:
      problem = str(e).rpartition(f'{draft.name}{os.sep}')[2]
      raise layout.BundleError(
        errors.in_file(
          folder,
          f'not rewritten: without the account, {problem}; delete the folder'
          ' instead',
        )
      ) from None
  return Forgotten(rows, tuple(unknown))


def _names_in(
  file: str, accounts: accounts_lib.Accounts, place: Place
) -> _Named | None:
  """Returns what tells the account's rows of a table; None for other files."""
  name = str(accounts.ids[place.row])
  role = accounts_lib.ROLES[place.role]

  def by_role(cells: dict[str, str]) -> bool:
    return cells['account_id'] == name and cells['role'].lower() == role

  def by_pair(cells: dict[str, str]) -> bool:
    return cells[f'{role}_id'] == name

  return {
    layout.ACCOUNTS: by_role,
    layout.ACCOUNT_ATTRIBUTES: by_role,
    layout.AUDIENCE: by_role,
    layout.INTERACTIONS: by_pair,
  }.get(file)


def _without_lines(
  path: pathlib.Path, named: _Named, copy: pathlib.Path
) -> int:
  """Copies a table without the rows that name an account; returns how many."""
  lost = 0

  def write(file: BinaryIO) -> None:
    nonlocal lost
    lines = user_files.csv_rows(path, error=layout.BundleError)
    _, header = next(lines)
    columns = [cell.strip().lower() for cell in header]
    text = io.TextIOWrapper(file, encoding='utf-8', newline='')
    plain = csv.writer(text, lineterminator='\n')
    # A carriage return is quoted by no writer that ends lines without one.
    quoting = csv.writer(text, lineterminator='\n', quoting=csv.QUOTE_ALL)
    plain.writerow(header)
    for _, cells in lines:
      stripped = (cell.strip() for cell in cells)
      if named(dict(zip(columns, stripped, strict=True))):
        lost += 1
      else:
        has_return = any('\r' in cell for cell in cells)
        (quoting if has_return else plain).writerow(cells)
    text.flush()
    text.detach()

  files.write_whole(copy, write)
  return lost


def without_row(array: np.ndarray, row: int, path: pathlib.Path) -> int:
  """Writes an array without one of its rows, a block at a time.

  Args:
    array: [rows, columns], possibly mapped from a file.
    row: the row that is left out.
    path: the `.npy` file to write, whole or not at all; it may be the one that
      the array is mapped from.

  Returns:
    1, the number of rows that are left out.
  """
  step = max(1, _BLOCK // (array.itemsize * array.shape[1]))
  header: dict[str, Any] = {
    'descr': np.lib.format.dtype_to_descr(array.dtype),
    'fortran_order': False,
    'shape': (len(array) - 1, *array.shape[1:]),
  }

  def write(file: BinaryIO) -> None:
    np.lib.format.write_array_header_1_0(file, header)
    for first, end in ((0, row), (row + 1, len(array))):
      for start in range(first, end, step):
        block = array[start : min(start + step, end)]
        file.write(np.ascontiguousarray(block).tobytes())

  files.write_whole(path, write)
  return 1


def near(accounts: accounts_lib.Accounts, account_id: str) -> str:
  """Returns a hint at names like one that nobody has; '' without any."""
  return tables.near(account_id, accounts.ids.tolist())
