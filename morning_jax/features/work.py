"""The folder of stored results: marked as such, used by one at a time."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import fcntl
import os
import pathlib
import shutil

from morning_jax.core import errors
from morning_jax.core import files

_MARK = 'stored_results_of_prepare'


@contextlib.contextmanager
def opened(folder: pathlib.Path) -> Iterator[None]:
  """Opens a folder for stored results, for this process alone.

  Args:
    folder: made if it is not there.

  Raises:
    UserError: it holds something else.
    TransientError: another process uses it now.
    OSError: it can't be made.
  """
  folder.mkdir(parents=True, exist_ok=True)
  mark = folder / _MARK
  if not mark.exists():
    if any(p for p in folder.iterdir() if not p.name.endswith('.draft')):
      raise errors.UserError(
        errors.in_file(
          folder, 'holds something else than results of a preparation'
        )
      )
    files.write_text(mark, '')
  handle = os.open(mark, os.O_RDONLY)
  try:
    try:
      fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise errors.TransientError(
        errors.in_file(folder, 'another preparation uses it now')
      ) from None
    for place in (folder, *(p for p in folder.iterdir() if p.is_dir())):
      files.remove_abandoned(place)
    yield
  finally:
    os.close(handle)


def remove(folder: pathlib.Path) -> None:
  """Removes a folder that `opened` made; nothing else is touched."""
  if (folder / _MARK).exists():
    shutil.rmtree(folder, ignore_errors=True)
