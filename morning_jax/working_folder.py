"""The folder of a run, beside its checkpoints; one for all processes."""

from __future__ import annotations

from collections.abc import Mapping
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


def known_metrics(workdir: pathlib.Path) -> str:
  """Returns what the first process finds in `metrics.json`; '' without it."""
  path = workdir / METRICS_FILE
  return processes.text_of_first(
    path.read_text('utf-8') if path.exists() else ''
  )
