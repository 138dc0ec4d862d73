"""A small `results.json`, as `launch.compare` writes it."""

from __future__ import annotations

import json
import pathlib
from typing import Any

METRICS = ('auc', 'cauc', 'recall@10', 'recall@50', 'mrr', 'map', 'medr')
CELL = {'mean', 'low', 'high'} | {
  f'difference{end}' for end in ('', '_low', '_high')
}
_NONE = dict.fromkeys(CELL)


def _method(name: str, **map_cell: float) -> dict[str, Any]:
  cell = {**_NONE, **map_cell}
  return {
    'name': name,
    'source': 'a paper',
    'summary': {m: cell for m in METRICS},
    'folds': [{}, {}],
  }


def results() -> dict[str, Any]:
  part = {'difference': -0.05, 'difference_low': -0.08, 'difference_high': 0.01}
  return {
    'protocol': {'folds': 2, 'seeds': 1, 'data_fingerprint': 'f00d'},
    'methods': {
      'x': _method('x'),
      'content-only': _method(
        '<b>content</b> only', mean=0.25, low=0.2, high=0.3, **part
      ),
      'morning': _method('MORNING', mean=0.3, low=0.2, high=0.4),
    },
  }


def write(folder: pathlib.Path) -> pathlib.Path:
  (folder / 'results.json').write_text(json.dumps(results()))
  return folder
