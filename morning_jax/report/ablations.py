"""What a comparison found: other methods, and the model without its parts.

It is read from the folder that `launch.compare` wrote; its trainings are of the
same recipe and not of this very model.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import math
import os
import pathlib
from typing import Any

from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.report import measures

_FILE = 'results.json'
_REFERENCE = 'morning'  # the method that differences are taken from
_LARGEST = 1 << 28  # bytes


@dataclasses.dataclass(frozen=True)
class Row:
  """A method of a comparison.

  Attributes:
    name: of the method.
    trainings: how many folds it was measured on.
    metrics: metric -> mean over the folds, with its interval.
    difference: of its MAP from the whole model's; None of that itself.
  """

  name: str
  trainings: int
  metrics: dict[str, measures.Measured]
  difference: measures.Measured | None


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A comparison.

  Attributes:
    folder: where it was read from, without the folders above it.
    folds: into how many the brands were split.
    repetitions: how often.
    same_data: whether it is of the data that is reported on.
    rows: best MAP first.
  """

  folder: str
  folds: int
  repetitions: int
  same_data: bool
  rows: tuple[Row, ...]


def read(
  folder: str | os.PathLike[str], *, data_fingerprint: str
) -> Comparison:
  """Reads a comparison.

  Args:
    folder: that `launch.compare` wrote.
    data_fingerprint: of the data that is reported on.

  Returns:
    The comparison.

  Raises:
    UserError: there is none, or its file is not what `launch.compare` writes.
  """
  path = pathlib.Path(folder, _FILE)
  with user_files.open_file(path, error=errors.UserError) as file:
    content = file.read(_LARGEST)
  try:
    return _parsed(json.loads(content), path, data_fingerprint)
  except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
    raise errors.UserError(
      errors.in_file(path, 'is not what launch.compare writes')
    ) from None


def _parsed(
  found: Mapping[str, Any], path: pathlib.Path, data_fingerprint: str
) -> Comparison:
  protocol = found['protocol']
  rows = []
  for key, method in found['methods'].items():
    summary = method['summary']
    difference = summary['map']
    rows.append(
      Row(
        name=str(method['name'])[:200],
        trainings=len(method['folds']),
        metrics={
          name: _measured(summary[name], 'mean', 'low', 'high')
          for name in metrics_lib.TITLES
        },
        difference=None
        if key == _REFERENCE
        else _measured(
          difference, 'difference', 'difference_low', 'difference_high'
        ),
      )
    )
  return Comparison(
    folder=path.resolve().parent.name,
    folds=int(protocol['folds']),
    repetitions=int(protocol['seeds']),
    same_data=protocol['data_fingerprint'] == data_fingerprint,
    rows=tuple(
      sorted(rows, key=lambda r: -(r.metrics['map'].value or -math.inf))
    ),
  )


def _measured(cell: Mapping[str, Any], *names: str) -> measures.Measured:
  values = [None if cell[n] is None else float(cell[n]) for n in names]
  if any(v is not None and not math.isfinite(v) for v in values):
    raise ValueError('not finite')
  return measures.Measured(*values)
