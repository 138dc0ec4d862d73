"""The spreadsheet that names the scored test pairs of the released program.

`testset_r.xlsx` (or `.csv`) has a row for each pair that the arrays of the
ranking test set hold, in their order. Rows count from 1.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np

from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.data.released import arrays as released_arrays

TEST_PAIRS = 'testset_r'


@dataclasses.dataclass(frozen=True)
class Sheet:
  """The scored test pairs as the spreadsheet lists them.

  Attributes:
    path: the spreadsheet.
    names: the distinct names of the brands, of the influencers.
    pairs: int64 [rows, 2], indices into the two lists of names.
    positive: bool [rows].
  """

  path: pathlib.Path
  names: tuple[list[str], list[str]]
  pairs: np.ndarray
  positive: np.ndarray


def _text(cell: object) -> str | None:
  """Returns a cell as text; None for what is no name (a date, a boolean)."""
  if cell is None:
    return ''
  if isinstance(cell, float) and cell.is_integer():
    cell = int(cell)
  if isinstance(cell, bool) or not isinstance(cell, str | int | float):
    return None
  return str(cell).replace('\ufeff', '').strip()


def read_sheet(path: pathlib.Path) -> Sheet:
  """Reads the test pairs from a spreadsheet of three columns, no header.

  Args:
    path: the spreadsheet, `.xlsx` or `.csv`: brand, influencer, 1 or 0.

  Returns:
    The pairs, in the order of the rows.

  Raises:
    ReleaseError: the file is not readable, a row is wrong or contradicts
      another, or no pair is a positive.
  """
  readers = {'.xlsx': user_files.spreadsheet_rows, '.csv': user_files.csv_rows}
  read = readers.get(path.suffix.lower())
  if read is None:
    raise released_arrays.ReleaseError(
      errors.in_file(path, 'the test pairs come as .xlsx or .csv')
    )

  def mistake(problem: str, row: int | None) -> released_arrays.ReleaseError:
    return released_arrays.ReleaseError(errors.in_file(path, problem, row=row))

  indices: tuple[dict[str, int], dict[str, int]] = ({}, {})
  pairs: list[tuple[int, int]] = []
  positive: list[bool] = []
  for number, cells in read(path, error=released_arrays.ReleaseError):
    row = [_text(c) for c in cells]
    while row and row[-1] == '':
      row.pop()
    if not row:
      continue
    if number > len(pairs) + 1:
      raise mistake('is empty, yet more rows follow', len(pairs) + 1)
    if len(row) != 3 or not row[0] or not row[1]:
      raise mistake(
        'must hold a brand name, an influencer name and a label as text or'
        ' numbers',
        number,
      )
    if row[2] not in ('0', '1', '0.0', '1.0'):
      raise mistake(
        f'label {errors.quoted(row[2])} is neither 1 nor 0'
        + (' (the spreadsheet has no header)' if number == 1 else ''),
        number,
      )
    brand, influencer = (
      index.setdefault(name, len(index))
      for index, name in zip(indices, (row[0], row[1]), strict=True)
    )
    pairs.append((brand, influencer))
    positive.append(row[2].startswith('1'))
  if not any(positive):
    raise mistake('no row has label 1', None)
  sheet = Sheet(
    path,
    (list(indices[0]), list(indices[1])),
    np.array(pairs, np.int64),
    np.array(positive),
  )
  _check_labels(sheet)
  return sheet


def first_rows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Finds the first row of each code.

  Args:
    codes: int [rows].

  Returns:
    The first row of each code, by code, and for each row the first row of its
    code, int64 [rows].
  """
  _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
  return first, first[inverse]


def pair_codes(pairs: np.ndarray) -> np.ndarray:
  """Numbers pairs: int64 [rows, 2] to [rows], equal where pairs are equal."""
  return pairs[:, 0] * (pairs[:, 1].max() + 1) + pairs[:, 1]


def _check_labels(sheet: Sheet) -> None:
  _, first = first_rows(pair_codes(sheet.pairs))
  wrong = sheet.positive != sheet.positive[first]
  if wrong.any():
    row = int(wrong.argmax())
    brand, influencer = (
      names[i] for names, i in zip(sheet.names, sheet.pairs[row], strict=True)
    )
    raise released_arrays.ReleaseError(
      errors.in_file(
        sheet.path,
        f'the label of ({errors.quoted(brand, limit=40)},'
        f' {errors.quoted(influencer, limit=40)}) contradicts row'
        f' {first[row] + 1}',
        row=row + 1,
      )
    )


def find_sheet(
  root: pathlib.Path, test_pairs: str | os.PathLike[str] | None
) -> pathlib.Path | None:
  """Returns the spreadsheet that was named or is in the usual places.

  Args:
    root: the folder that holds `trainset` and its neighbours.
    test_pairs: the spreadsheet, if it was named.

  Returns:
    The spreadsheet; None where none was named and none is found.

  Raises:
    ReleaseError: there is no such file as was named.
  """
  if test_pairs is not None:
    path = pathlib.Path(test_pairs)
    if not os.path.lexists(path):
      raise released_arrays.ReleaseError(
        errors.in_file(path, 'no such file (the test pairs)')
      )
    return path
  for folder in (root, root / 'testset'):
    for suffix in ('.xlsx', '.csv'):
      path = folder / (TEST_PAIRS + suffix)
      if os.path.lexists(path):
        return path
  return None
