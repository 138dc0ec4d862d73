"""The accounts' features on disk, one ArrayRecord record an account.

A folder holds the rows of an AccountTable as the model takes them, after the
transforms, in files of about a GiB (`row_files`), and `index.json`: how a
record is laid out, how long each file is, and the fingerprint of what the rows
were made from.

A folder is named after its fingerprint and appears complete or not at all: a
run that finds it takes it, and several runs may share a place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import json
import pathlib
from typing import Any

import jax
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.records import layout as layout_lib
from morning_jax.data.records import row_files

FORMAT_VERSION = 2
_INDEX = 'index.json'
_BLOCK_BYTES = 64 << 20  # of the rows that are made at a time


def fingerprint(
  data_fingerprint: str,
  kinds: Mapping[str, str],
  fitted: Any,
  attribute_names: list[str],
) -> str:
  """Returns a SHA-256 of all that the rows depend on.

  Args:
    data_fingerprint: of the data set.
    kinds: feature -> kind of transform.
    fitted: what was fitted to the training accounts, arrays.
    attribute_names: of the model's attributes, in order.
  """
  parts: list[Any] = []
  for path, leaf in jax.tree_util.tree_leaves_with_path(fitted):
    parts += [jax.tree_util.keystr(path), np.asarray(leaf)]
  return files.digest(
    [FORMAT_VERSION, data_fingerprint, dict(kinds), attribute_names], *parts
  )


def write(
  place: pathlib.Path,
  made_from: str,
  rows_of: Callable[[slice], accounts_lib.AccountTable],
  num_rows: int,
  *,
  block_bytes: int = _BLOCK_BYTES,
  file_bytes: int = row_files.FILE_BYTES,
) -> None:
  """Writes the accounts' rows, unless they are there already.

  Args:
    place: the folder of such folders; made if it does not exist.
    made_from: fingerprint of what the rows depend on.
    rows_of: makes the rows of a slice of the accounts (`account_rows`).
    num_rows: accounts, at least 1.
    block_bytes: of the rows that are made at a time, about.
    file_bytes: of a file, about.

  Raises:
    UserError: the place can't be written.
  """
  folder = _folder(place, made_from)
  if folder.exists():
    return
  try:
    place.mkdir(parents=True, exist_ok=True)
    files.remove_abandoned(place)
    with files.new_folder(folder) as draft:
      _write_files(draft, made_from, rows_of, num_rows, block_bytes, file_bytes)
  except (OSError, RuntimeError) as e:
    if folder.exists():
      return  # another process was faster, with the same rows
    reason = getattr(e, 'strerror', None) or ' '.join(str(e).split())
    raise errors.UserError(
      errors.in_file(
        place,
        f"cannot be written ({reason[:80]}); config.data.placement='stream'"
        ' needs a folder with space for all features: name another'
        ' config.data.stream_dir',
      )
    ) from e


def _folder(place: pathlib.Path, made_from: str) -> pathlib.Path:
  return place / f'accounts-{made_from[:16]}'


def _write_files(
  folder: pathlib.Path,
  made_from: str,
  rows_of: Callable[[slice], accounts_lib.AccountTable],
  num_rows: int,
  block_bytes: int,
  file_bytes: int,
) -> None:
  layout = layout_lib.layout_of(rows_of(slice(0, 1)))
  content = {
    'format_version': FORMAT_VERSION,
    'made_from': made_from,
    'record': layout_lib.describe(layout),
    'files': row_files.write(
      folder,
      'rows',
      _blocks(rows_of, layout, num_rows, block_bytes),
      layout,
      file_bytes=file_bytes,
    ),
  }
  files.write_json(
    folder / _INDEX, {'content': content, 'crc32': files.checksum(content)}
  )


def _blocks(
  rows_of: Callable[[slice], accounts_lib.AccountTable],
  layout: np.dtype,
  num_rows: int,
  block_bytes: int,
) -> Iterator[np.ndarray]:
  per_block = max(1, block_bytes // layout.itemsize)
  for start in range(0, num_rows, per_block):
    table = rows_of(slice(start, min(num_rows, start + per_block)))
    yield layout_lib.packed(layout_lib.columns_of(table), layout)


class AccountRecords:
  """The accounts' rows on disk; several threads may read them.

  Attributes:
    row_bytes: length of a row.
  """

  def __init__(self, place: pathlib.Path, made_from: str):
    """Opens what `write` wrote.

    Args:
      place: the folder of such folders.
      made_from: fingerprint of what the rows must have been made from.

    Raises:
      UserError: the files are damaged or incomplete.
    """
    self._path = _folder(place, made_from)
    index = self._path / _INDEX
    try:
      stored = json.loads(index.read_text(encoding='utf-8'))
      content = stored['content']
      if stored['crc32'] != files.checksum(content):
        raise ValueError('it fails its checksum')
      if content['made_from'] != made_from:
        raise ValueError('it was made from other data')
      layout = layout_lib.from_description(content['record'])
      entries = [dict(f) for f in content['files']]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
      raise self._damaged(index, e) from e
    self.row_bytes = layout.itemsize
    self._files = row_files.RowFiles(
      self._path, layout, entries, damaged=self._damaged
    )

  def _damaged(
    self, path: pathlib.Path, reason: Exception | str
  ) -> errors.UserError:
    text = ' '.join(str(reason).split())[:80]
    return errors.UserError(
      errors.in_file(
        path, f'is damaged ({text}); remove its folder to have it written again'
      )
    )

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, rows: np.ndarray) -> accounts_lib.AccountTable:
    """Reads rows, repeated ones once.

    Args:
      rows: int [n], in any order.

    Returns:
      Their features, NumPy arrays.

    Raises:
      UserError: a record is damaged.
    """
    distinct, place = np.unique(rows, return_inverse=True)
    return jax.tree.map(lambda x: x.take(place, axis=0), self.read(distinct))

  def read(self, rows: np.ndarray) -> accounts_lib.AccountTable:
    """Reads distinct, ascending rows; otherwise as `[]`."""
    whole = self._files.read(rows)
    return layout_lib.table_of(
      list(whole.dtype.names or ()),
      lambda name: np.ascontiguousarray(whole[name]),
    )
