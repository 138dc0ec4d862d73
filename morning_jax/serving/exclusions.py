"""People who asked to be left out: a file that is honoured at once."""

from __future__ import annotations

import os
import pathlib
import threading

from morning_jax.recommend import lists


class Exclusions:
  """The names in a file, one a line, read again whenever it changes."""

  def __init__(self, path: str | os.PathLike[str] | None = None):
    """Reads the file.

    Args:
      path: the file; None for nobody.

    Raises:
      UserError: it can't be read.
    """
    self._path = None if path is None else pathlib.Path(path)
    self._lock = threading.Lock()
    self._seen: tuple[int, ...] | None = None
    self._names: frozenset[str] = frozenset()
    self.names()

  def names(self) -> frozenset[str]:
    """Returns who is left out now.

    Raises:
      UserError: the file can't be read; nobody may be shown then.
    """
    if self._path is None:
      return self._names
    seen: tuple[int, ...] = ()
    try:
      stat = self._path.stat()
      seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except OSError:
      pass  # reading it says why
    with self._lock:
      if seen != self._seen or not seen:
        self._names = lists.read_ids(self._path)
        self._seen = seen
      return self._names
