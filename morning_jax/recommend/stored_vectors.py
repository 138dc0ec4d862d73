"""Encoded accounts that stay on disk: an index, read as an array is.

A mapped file counts as memory of the process for every page that was touched. A
catalogue that is larger than memory is read by `pread` in its place, and a
product with all of it takes one block after the other.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from morning_jax.core import errors
from morning_jax.recommend import index as index_lib

_BLOCK_BYTES = 32 << 20


class StoredVectors:
  """Float32 vectors on disk, [N, D]; several threads may read them.

  Attributes:
    shape: N and D.
    dtype: float32.
  """

  dtype = np.dtype(np.float32)

  def __init__(
    self, path: str | os.PathLike[str], rows: np.ndarray | None = None
  ):
    """Opens an index.

    Args:
      path: what `index.build_index` wrote, float32.
      rows: int [N], the rows of it that these vectors are; all if None.

    Raises:
      UserError: the file is no such index.
    """
    array = index_lib.open_index(path)
    if array.dtype != np.float32:
      raise errors.UserError(
        errors.in_file(path, f'holds {array.dtype}, no float32')
      )
    self._path, self._offset, self._rows = path, int(array.offset), rows
    count = len(array) if rows is None else len(rows)
    self.shape = (count, int(array.shape[1]))
    # Open as long as the vectors are.
    self._file = open(path, 'rb')  # noqa: SIM115

  def __len__(self) -> int:
    return self.shape[0]

  @property
  def nbytes(self) -> int:
    """Bytes that they would take in memory."""
    return self.shape[0] * self.shape[1] * self.dtype.itemsize

  @property
  def block_rows(self) -> int:
    """Rows that are read at a time where all are wanted."""
    return max(1, _BLOCK_BYTES // (self.shape[1] * self.dtype.itemsize))

  def select(self, rows: np.ndarray) -> StoredVectors:
    """Returns some of the vectors, still on disk."""
    own = rows if self._rows is None else self._rows[rows]
    return StoredVectors(self._path, own)

  def __getitem__(self, where: Any) -> np.ndarray:
    if isinstance(where, tuple):
      rows, columns = where
      return self[rows][..., columns]
    if isinstance(where, int | np.integer):
      row = int(where) + (len(self) if where < 0 else 0)
      return self._take(np.array([row]))[0]
    if isinstance(where, slice):
      start, stop, step = where.indices(len(self))
      if step == 1 and self._rows is None:
        return self._range(start, max(start, stop))
      return self._take(np.arange(start, stop, step))
    rows = np.asarray(where)
    if rows.dtype == bool:
      rows = np.flatnonzero(rows)
    return self._take(rows.astype(np.int64))

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
    """Reads all of them, for what can do with nothing less."""
    return np.asarray(self[:], dtype)

  def __matmul__(self, other: np.ndarray) -> np.ndarray:
    """Multiplies all vectors, [N, D], with [D] or [D, K]."""
    return self.product(other)

  def product(
    self, other: np.ndarray, columns: slice = slice(None)
  ) -> np.ndarray:
    """Multiplies some coordinates of all vectors with [d] or [d, K]."""
    found = np.empty((len(self), *other.shape[1:]), np.float32)
    for start in range(0, len(self), self.block_rows):
      stop = min(start + self.block_rows, len(self))
      found[start:stop] = self[start:stop][:, columns] @ other
    return found

  def _range(self, start: int, stop: int) -> np.ndarray:
    """Reads neighbouring rows of the file."""
    size = self.shape[1] * self.dtype.itemsize
    found = bytearray((stop - start) * size)
    done = 0
    while done < len(found):
      place = self._offset + start * size + done
      count = os.preadv(self._file.fileno(), [memoryview(found)[done:]], place)
      if not count:
        raise errors.UserError(
          errors.in_file(self._path, 'is truncated; delete it to begin anew')
        )
      done += count
    return np.frombuffer(found, np.float32).reshape(-1, self.shape[1])

  def _take(self, rows: np.ndarray) -> np.ndarray:
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
      raise IndexError(f'row {rows.max()} of {len(self):,}')
    if self._rows is not None:
      rows = self._rows[rows]
    found = np.empty((len(rows), self.shape[1]), np.float32)
    order = np.argsort(rows, kind='stable')
    ascending = rows[order]
    # Neighbours come in one read.
    ends = np.flatnonzero(np.diff(ascending) > 1) + 1
    for run in np.split(np.arange(len(rows)), ends):
      if len(run):
        first = int(ascending[run[0]])
        block = self._range(first, int(ascending[run[-1]]) + 1)
        found[order[run]] = block[ascending[run] - first]
    return found
