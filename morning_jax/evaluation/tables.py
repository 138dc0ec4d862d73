"""Tables of metrics for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

import tabulate

from morning_jax.evaluation import metrics as metrics_lib


def _cells(metrics: Mapping[str, Any]) -> list[str]:
  def cell(name: str) -> str:
    value = metrics.get(name)
    if value is None:
      return '-'
    return f'{value:.0f}' if name == 'medr' else f'{value:.4f}'

  return [cell(name) for name in metrics_lib.METRICS]


def of_splits(results: Mapping[str, Mapping[str, Any]]) -> str:
  """Formats metrics per split and category as a table.

  Args:
    results: split -> metrics, as in `metrics.json`.

  Returns:
    Lines of text.
  """
  rows = []
  for split, metrics in results.items():
    rows.append([split, metrics['num_brands'], *_cells(metrics)])
    if metrics.get('planted'):
      rows.append(
        [
          f'{split}: planted ceiling',
          metrics['num_brands'],
          *_cells(metrics['planted']),
        ]
      )
  for split, metrics in results.items():
    for category, values in metrics['per_category'].items():
      rows.append(
        [f'{split}: {category}', values['num_brands'], *_cells(values)]
      )
  return tabulate.tabulate(
    rows,
    headers=['split', 'brands', *metrics_lib.TITLES.values()],
    disable_numparse=True,
    colalign=('left', *['right'] * (len(metrics_lib.TITLES) + 1)),
  )


def of_folds(folds: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
  """Summarizes the folds of a cross-validation.

  Args:
    folds: the test metrics of each fold.

  Returns:
    A table with a row a fold, their mean and its standard error; and the mean
    and standard error of each metric over the folds that have it.
  """
  rows = [
    [f'fold {i + 1}', m['num_brands'], *_cells(m)] for i, m in enumerate(folds)
  ]
  summary: dict[str, Any] = {'mean': {}, 'standard_error': {}}
  for name in metrics_lib.METRICS:
    values = [m[name] for m in folds if m[name] is not None]
    if not values:
      summary['mean'][name] = summary['standard_error'][name] = None
      continue
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1)
    summary['mean'][name] = mean
    summary['standard_error'][name] = math.sqrt(variance / len(values))
  brands = sum(m['num_brands'] for m in folds)
  rows.append(['mean', brands, *_cells(summary['mean'])])
  rows.append(['standard error', '', *_cells(summary['standard_error'])])
  table = tabulate.tabulate(
    rows,
    headers=['', 'brands', *metrics_lib.TITLES.values()],
    disable_numparse=True,
    colalign=('left', *['right'] * (len(metrics_lib.TITLES) + 1)),
  )
  return table, summary
