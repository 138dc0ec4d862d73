"""stdout and stderr, however they are closed, full or encoded."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO, cast

from morning_jax.core import errors


class Lasting:
  """A text stream whose reader may go away: what is written then is dropped.

  For stderr: notes and progress are no reason to end the work.
  """

  def __init__(self, stream: TextIO):
    self._stream = stream

  def write(self, text: str) -> int:
    """Writes as far as that can be done."""
    try:
      return self._stream.write(text)
    except (OSError, ValueError):
      give_up(self._stream)
      return len(text)

  def flush(self) -> None:
    """Flushes as far as that can be done."""
    try:
      self._stream.flush()
    except (OSError, ValueError):
      give_up(self._stream)

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)


def prepare() -> None:
  """Makes both streams fit for what is going to be written to them.

  Raises:
    UserError: stdout is closed: what is asked for could not be seen.
  """
  if sys.stderr is None:
    sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), 'w')
  if not isinstance(sys.stderr, Lasting):
    sys.stderr = cast(TextIO, Lasting(sys.stderr))
  if sys.stdout is None:
    raise errors.UserError(
      'stdout is closed, and results go there; >/dev/null drops them'
    )
  if isinstance(sys.stdout, io.TextIOWrapper):
    # A name that the terminal can't show must not end the work.
    sys.stdout.reconfigure(errors='backslashreplace')


def give_up(stream: TextIO) -> None:
  """Drops what a stream still holds, if it can't be written."""
  try:
    stream.flush()
  except (OSError, ValueError):
    try:
      os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
      return
