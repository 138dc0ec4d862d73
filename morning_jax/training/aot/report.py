"""Tables of what a compiled step needs, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tabulate

from morning_jax.training.aot import hlo

_LARGEST = 12  # collectives that are listed one by one


def _bytes(x: float) -> str:
  for unit in ('B', 'KiB', 'MiB'):
    if x < 1024:
      return f'{x:,.1f} {unit}'
    x /= 1024
  return f'{x:,.2f} GiB'


def _milliseconds(x: float) -> str:
  return f'{1e3 * x:,.3f} ms'


def _collectives(collectives: Sequence[hlo.Collective]) -> str:
  ordered = sorted(collectives, key=lambda c: -c.bytes_sent)
  rows: list[list[Any]] = [
    [
      c.kind,
      c.shapes[:48],
      c.devices,
      c.times,
      _bytes(c.bytes),
      _bytes(c.bytes_sent),
    ]
    for c in ordered[:_LARGEST]
  ]
  rest = ordered[_LARGEST:]
  if rest:
    sent = sum(c.bytes_sent for c in rest)
    rows.append([f'{len(rest)} smaller', '', '', '', '', _bytes(sent)])
  return tabulate.tabulate(
    rows,
    headers=['collective', 'result', 'group', 'times', 'size', 'sent'],
    colalign=('left', 'left', 'right', 'right', 'right', 'right'),
  )


def of_report(report: Any) -> str:
  """Formats a `figures.Report`, figures per device and step.

  Args:
    report: the report.

  Returns:
    Lines of text.
  """
  mesh = ' x '.join(f'{k} {v}' for k, v in report.mesh.items())
  step = {
    'train': f'{report.batch_size:,} pairs a step',
    'encode': 'a block of influencers a step',
    'ranking': 'a search a step',
  }[report.job]
  lines = [
    f'{report.topology}: mesh {mesh}, {step}; figures are of one device and one'
    ' step'
  ]
  capacity = _bytes(report.chip.memory_bytes)
  if report.out_of_memory:
    lines.append(f'does not fit into {capacity}: {report.out_of_memory}')
    return '\n'.join(lines)
  rows = [[f'memory: {k}', _bytes(v)] for k, v in report.memory.items()]
  share = report.memory['total'] / report.chip.memory_bytes
  rows.append(['memory of the device', f'{capacity} ({share:.1%} taken)'])
  rows.append(['operations', f'{report.flops:,.4g} FLOP'])
  rows.append(['bytes read and written', _bytes(report.bytes_accessed)])
  rows.append(['of them to and from HBM', _bytes(report.off_chip_bytes)])
  names = {
    'compute': 'time at peak FLOP/s (bfloat16)',
    'memory': 'time at peak HBM bandwidth, at most',
    'exchange': 'time at peak link bandwidth',
    'at_least': 'step, all overlapped',
    'one_after_another': 'step, exchange not overlapped',
  }
  rows += [[names[k], _milliseconds(v)] for k, v in report.seconds.items()]
  lines.append(
    tabulate.tabulate(
      rows, tablefmt='plain', colalign=('left', 'right'), disable_numparse=True
    )
  )
  by, operation = report.bound
  lines.append(f'bound by {by}; most of it: {operation}')
  if report.collectives:
    lines += ['', _collectives(report.collectives)]
  if not report.fits:
    lines.append(f'\ndoes not fit into {capacity}')
  return '\n'.join(lines)


def of_sweep(name: str, values: Sequence[int], reports: Sequence[Any]) -> str:
  """Formats the reports of several sizes as a table.

  Args:
    name: what was varied.
    values: its values.
    reports: a `figures.Report` each.

  Returns:
    Lines of text.
  """
  rows = []
  for value, report in zip(values, reports, strict=True):
    if report.out_of_memory:
      rows.append([f'{value:,}', 'too much', 'no', '', '', '', ''])
      continue
    rows.append(
      [
        f'{value:,}',
        _bytes(report.memory['total']),
        'yes' if report.fits else 'no',
        f'{report.flops:.4g}',
        _bytes(report.bytes_accessed),
        _bytes(sum(c.bytes_sent for c in report.collectives)),
        _milliseconds(report.seconds['one_after_another']),
      ]
    )
  return tabulate.tabulate(
    rows,
    headers=[name, 'memory', 'fits', 'FLOP', 'accessed', 'sent', 'step'],
    colalign=('right', 'right', 'left', 'right', 'right', 'right', 'right'),
    disable_numparse=True,
  )
