"""CSV and XLSX files that are safe to open in a spreadsheet.

Names and biographies come from strangers. A cell that begins like a formula
would be run by the spreadsheet of whoever opens the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import importlib.util
import io
from typing import Any, TypeAlias

from morning_jax.core import errors

Cell: TypeAlias = Any  # text, a number, or None
Row: TypeAlias = Mapping[str, Cell]

_STARTS_FORMULA = ('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠')
_LONGEST_CELL = 32_767  # characters, as XLSX has it
_WIDEST = 60  # of a column, in characters


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
  """Writes rows as CSV: UTF-8 with the mark by which Excel knows it.

  Args:
    rows: of the same columns; one at least.
  """
  text = io.StringIO(newline='')
  writer = csv.writer(text, lineterminator='\r\n')
  writer.writerow([guarded(column) for column in rows[0]])
  for row in rows:
    writer.writerow(
      ['' if cell is None else guarded(cell) for cell in row.values()]
    )
  return text.getvalue().encode('utf-8-sig', 'backslashreplace')


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


def to_xlsx(rows: Sequence[Row], about: Row) -> bytes:
  """Writes rows as a spreadsheet, with a second sheet on where they come from.

  Text is text whatever it begins with: no formula and no link is made of it.

  Args:
    rows: of the same columns; one at least.
    about: what the second sheet lists.

  Raises:
    UserError: xlsxwriter is not installed.
  """
  check_installed()
  import xlsxwriter

  content = io.BytesIO()
  options = {
    'in_memory': True,
    'strings_to_formulas': False,
    'strings_to_urls': False,
    'strings_to_numbers': False,
  }
  with xlsxwriter.Workbook(content, options) as book:
    heading = book.add_format({'bold': True})
    sheet = book.add_worksheet('recommendations')
    _fill(sheet, [list(rows[0]), *(list(r.values()) for r in rows)], heading)
    sheet.freeze_panes(1, 2)
    sheet = book.add_worksheet('about')
    _fill(sheet, [['what', 'value'], *map(list, about.items())], heading)
  return content.getvalue()


def _fill(sheet: Any, lines: list[list[Cell]], heading: Any) -> None:
  widths = [0] * len(lines[0])
  for number, line in enumerate(lines):
    for place, cell in enumerate(line):
      widths[place] = max(widths[place], len(str(cell if cell else '')))
      style = heading if number == 0 else None
      if isinstance(cell, str):
        sheet.write_string(number, place, cell[:_LONGEST_CELL], style)
      elif cell is not None:
        sheet.write_number(number, place, cell, style)
  for place, width in enumerate(widths):
    sheet.set_column(place, place, min(width + 2, _WIDEST))
