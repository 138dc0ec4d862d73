"""ArrayRecord files of rows of one length, read by number.

A record is the raw bytes of a row. ArrayRecord checks every byte that it reads
against its own hashes, so records carry none. What it can't know is that a
whole file is in another's place: an index beside the files tells by their
sizes, their numbers of rows, and digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import hashlib
import pathlib
from typing import Any

from array_record.python import array_record_module
import numpy as np

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import user_files

FILE_BYTES = 1 << 30
# Rows are drawn at random: one record a chunk, nothing read ahead. Features
# are noise to a compressor, and reading is three times as fast without.
_WRITER = 'group_size:1,uncompressed'
_READER = 'readahead_buffer_size:0,max_parallelism:0'


def write(
  folder: pathlib.Path,
  prefix: str,
  blocks: Iterable[np.ndarray],
  layout: np.dtype,
  *,
  file_bytes: int = FILE_BYTES,
  whole_digests: bool = False,
) -> list[dict[str, Any]]:
  """Writes rows into files of about one size.

  Args:
    folder: where they go.
    prefix: what their names begin with.
    blocks: the rows of type `layout`, one block after the other, none empty.
    layout: of a row.
    file_bytes: of a file, about.
    whole_digests: whether the index tells digests of whole files too.

  Returns:
    An entry of the index for each file: name, rows, bytes, first and, with
    whole digests, `last_record` and `records`.

  Raises:
    OSError, RuntimeError: they can't be written.
  """
  size = layout.itemsize
  per_file = max(1, file_bytes // size)
  written: list[dict[str, Any]] = []
  for pieces in _by_file(blocks, per_file):
    path = folder / f'{prefix}-{len(written):05d}.array_record'
    writer = array_record_module.ArrayRecordWriter(str(path), _WRITER)
    whole, rows = hashlib.sha256(), 0
    first = last = b''
    for piece in pieces:
      content = piece.tobytes()
      if whole_digests:
        whole.update(content)
      for i in range(len(piece)):
        last = content[i * size : (i + 1) * size]
        writer.write(last)
        first = first or last
      rows += len(piece)
    writer.close()
    entry = {
      'name': path.name,
      'rows': rows,
      'bytes': path.stat().st_size,
      'first_record': files.digest(first),
    }
    if whole_digests:
      entry['last_record'] = files.digest(last)
      entry['records'] = whole.hexdigest()
    written.append(entry)
  return written


def _by_file(
  blocks: Iterable[np.ndarray], per_file: int
) -> Iterator[Iterator[np.ndarray]]:
  """Splits blocks where files end."""
  source = iter(blocks)
  left: np.ndarray | None = next(source, None)

  def of_file() -> Iterator[np.ndarray]:
    nonlocal left
    room = per_file
    while left is not None and room:
      piece, left = left[:room], left[room:]
      room -= len(piece)
      if not len(left):
        left = next(source, None)
      yield piece

  while left is not None:
    yield of_file()


class RowFiles:
  """Rows on disk; several threads may read them."""

  def __init__(
    self,
    folder: pathlib.Path,
    layout: np.dtype,
    entries: Sequence[Mapping[str, Any]],
    *,
    damaged: Callable[[pathlib.Path, Exception | str], errors.UserError],
  ):
    """Opens what `write` wrote, after a look at what it should be.

    Args:
      folder: where the files are.
      layout: of a row.
      entries: of the index.
      damaged: makes the error about a file and what is wrong with it.

    Raises:
      UserError: a file is damaged, absent, or another's.
    """
    self.layout = layout
    self._damaged = damaged
    self._first = np.cumsum([0, *(int(e['rows']) for e in entries)])
    self._paths = [folder / str(e['name']) for e in entries]
    self._entries = entries
    self._readers = [
      self._open(path, entry)
      for path, entry in zip(self._paths, entries, strict=True)
    ]

  def _open(self, path: pathlib.Path, entry: Mapping[str, Any]) -> Any:
    try:
      # A pipe or a device is refused, not waited for.
      user_files.open_file(path, error=errors.UserError).close()
    except errors.UserError as e:
      raise self._damaged(path, str(e).rpartition(': ')[2]) from None
    try:
      size = path.stat().st_size
      if size != entry['bytes']:
        raise ValueError(f'{size:,} bytes instead of {entry["bytes"]:,}')
      reader = array_record_module.ArrayRecordReader(str(path), _READER)
      rows = reader.num_records()
      if rows != entry['rows']:
        raise ValueError(f'{rows:,} rows instead of {entry["rows"]:,}')
      for name, row in (('first_record', 0), ('last_record', rows - 1)):
        stored = entry.get(name)
        if stored and files.digest(reader.read([row])[0]) != stored:
          raise ValueError('it holds other rows')
    except (OSError, ValueError, RuntimeError, IndexError) as e:
      raise self._damaged(path, e) from e
    return reader

  def __len__(self) -> int:
    return int(self._first[-1])

  def read(self, rows: np.ndarray) -> np.ndarray:
    """Reads distinct, ascending rows.

    Args:
      rows: int [n].

    Returns:
      [n] of the layout's type.

    Raises:
      IndexError: a row that there is not.
      UserError: a record is damaged.
    """
    if len(rows) and not (rows[0] >= 0 and rows[-1] < len(self)):
      raise IndexError(f'rows {rows[0]}..{rows[-1]} of {len(self):,}')
    parts: list[bytes] = []
    file_of = np.searchsorted(self._first, rows, side='right') - 1
    for number in np.unique(file_of):
      wanted = rows[file_of == number] - self._first[number]
      parts += self._read(int(number), wanted)
    return np.frombuffer(b''.join(parts), self.layout)

  def _read(self, number: int, wanted: np.ndarray) -> list[bytes]:
    path = self._paths[number]
    try:
      records: list[bytes] = self._readers[number].read(wanted.tolist())
    except (ValueError, RuntimeError, IndexError) as e:
      raise self._damaged(path, e) from e
    if any(len(r) != self.layout.itemsize for r in records):
      raise self._damaged(path, 'rows of another length')
    return records

  def check(self, *, block_rows: int = 4096) -> None:
    """Reads all files and compares them with their digests.

    Args:
      block_rows: rows that are read at a time.

    Raises:
      UserError: one holds other rows than were written.
    """
    for number, entry in enumerate(self._entries):
      whole = hashlib.sha256()
      for start in range(0, entry['rows'], block_rows):
        rows = np.arange(start, min(start + block_rows, entry['rows']))
        for record in self._read(number, rows):
          whole.update(record)
      if whole.hexdigest() != entry.get('records'):
        raise self._damaged(self._paths[number], 'it holds other rows')
