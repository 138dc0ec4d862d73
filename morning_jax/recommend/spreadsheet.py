"""CSV and XLSX files that are safe to open in a spreadsheet.

Names and biographies come from strangers. A cell that begins like a formula
would be run by the spreadsheet of whoever opens the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import csv
import datetime
import importlib.util
import io
import itertools
from typing import Any, BinaryIO, TypeAlias

from morning_jax.core import errors

Cell: TypeAlias = Any  # text, a number, or None
Row: TypeAlias = Mapping[str, Cell]

_STARTS_FORMULA = ('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠')
_LONGEST_CELL = 32_767  # characters, as XLSX has it
_WIDEST = 60  # of a column, in characters
_MOST_ROWS = 1_048_576  # of a sheet


def guarded(cell: Cell) -> Cell:
  """Returns a cell that no spreadsheet takes for a formula.

  Args:
    cell: a text, a number, or nothing.

  Returns:
    Text that begins like a formula has an apostrophe in front. Numbers stay
    numbers.
  """
  if isinstance(cell, str) and cell.lstrip(' ').startswith(_STARTS_FORMULA):
    return f"'{cell}"
  return cell


def to_csv(rows: Sequence[Row]) -> bytes:
  """Returns rows as CSV; see `write_csv`.

  Args:
    rows: of the same columns; one at least.
  """
  content = io.BytesIO()
  write_csv(content, list(rows[0]), (list(row.values()) for row in rows))
  return content.getvalue()


def write_csv(
  file: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> None:
  """Writes rows as CSV: UTF-8 with the mark by which Excel knows it.

  Args:
    file: open for writing.
    columns: their headings.
    rows: the cells of each row; they are not held all at once.
  """
  text = io.TextIOWrapper(
    file, 'utf-8-sig', 'backslashreplace', newline='', write_through=True
  )
  try:
    writer = csv.writer(text, lineterminator='\r\n')
    writer.writerow([guarded(column) for column in columns])
    for row in rows:
      writer.writerow(['' if cell is None else guarded(cell) for cell in row])
  finally:
    text.detach()


def check_installed() -> None:
  """Checks, before the work, that a workbook can be written.

  Raises:
    UserError: xlsxwriter is not installed.
  """
  if importlib.util.find_spec('xlsxwriter') is None:
    raise errors.UserError(
      'a spreadsheet needs xlsxwriter: pip install'
      " 'morning_jax[spreadsheet]'; --format=csv needs nothing"
    )


def check_rows(count: int) -> None:
  """Checks that a sheet holds so many rows and its headings.

  Raises:
    UserError: it holds fewer.
  """
  if count >= _MOST_ROWS:
    raise errors.UserError(
      f'{count:,} rows are more than the {_MOST_ROWS - 1:,} that a sheet'
      ' holds; --format=csv has no limit'
    )


def to_xlsx(rows: Sequence[Row], about: Row) -> bytes:
  """Returns rows as a spreadsheet; see `write_xlsx`.

  Args:
    rows: of the same columns; one at least.
    about: what the second sheet lists.

  Raises:
    UserError: xlsxwriter is not installed.
  """
  content = io.BytesIO()
  cells = (list(row.values()) for row in rows)
  write_xlsx(content, list(rows[0]), cells, about)
  return content.getvalue()


def write_xlsx(
  file: BinaryIO,
  columns: Sequence[str],
  rows: Iterable[Sequence[Cell]],
  about: Row,
  *,
  date: str | None = None,
  large: bool = False,
) -> None:
  """Writes a spreadsheet, with a second sheet on where its rows come from.

  Text is text whatever it begins with: no formula and no link is made of it.

  Args:
    file: open for writing.
    columns: headings.
    rows: the cells of each row.
    about: what the second sheet lists.
    date: when it was made, in ISO format; now if None.
    large: whether rows go to a temporary file, not to be held all at once.

  Raises:
    UserError: xlsxwriter is not installed.
  """
  check_installed()
  import xlsxwriter

  options = {
    'in_memory': not large,
    'constant_memory': large,
    'strings_to_formulas': False,
    'strings_to_urls': False,
    'strings_to_numbers': False,
  }
  with xlsxwriter.Workbook(file, options) as book:
    if date is not None:
      made = datetime.datetime.fromisoformat(date).replace(tzinfo=None)
      book.set_properties({'created': made})
    heading = book.add_format({'bold': True})
    sheet = book.add_worksheet('recommendations')
    _fill(sheet, columns, rows, heading)
    sheet.freeze_panes(1, 2)
    sheet = book.add_worksheet('about')
    _fill(sheet, ['what', 'value'], map(list, about.items()), heading)


def _fill(
  sheet: Any,
  columns: Sequence[str],
  rows: Iterable[Sequence[Cell]],
  heading: Any,
) -> None:
  widths = [0] * len(columns)
  for number, line in enumerate(itertools.chain([columns], rows)):
    for place, cell in enumerate(line):
      widths[place] = max(widths[place], len(str(cell if cell else '')))
      style = heading if number == 0 else None
      if isinstance(cell, str):
        sheet.write_string(number, place, cell[:_LONGEST_CELL], style)
      elif cell is not None:
        sheet.write_number(number, place, cell, style)
  for place, width in enumerate(widths):
    sheet.set_column(place, place, min(width + 2, _WIDEST))
