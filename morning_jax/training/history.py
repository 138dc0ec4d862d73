"""The evaluations of a run, one line each in `history.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any

from morning_jax.core import files
from morning_jax.core import multihost

FILE = 'history.jsonl'


class History:
  """What the validation brands' metrics were, in the order of the steps.

  Of several processes the first writes.
  """

  def __init__(self, workdir: pathlib.Path, *, step: int):
    """Opens the file and drops what lies behind a step.

    Args:
      workdir: the working folder.
      step: the step from which a run goes on; what is behind it comes again.
    """
    self._path = workdir / FILE
    if multihost.is_first() and self._path.exists():
      lines = [json.dumps(x) + '\n' for x in read(workdir) if x['step'] <= step]
      files.write_text(self._path, ''.join(lines))

  def add(self, step: int, metrics: Mapping[str, Any]) -> None:
    """Appends an evaluation: every metric that is a number.

    It is on the disk before the checkpoint of its step is.
    """
    if not multihost.is_first():
      return
    numbers = {k: v for k, v in metrics.items() if isinstance(v, int | float)}
    with self._path.open('a', encoding='utf-8') as f:
      f.write(json.dumps(numbers | {'step': step}) + '\n')
      f.flush()
      os.fsync(f.fileno())


def read(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Returns the evaluations of a run, each with its `step`.

  Lines that a kill cut short are left out.
  """
  path = workdir / FILE
  if not path.is_file():
    return []
  found = []
  for line in path.read_text('utf-8', 'replace').splitlines():
    try:
      values = json.loads(line)
      if isinstance(values['step'], int):
        found.append(values)
    except (ValueError, KeyError, TypeError, RecursionError):
      continue
  return found
