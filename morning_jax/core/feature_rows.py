"""Features by account row, in memory or not: what all that reads them asks for.

`Dataset.features` is a mapping from a feature to its rows, `[A, F]`. In memory
these are NumPy arrays. A data set that is larger than memory has `Stored`
features: what they are is known, and rows are read when they are wanted. The
functions here read both alike, so that nothing else asks which it is.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
import mmap
from typing import Any, Protocol

import numpy as np

_BLOCK_BYTES = 64 << 20  # of the rows that are read at a time

# Which rows of the account table: a slice, or their numbers in any order.
Rows = slice | np.ndarray


class Column(Protocol):
  """The rows of one feature: a NumPy array, or what reads like one."""

  @property
  def shape(self) -> tuple[int, ...]:
    """Rows and features, [A, F]."""

  @property
  def dtype(self) -> np.dtype:
    """The type of the numbers."""

  def __len__(self) -> int:
    """Returns A."""

  def __getitem__(self, rows: Any, /) -> np.ndarray:
    """Returns rows by number, slice or array of numbers."""


class Stored(Mapping[str, Column], abc.ABC):
  """Features that are not in memory.

  Several threads may read them.
  """

  @property
  @abc.abstractmethod
  def row_bytes(self) -> int:
    """How many bytes are read for a row, all features together."""

  @abc.abstractmethod
  def read(self, names: Sequence[str], rows: Rows) -> dict[str, np.ndarray]:
    """Reads rows of some features at once.

    Args:
      names: the features.
      rows: which rows.

    Returns:
      Feature -> float32 [rows, F], in the order of the rows asked for.

    Raises:
      UserError: what is stored is damaged.
    """

  @abc.abstractmethod
  def present(self, name: str) -> np.ndarray:
    """Returns bool [A], who has a feature, without reading any."""

  @abc.abstractmethod
  def fingerprint(self, tables: str) -> str:
    """Identifies a data set of these features, without reading them.

    Args:
      tables: a digest of all else that the data set holds.

    Returns:
      What `data.dataset.fingerprint` returns of the same data in memory; of
      other tables than the features were stored with, a digest of both.
    """


def read(
  features: Mapping[str, Any], names: Sequence[str], rows: Rows
) -> dict[str, np.ndarray]:
  """Reads rows of some features, stored ones all at once.

  Args:
    features: of a data set.
    names: which of them.
    rows: which rows.

  Returns:
    Feature -> float32 [rows, F].
  """
  if isinstance(features, Stored):
    return features.read(names, rows)
  return {name: features[name][rows] for name in names}


def blocks(
  features: Mapping[str, Any], names: Sequence[str], rows: Rows | None = None
) -> Iterator[dict[str, np.ndarray]]:
  """Reads rows of some features some 64 MiB at a time.

  Mapped files leave memory again, block by block.

  Args:
    features: of a data set, with one feature of the names at least.
    names: which features.
    rows: int, which rows, in any order; None for all of them, in order.

  Yields:
    Feature -> float32 [n, F], one block of rows after the other.
  """
  columns = [features[name] for name in names]
  if isinstance(features, Stored):
    width = features.row_bytes
  else:
    width = sum(c.dtype.itemsize * c.shape[1] for c in columns)
  step = max(1, _BLOCK_BYTES // width)
  count = len(columns[0]) if rows is None else _count(rows)
  for start in range(0, count, step):
    part = slice(start, min(start + step, count))
    yield read(features, names, part if rows is None else rows[part])  # type: ignore[index]
    for column in columns:
      release(column)


def _count(rows: Rows) -> int:
  assert isinstance(rows, np.ndarray)
  return len(rows)


def release(array: Any) -> None:
  """Drops what was read of a mapped file from this process's memory.

  The numbers stay readable: they are read again when they are asked for.

  Args:
    array: an array that may be mapped from a file; nothing happens to another.
  """
  while array is not None and not isinstance(array, mmap.mmap):
    array = getattr(array, 'base', None)
  if array is not None and hasattr(mmap, 'MADV_DONTNEED'):
    array.madvise(mmap.MADV_DONTNEED)


class Converted:
  """A mapped array as float32, converted row by row as it is read."""

  dtype = np.dtype(np.float32)

  def __init__(self, array: np.ndarray):
    """Takes the array.

    Args:
      array: numbers of any type, [A, F].
    """
    self.base = array  # by its name, as `release` looks for it
    self.shape: tuple[int, ...] = array.shape

  def __len__(self) -> int:
    return self.shape[0]

  def __getitem__(self, rows: Any) -> np.ndarray:
    return np.asarray(self.base[rows], np.float32)
