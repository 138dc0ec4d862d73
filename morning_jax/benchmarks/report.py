"""Tables of what benchmarks measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tabulate


def number(value: float) -> str:
  """Writes a number with four significant digits and no exponent."""
  if value and abs(value) < 1e-6:
    return f'{value:.3g}'
  digits = 4 if not value else max(0, 3 - _magnitude(value))
  return f'{value:,.{digits}f}'


def _magnitude(value: float) -> int:
  return int(f'{value:e}'.partition('e')[2])


def _cell(value: Any) -> str:
  if isinstance(value, int):
    return f'{value:,}'
  return str(value)


def of_figure(figure: Mapping[str, Any]) -> str:
  """Writes one figure on one line."""
  what = ', '.join(f'{k} {_cell(v)}' for k, v in figure['parameters'].items())
  return (
    f'{figure["name"]}: {what}: {number(figure["median"])} {figure["unit"]}'
  )


def of_machine(figure: Mapping[str, Any]) -> str:
  """Writes where and when a figure was measured, and the machine's rates."""
  machine = figure['machine']
  versions = ', '.join(f'{k} {v}' for k, v in figure['versions'].items())
  return (
    f'{figure["device"]} ({figure["platform"]}), {figure["threads"]} threads;'
    f' float32 products {number(machine["flops"] / 1e9)} GFLOP/s (exact ones'
    f' {number(machine["exact_flops"] / 1e9)}), memory'
    f' {number(machine["memory"] / 1e9)} GB/s read and written\n{versions};'
    f' {figure["date"]}'
  )


def of_figures(figures: Sequence[Mapping[str, Any]]) -> str:
  """Lays the figures of one benchmark out as a table.

  Args:
    figures: objects as the JSON file has them, of one benchmark; a parameter
      that a figure does not have is blank.

  Returns:
    A table; a column shows `limit`, the best that the machine allows, and the
    share of it that is achieved.
  """
  names = [
    name
    for name in dict.fromkeys(k for f in figures for k in f['parameters'])
    # A column only if there are several.
    if name != 'implementation'
    or len({f['parameters'].get(name) for f in figures}) > 1
  ]
  further = list(dict.fromkeys(k for f in figures for k in f['also']))
  rows = []
  for f in figures:
    ratio = f['ratio']
    rows.append(
      [
        *(_cell(f['parameters'].get(k, '')) for k in names),
        number(f['median']),
        number(f['spread']),
        f['unit'],
        number(f['limit']),
        f['limited_by'],
        f'{100 * f["share"]:.1f} %',
        f'{ratio["value"]:.2f} x {ratio["to"]}' if ratio else '',
        *(number(f['also'][k]) if k in f['also'] else '' for k in further),
      ]
    )
  headers = [k.replace('_', ' ') for k in names]
  headers += ['median', 'spread', 'unit', 'limit', 'limited by', 'share']
  headers += ['speed', *further]
  return tabulate.tabulate(
    rows,
    headers=headers,
    disable_numparse=True,
    tablefmt='pipe',
    colalign=tuple('right' if _is_number(r) else 'left' for r in rows[0]),
  )


def _is_number(text: str) -> bool:
  return text.replace(',', '').replace('.', '').removesuffix(' %').isdigit()
