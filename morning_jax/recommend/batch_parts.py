"""The unfinished results of a batch job on disk, block by block.

A folder beside the result has a note, `job.json`, of what is asked, and a file
for each block of brands that is done. Each file appears whole or not at all, so
a job that was killed goes on with the first block that is not there. The date
is that of the first start: what is written in the end does not depend on how
often the job was stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
import shutil
from typing import Any

from morning_jax.core import errors
from morning_jax.core import files

_NOTE = 'job.json'
_DATE = 'date'

Line = list[Any]  # the cells of a row


class Parts:
  """The blocks of a job that are done."""

  def __init__(
    self, result: str | os.PathLike[str], asked: Mapping[str, Any], date: str
  ):
    """Goes on with a job, or begins it.

    Args:
      result: the file that the job writes in the end.
      asked: what makes the job the one it is, JSON values by name.
      date: now.

    Raises:
      UserError: the folder has parts of another job, or something else.
      OSError: it can't be made or written.
    """
    path = pathlib.Path(result)
    self.folder = path.with_name(f'{path.name}.parts')
    asked = json.loads(json.dumps(asked))  # as it will be read
    stored = self._read_note()
    if stored is None:
      self.folder.mkdir(exist_ok=True)
      stored = {**asked, _DATE: date}
      files.write_json(self.folder / _NOTE, stored)
    files.remove_abandoned(self.folder)
    self.date = str(stored.pop(_DATE, date))
    differ = sorted(
      name
      for name in asked.keys() | stored.keys()
      if asked.get(name) != stored.get(name)
    )
    if differ:
      raise errors.UserError(
        errors.in_file(
          self.folder,
          f'has unfinished results of another job, with another'
          f' {", ".join(differ)}; finish it, delete the folder, or name another'
          ' --output',
        )
      )

  def _read_note(self) -> dict[str, Any] | None:
    if not os.path.lexists(self.folder):
      return None
    if self.folder.is_symlink() or not self.folder.is_dir():
      raise errors.UserError(
        errors.in_file(self.folder, 'is no folder; unfinished results go there')
      )
    note = self.folder / _NOTE
    try:
      stored = json.loads(note.read_text('utf-8'))
    except FileNotFoundError:
      if any(self.folder.glob('[!.]*')):
        raise errors.UserError(
          errors.in_file(
            self.folder, 'has files of something else; name another --output'
          )
        ) from None
      return None
    except (OSError, ValueError, RecursionError):
      stored = None
    if not isinstance(stored, dict):
      raise errors.UserError(
        errors.in_file(note, 'is damaged; delete its folder to begin anew')
      )
    return stored

  def _file(self, block: int) -> pathlib.Path:
    return self.folder / f'{block:06d}.json'

  def write(self, block: int, lines: list[list[Line]]) -> None:
    """Stores a block: the rows of each of its brands.

    Raises:
      OSError: it can't be written.
    """
    text = json.dumps(lines, ensure_ascii=False, separators=(',', ':'))
    files.write_text(
      self._file(block), json.dumps([files.checksum(text), text]) + '\n'
    )

  def read(self, block: int) -> list[list[Line]] | None:
    """Returns a block; None where it is not there, or is damaged."""
    try:
      check, text = json.loads(self._file(block).read_text('utf-8'))
      if files.checksum(text) != check:
        return None
      lines: list[list[Line]] = json.loads(text)
      return lines
    except (OSError, ValueError, TypeError, RecursionError):
      return None

  def remove(self) -> None:
    """Deletes the folder, the result being there."""
    shutil.rmtree(self.folder, ignore_errors=True)
