"""The folder of a run, beside its checkpoints; one for all processes."""

from __future__ import annotations

from collections.abc import Mapping, Set
import json
import os
import pathlib
import time
from typing import Any
import uuid

import jax

from morning_jax import errors
from morning_jax import processes

METRICS_FILE = 'metrics.json'
# How long another process's new file may take to be seen.
_SEEN_SECONDS = 15


def create(workdir: pathlib.Path) -> None:
  """Makes the working folder, and checks that all processes see the same one.

  Raises:
    UserError: it lies on a disk of one host's own.
  """
  workdir.mkdir(parents=True, exist_ok=True)
  if jax.process_count() == 1:
    return
  token = workdir / f'.seen-by-all-{processes.text_of_first(uuid.uuid4().hex)}'
  if processes.is_first():
    token.touch()
  processes.wait_for_all('working folder made')
  # A mounted bucket may show a new file some seconds late.
  deadline = time.monotonic() + _SEEN_SECONDS
  while not token.exists() and time.monotonic() < deadline:
    time.sleep(0.1)
  unseen = processes.any_of(not token.exists())
  if processes.is_first():
    token.unlink()
  if unseen:
    raise errors.UserError(
      f'--workdir={workdir}: is not one folder for all'
      f' {jax.process_count()} processes; name one on a file system that they'
      ' share, such as a mounted bucket'
    )


def write_metrics(
  path: str | os.PathLike[str], results: Mapping[str, Any]
) -> None:
  """Writes metrics as JSON; the file appears whole or not at all.

  Of several processes the first writes.
  """
  if not processes.is_first():
    return
  path = pathlib.Path(path)
  draft = path.with_name(path.name + '.draft')
  draft.write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')
  draft.replace(path)


def remove_metrics(workdir: pathlib.Path) -> None:
  """Removes `metrics.json`: what is trained on from here has others."""
  if processes.is_first():
    (workdir / METRICS_FILE).unlink(missing_ok=True)


def known_metrics(
  workdir: pathlib.Path, *, splits: Set[str], step: int
) -> dict[str, dict[str, Any]] | None:
  """Returns what the first process finds in `metrics.json`.

  Args:
    workdir: the working folder.
    splits: names of the splits that it has to be of.
    step: the step of the model that it has to be of.

  Returns:
    Split -> metrics; None where the file is missing, damaged or of another
    model.
  """
  path = workdir / METRICS_FILE
  text = path.read_text('utf-8', 'replace') if path.exists() else ''
  try:
    found = json.loads(processes.text_of_first(text or 'null'))
    whole = found.keys() == splits and all(
      metrics['step'] == step
      and {'num_brands', 'per_category'} <= metrics.keys()
      for metrics in found.values()
    )
  except (ValueError, KeyError, TypeError, AttributeError):
    return None
  return found if whole else None
