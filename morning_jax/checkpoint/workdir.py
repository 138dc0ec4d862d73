"""The folder of a run, beside its checkpoints; one for all processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
import contextlib
import fcntl
import json
import os
import pathlib
import socket
import time
from typing import Any
import uuid

import jax

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import multihost

METRICS_FILE = 'metrics.json'
# How long another process's new file may take to be seen.
_SEEN_SECONDS = 15
_LOCK_FILE = '.lock'


@contextlib.contextmanager
def hold(workdir: pathlib.Path) -> Iterator[None]:
  """Makes the working folder and keeps other runs out of it.

  A folder that is new and stays empty is removed in the end, and so are those
  above that were made for it. Where the file system has no locks, no other run
  is kept out. A killed process holds no lock.

  Args:
    workdir: the working folder.

  Raises:
    UserError: it lies on a disk of one host's own, or another run is in it.
  """
  new = [p for p in (workdir, *workdir.parents) if not p.exists()]
  workdir.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as at_end:
    if multihost.is_first():
      at_end.callback(_remove_if_empty, new)
    _check_shared(workdir)
    holder: str | None = None
    if multihost.is_first():
      holder = _lock(workdir / _LOCK_FILE, at_end)
    other = json.loads(multihost.text_of_first(json.dumps(holder)))
    if other is not None:
      raise errors.UserError(
        f'{workdir}: another run ({other}) works in it; wait for its end, or'
        ' name another --workdir'
      )
    if multihost.is_first():
      files.remove_abandoned(workdir)
    yield


def _remove_if_empty(folders: list[pathlib.Path]) -> None:
  with contextlib.suppress(OSError):
    for folder in folders:  # from the innermost on
      folder.rmdir()


def _lock(path: pathlib.Path, at_end: contextlib.ExitStack) -> str | None:
  """Locks a file until the end; tells who has it locked already, if any."""
  try:
    # Without a buffer: what can't be written would fail at the end once more.
    file = at_end.enter_context(path.open('ab+', buffering=0))
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    file.seek(0)
    return file.read().decode(errors='replace') or 'just started'
  except OSError:
    return None
  if not (path.exists() and os.path.samefile(path, file.fileno())):
    return 'just ended'  # and took with it the file that was opened here
  # Before the lock is gone, so that it is no other run's file.
  at_end.callback(path.unlink, missing_ok=True)
  with files.with_path(path):
    file.truncate(0)
    file.write(f'process {os.getpid()} on host {socket.gethostname()}'.encode())
  return None


def _check_shared(workdir: pathlib.Path) -> None:
  """Checks that all processes see the same folder.

  Raises:
    UserError: it lies on a disk of one host's own.
  """
  if jax.process_count() == 1:
    return
  token = workdir / f'.seen-by-all-{multihost.text_of_first(uuid.uuid4().hex)}'
  if multihost.is_first():
    token.touch()
  multihost.wait_for_all('working folder made')
  # A mounted bucket may show a new file some seconds late.
  deadline = time.monotonic() + _SEEN_SECONDS
  while not token.exists() and time.monotonic() < deadline:
    time.sleep(0.1)
  unseen = multihost.any_of(not token.exists())
  if multihost.is_first():
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
  """Writes metrics as JSON; see `files.write_whole`.

  Of several processes the first writes.
  """
  if multihost.is_first():
    files.write_json(path, results)


def remove_metrics(workdir: pathlib.Path) -> None:
  """Removes `metrics.json`: what is trained on from here has others."""
  if multihost.is_first():
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
    Split -> metrics; None where the file is missing, damaged, of another form
    or of another model.
  """
  text = ''
  if multihost.is_first():
    with contextlib.suppress(OSError):
      text = (workdir / METRICS_FILE).read_text('utf-8', 'replace')
  try:
    found = json.loads(multihost.text_of_first(text or 'null'))
  except (ValueError, RecursionError):
    return None
  if not isinstance(found, dict) or found.keys() != splits:
    return None
  whole = all(_are_metrics(x) and x.get('step') == step for x in found.values())
  return found if whole else None


def _are_metrics(value: Any) -> bool:
  """Tells whether a JSON value has the form of a split's metrics."""
  if not isinstance(value, dict):
    return False
  groups = value.get('per_category')
  if not isinstance(groups, dict):
    return False
  counted = [value, *groups.values()]
  tables = [*counted, value.get('planted') or {}]
  return (
    all(isinstance(table, dict) for table in tables)
    and all(isinstance(table.get('num_brands'), int) for table in counted)
    and all(
      number is None or isinstance(number, int | float)
      for table in tables
      for name, number in table.items()
      if name not in ('per_category', 'planted')
    )
  )
