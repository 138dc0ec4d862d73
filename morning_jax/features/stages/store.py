"""Results of shards on disk, a file each, that appear whole or not at all.

A file is a NumPy archive of plain arrays; JSON values are stored as the bytes
of their text. It is named after a digest of everything that the result depends
on, so whatever is there can be taken, by whichever process and after whatever
end of the one before. Archives carry a checksum of every array: a damaged file
counts as none and is made again.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import pathlib
from typing import Any, BinaryIO
import zipfile

import numpy as np

from morning_jax.core import files

_JSON = 'json.'  # in front of names of JSON values
Values = Mapping[str, Any]


class Shard(Mapping[str, Any]):
  """A stored result, whose values are read when they are asked for."""

  def __init__(self, path: pathlib.Path) -> None:
    """Opens a file.

    Raises:
      OSError: it is not there.
      ValueError: it is damaged.
    """
    try:
      self._file = np.load(path, allow_pickle=False)
    except (zipfile.BadZipFile, EOFError) as e:
      raise ValueError(str(e)) from None
    self._names = {name.removeprefix(_JSON): name for name in self._file.files}

  def __getitem__(self, name: str) -> Any:
    stored = self._names[name]
    array = self._file[stored]
    if stored.startswith(_JSON):
      return json.loads(array.tobytes())
    return array

  def __iter__(self):  # type: ignore[no-untyped-def]
    return iter(self._names)

  def __len__(self) -> int:
    return len(self._names)

  def close(self) -> None:
    """Closes the file."""
    self._file.close()

  def __enter__(self) -> Shard:
    return self

  def __exit__(self, *exception: object) -> None:
    self.close()


def write(path: pathlib.Path, values: Values) -> None:
  """Stores a result.

  Args:
    path: the file; its folder is made.
    values: arrays of numbers, and JSON values.

  Raises:
    OSError: it can't be written; nothing is left behind.
  """
  arrays: dict[str, np.ndarray] = {}
  for name, value in values.items():
    if isinstance(value, np.ndarray):
      arrays[name] = value
    else:
      text = json.dumps(value, ensure_ascii=False, separators=(',', ':'))
      arrays[_JSON + name] = np.frombuffer(text.encode(), np.uint8)

  def save(file: BinaryIO) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]

  path.parent.mkdir(parents=True, exist_ok=True)
  files.write_whole(path, save)


def is_whole(path: pathlib.Path) -> bool:
  """Tells whether a result is there and not damaged; reads all of it."""
  try:
    with zipfile.ZipFile(path) as archive:
      return archive.testzip() is None
  except (OSError, zipfile.BadZipFile, EOFError):
    return False
