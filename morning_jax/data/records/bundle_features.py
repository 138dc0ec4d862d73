"""The features of a bundle as ArrayRecord files, one record an account.

Beside the tables of a bundle, in place of its arrays, stand files of about a
GiB (`row_files`), `present.bin`, which tells who has which feature, and
`records.json`: how a record is laid out, what each file must be, and the
fingerprint of the whole bundle. The numbers are those of the arrays, before any
transform; planted interests of a synthetic world are one more column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import json
import pathlib
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import feature_rows
from morning_jax.core import files
from morning_jax.core import user_files
from morning_jax.data.records import layout as layout_lib
from morning_jax.data.records import row_files

INDEX = 'records.json'
PLANTED = 'planted'
FORMAT_VERSION = 1
_PRESENT = 'present.bin'
_PREFIX = 'features'


def write(
  folder: pathlib.Path,
  columns: Mapping[str, Any],
  *,
  accounts: str,
  tables: str,
  fingerprint: str,
  file_bytes: int = row_files.FILE_BYTES,
) -> None:
  """Writes features, some 64 MiB at a time.

  Args:
    folder: of the bundle; it has the tables already.
    columns: feature -> [A, F], in memory or not; `PLANTED` may be among them.
    accounts: digest of who the rows are.
    tables: digest of all that the bundle holds beside features.
    fingerprint: of the whole data set.
    file_bytes: of a file, about.

  Raises:
    OSError, RuntimeError: they can't be written.
  """
  names = list(columns)
  shapes = {name: columns[name].shape for name in names}
  layout = np.dtype([(n, '<f4', shapes[n][1:]) for n in names], align=True)
  count = shapes[names[0]][0]
  present = np.zeros((len(names), count), np.uint8)

  def blocks() -> Iterator[np.ndarray]:
    start = 0
    for block in feature_rows.blocks(columns, names):
      stop = start + len(block[names[0]])
      for has_A, name in zip(present, names, strict=True):
        has_A[start:stop] = ~np.isnan(block[name][:, 0])
      yield layout_lib.packed(block, layout)
      start = stop

  entries = row_files.write(
    folder,
    _PREFIX,
    blocks(),
    layout,
    file_bytes=file_bytes,
    whole_digests=True,
  )
  files.write_whole(
    folder / _PRESENT, lambda f: _write_bytes(f, present.tobytes())
  )
  content = {
    'format_version': FORMAT_VERSION,
    'rows': count,
    'accounts': accounts,
    'tables': tables,
    'fingerprint': fingerprint,
    'record': layout_lib.describe(layout),
    'present': files.digest(present),
    'files': entries,
  }
  files.write_json(
    folder / INDEX, {'content': content, 'crc32': files.checksum(content)}
  )


def _write_bytes(file: Any, content: bytes) -> None:
  file.write(content)


class StoredFeatures(feature_rows.Stored):
  """The features of a bundle on disk, read by row; several threads may.

  Attributes:
    accounts: digest of who the rows were when they were written.
  """

  def __init__(self, folder: pathlib.Path):
    """Opens what `write` wrote.

    Args:
      folder: of the bundle.

    Raises:
      UserError: the files are damaged, incomplete, or another bundle's.
    """
    index = folder / INDEX
    with user_files.open_file(index, error=errors.UserError) as f:
      try:
        stored = json.loads(f.read())
        content = stored['content']
        if stored['crc32'] != files.checksum(content):
          raise ValueError('it fails its checksum')
        if content['format_version'] != FORMAT_VERSION:
          raise ValueError(f'format {content["format_version"]} is not known')
        layout = layout_lib.from_description(content['record'])
        entries = [dict(e) for e in content['files']]
        self.accounts = str(content['accounts'])
        self._tables = str(content['tables'])
        self._fingerprint = str(content['fingerprint'])
        self._contents = [e['records'] for e in entries]
      except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise _damaged(index, e) from e
    self._files = row_files.RowFiles(folder, layout, entries, damaged=_damaged)
    assert layout.names is not None
    self._columns = {
      name: StoredColumn(self, name, (len(self._files), *layout[name].shape))
      for name in layout.names
    }
    self._present = self._read_present(folder / _PRESENT, content['present'])

  def _read_present(self, path: pathlib.Path, digest: str) -> np.ndarray:
    with user_files.open_file(path, error=errors.UserError) as f:
      found = np.frombuffer(f.read(), np.uint8)
    shape = len(self._columns), len(self._files)
    if found.size != shape[0] * shape[1]:
      raise _damaged(path, f'{found.size:,} bytes')
    present: np.ndarray = found.reshape(shape)
    if files.digest(present) != digest:
      raise _damaged(path, 'it fails its digest')
    return present.astype(bool)

  @property
  def row_bytes(self) -> int:
    """How many bytes are read for a row, all features together."""
    return self._files.layout.itemsize

  @property
  def planted(self) -> StoredColumn | None:
    """The planted interests of a synthetic world, no feature."""
    return self._columns.get(PLANTED)

  @property
  def num_rows(self) -> int:
    """How many accounts there are."""
    return len(self._files)

  def __getitem__(self, name: str) -> StoredColumn:
    if name == PLANTED:
      raise KeyError(name)
    return self._columns[name]

  def __iter__(self) -> Iterator[str]:
    return (f for f in accounts_lib.FEATURES if f in self._columns)

  def __len__(self) -> int:
    return sum(1 for _ in self)

  def read(
    self, names: Sequence[str], rows: feature_rows.Rows
  ) -> dict[str, np.ndarray]:
    """Reads rows of some features at once; see `feature_rows.Stored`."""
    if isinstance(rows, slice):
      rows = np.arange(*rows.indices(self.num_rows))
    rows = np.asarray(rows)
    if rows.dtype == bool:
      rows = np.flatnonzero(rows)
    if len(rows) < 2 or (np.diff(rows) > 0).all():
      whole, place = self._files.read(rows), None
    else:
      distinct, place = np.unique(rows, return_inverse=True)
      whole = self._files.read(distinct)

    def column(name: str) -> np.ndarray:
      if place is None:
        return np.ascontiguousarray(whole[name])
      return whole[name].take(place, axis=0)

    return {name: column(name) for name in names}

  def present(self, name: str) -> np.ndarray:
    """Returns bool [A], who has a feature, without reading any."""
    found: np.ndarray = self._present[list(self._columns).index(name)]
    return found

  def fingerprint(self, tables: str) -> str:
    """Identifies a data set of these features; see `feature_rows.Stored`."""
    if tables == self._tables:
      return self._fingerprint
    return files.digest('records', self._contents, tables)

  def check(self) -> None:
    """Reads everything and compares it with the digests of the index.

    Raises:
      UserError: a file holds other rows than were written.
    """
    self._files.check()


class StoredColumn:
  """One feature of a bundle on disk, read like an array [A, F]."""

  dtype = np.dtype(np.float32)

  def __init__(
    self, features: StoredFeatures, name: str, shape: tuple[int, ...]
  ):
    """Takes what `StoredFeatures` knows of it."""
    self._features, self._name, self.shape = features, name, shape

  def __len__(self) -> int:
    return self.shape[0]

  def __getitem__(self, where: Any) -> np.ndarray:
    if isinstance(where, tuple):
      rows, columns = where
      parts = [x[:, columns] for x in self._blocks(rows)]
      return np.concatenate(parts)
    if isinstance(where, int | np.integer):
      row = int(where) + (len(self) if where < 0 else 0)
      return self._rows(np.array([row]))[0]
    return self._rows(where)

  def _rows(self, rows: feature_rows.Rows) -> np.ndarray:
    return self._features.read([self._name], rows)[self._name]

  def _blocks(self, rows: feature_rows.Rows) -> Iterator[np.ndarray]:
    if isinstance(rows, slice):
      rows = np.arange(*rows.indices(len(self)))
    numbers = np.asarray(rows)
    if not len(numbers):
      yield np.zeros((0, *self.shape[1:]), self.dtype)
    for start in range(0, len(numbers), 4096):
      yield self._rows(numbers[start : start + 4096])

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
    """Reads all of it, for what can do with nothing less."""
    return np.asarray(self[:], dtype)


def _damaged(path: pathlib.Path, reason: Exception | str) -> errors.UserError:
  text = ' '.join(str(reason).split())[:80]
  return errors.UserError(
    errors.in_file(
      path, f'is damaged ({text}); write the bundle again (launch.records)'
    )
  )
