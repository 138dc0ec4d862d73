"""The CSV tables of a bundle: rows by column name, and what they refer to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import difflib
import pathlib
from typing import NoReturn

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.data.bundle import layout

_FEW = 100_000  # names among which near ones are looked for
_SHORT = 100  # characters of a name for which near ones are looked for
_LONGEST = 1_000  # characters of a cell, but for free text
_LONGEST_FREE = 10_000
_ONE_OF = ('a brand', 'an influencer')
# Free text keeps the white space at its ends.
_FREE_TEXT = ('biography',)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
  """One row of a table, whose mistakes name file and row.

  Attributes:
    path: the table.
    number: as a spreadsheet shows it.
    cells: column -> text, of the columns that are read.
  """

  path: pathlib.Path
  number: int
  cells: dict[str, str]

  def __getitem__(self, column: str) -> str:
    return self.cells[column]

  def fail(self, problem: str) -> NoReturn:
    """Raises a BundleError about this row."""
    raise layout.BundleError(
      errors.in_file(self.path, problem, row=self.number)
    )


def near(word: str, known: Sequence[str]) -> str:
  """Returns a hint at names like a word, '' where there are none."""
  if len(known) > _FEW or len(word) > _SHORT:
    return ''
  short = [k for k in known if len(k) <= _SHORT]
  found = difflib.get_close_matches(word, short, n=3)
  return f' (near: {", ".join(found)})' if found else ''


def rows(
  path: pathlib.Path,
  required: tuple[str, ...],
  optional: tuple[str, ...] = (),
) -> Iterator[Row]:
  """Reads a table.

  Args:
    path: the file.
    required: the columns that it must have, in any order and case.
    optional: those that are read as well where it has them.

  Yields:
    Its rows. Cells have no white space at their ends, except free text.

  Raises:
    BundleError: the file can't be read, lacks a column or has one twice, a row
      has more or fewer cells than the header, or a cell is too long.
  """
  lines = user_files.csv_rows(path, error=layout.BundleError)
  number, header = next(lines, (1, []))
  place = {name.strip().lower(): i for i, name in enumerate(header)}
  top = Row(path, number, {})
  missing = [c for c in required if c not in place]
  if missing:
    top.fail(
      f'no column {", ".join(missing)}; the columns must include'
      f' {",".join(required)}, separated by commas (or by semicolons alone)'
    )
  if len(place) < len(header):
    top.fail('a column name occurs twice')
  columns = {c: place[c] for c in (*required, *optional) if c in place}
  for number, line in lines:
    row = Row(path, number, {})
    if len(line) != len(header):
      row.fail(
        f'the header has {len(header)} columns, this row has {len(line)}'
      )
    for name, i in columns.items():
      is_free = name in _FREE_TEXT
      limit = _LONGEST_FREE if is_free else _LONGEST
      if len(line[i]) > limit:
        row.fail(
          f'{name} has {len(line[i]):,} characters; at most {limit:,} are read'
        )
      row.cells[name] = line[i] if is_free else line[i].strip()
    yield row


def role_of(row: Row) -> int:
  """Returns the role that a row names, whatever its case."""
  role = row['role'].lower()
  if role not in accounts_lib.ROLES:
    row.fail(
      f'role {errors.quoted(row["role"])} is neither brand nor influencer'
      + near(role, accounts_lib.ROLES)
    )
  return accounts_lib.ROLES.index(role)


class AccountIndex:
  """Finds the row of the account table by role and name."""

  def __init__(self, accounts: accounts_lib.Accounts) -> None:
    self._rows: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for row, (name, role) in enumerate(
      zip(accounts.ids.tolist(), accounts.roles.tolist(), strict=True)
    ):
      self._rows[role][name] = row

  def find(self, row: Row, role: int, column: str) -> int:
    """Returns the account of a role that a row's column names.

    Raises:
      BundleError: there is none; lists near names.
    """
    name = row[column]
    found = self._rows[role].get(name)
    if found is None:
      if name in self._rows[1 - role]:
        hint = f' ({_ONE_OF[1 - role]} has that name)'
      else:
        hint = near(name, list(self._rows[role]))
      row.fail(
        f'{accounts_lib.ROLES[role]} {errors.quoted(name)} is not in'
        f' {layout.ACCOUNTS}{hint}'
      )
    return found
