"""The comparison's tables: for the terminal, CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import csv
import dataclasses
import io

import tabulate

from morning_jax.comparison import statistics
from morning_jax.evaluation import metrics as metrics_lib

_ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class Row:
  """A row of a table.

  Attributes:
    name: of the method.
    runs: number of trainings behind it.
    cells: metric -> numbers.
    group: what the table is split by, where it is: a category.
    brands: number of brands.
  """

  name: str
  runs: int
  cells: Mapping[str, statistics.Cell]
  group: str = ''
  brands: int = 0


@dataclasses.dataclass(frozen=True)
class Table:
  """A table as text in cells, whatever it is written as."""

  headers: list[str]
  rows: list[list[str]]


def _digits(metric: str) -> int:
  return 1 if metric == 'medr' else 3


def _significant(cell: statistics.Cell) -> bool:
  return cell.p_holm is not None and cell.p_holm < _ALPHA


def _value(cell: statistics.Cell, metric: str) -> str:
  if cell.mean is None:
    return '-'
  digits = _digits(metric)
  text = f'{cell.mean:.{digits}f} ±'
  if cell.low is None or cell.high is None:
    text += '-'
  else:
    text += f'{(cell.high - cell.low) / 2:.{digits}f}'
  return text + ('*' if _significant(cell) else '')


def _difference(cell: statistics.Cell, metric: str, *, brackets: bool) -> str:
  low, high = cell.difference_low, cell.difference_high
  if cell.difference is None:
    return '-'
  digits = _digits(metric)
  text = f'{cell.difference:+.{digits}f}'
  if low is None or high is None:
    text += ' [-]' if brackets else ' ±-'
  elif brackets:
    text += f' [{low:+.{digits}f}, {high:+.{digits}f}]'
  else:
    text += f' ±{(high - low) / 2:.{digits}f}'
  return text + ('*' if _significant(cell) else '')


def of_values(rows: Sequence[Row]) -> Table:
  """Makes the table of means with half-widths of their intervals."""
  grouped = any(r.group for r in rows)
  return Table(
    headers=[
      *(['category', 'brands'] if grouped else []),
      'method',
      *([] if grouped else ['trainings']),
      *metrics_lib.TITLES.values(),
    ],
    rows=[
      [
        *([r.group, str(r.brands)] if grouped else []),
        r.name,
        *([] if grouped else [str(r.runs)]),
        *(_value(r.cells[m], m) for m in metrics_lib.METRICS),
      ]
      for r in rows
    ],
  )


def of_differences(rows: Sequence[Row], *, brackets: bool = True) -> Table:
  """Makes the table of differences from the reference.

  Args:
    rows: of all methods; those without a difference are left out.
    brackets: whether to write both ends of an interval, or half its width.

  Returns:
    The table.
  """
  return Table(
    headers=['method', *metrics_lib.TITLES.values()],
    rows=[
      [
        r.name,
        *(
          _difference(r.cells[m], m, brackets=brackets)
          for m in metrics_lib.METRICS
        ),
      ]
      for r in rows
      if any(c.difference is not None for c in r.cells.values())
    ],
  )


def _write(table: Table, form: str) -> str:
  left = table.headers.index('method') + 1
  return tabulate.tabulate(
    table.rows,
    headers=table.headers,
    tablefmt=form,
    disable_numparse=True,
    colalign=['left'] * left + ['right'] * (len(table.headers) - left),
  )


def to_text(table: Table) -> str:
  """Writes a table for the terminal."""
  return _write(table, 'simple')


def to_markdown(table: Table) -> str:
  """Writes a table as Markdown."""
  # What Markdown would read as the end of a cell, or as emphasis.
  escaped = str.maketrans({'|': r'\|', '*': r'\*'})
  return _write(
    Table(
      [h.translate(escaped) for h in table.headers],
      [[c.translate(escaped) for c in row] for row in table.rows],
    ),
    'github',
  )


def to_latex(table: Table, *, caption: str) -> str:
  """Writes a table as a LaTeX float; it needs the package booktabs.

  Args:
    table: the table; its cells are escaped.
    caption: LaTeX.
  """
  tabular = _write(table, 'latex_booktabs').replace('±', r'$\pm$')
  return '\n'.join(
    [
      r'\begin{table}',
      r'\centering',
      rf'\caption{{{caption}}}',
      tabular,
      r'\end{table}',
    ]
  )


def to_csv(rows: Sequence[Row]) -> str:
  """Writes every number of every row, one line a method and metric."""
  fields = [f.name for f in dataclasses.fields(statistics.Cell)]
  out = io.StringIO()
  writer = csv.writer(out, lineterminator='\n')
  grouped = any(r.group for r in rows)
  writer.writerow(
    [
      *(['category', 'brands'] if grouped else []),
      'method',
      'trainings',
      'metric',
      *fields,
    ]
  )
  for row in rows:
    for metric, cell in row.cells.items():
      values = dataclasses.asdict(cell)
      writer.writerow(
        [
          *([row.group, row.brands] if grouped else []),
          row.name,
          row.runs,
          metric,
          *('' if values[f] is None else values[f] for f in fields),
        ]
      )
  return out.getvalue()


def document(
  sections: Sequence[tuple[str, Table]],
  notes: Sequence[str],
  *,
  write: Callable[[Table], str],
  bullet: str,
  heading: str,
) -> str:
  """Joins tables and their notes to a text.

  Args:
    sections: title and table each.
    notes: lines below the tables.
    write: table -> text.
    bullet: what a note begins with.
    heading: what a title begins with.

  Returns:
    The text.
  """
  parts = [f'{heading}{title}\n\n{write(table)}' for title, table in sections]
  parts.append('\n'.join(f'{bullet}{n}' for n in notes))
  return '\n\n'.join(parts) + '\n'
