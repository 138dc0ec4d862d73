"""Blocks of an array on the host, handed to a device without copies of them.

A CPU's programs read NumPy's memory where it is if it begins at a multiple of
64 bytes, and NumPy's own arrays rarely do: a block is then handed over with the
few numbers before it, from such a place on, for the program to leave out.

Of a memory-mapped file the blocks to come are asked for while one is worked on,
so that the disk reads at its own rate, and those that are done are unmapped:
they count no longer as the process's memory.
"""

from __future__ import annotations

from collections.abc import Iterator
import mmap
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp
import numpy as np

_ALIGNED = 64  # bytes
_AHEAD = 64 << 20  # bytes of a file that are asked for beyond a block


class Block(NamedTuple):
  """Consecutive rows.

  Attributes:
    first: the first row.
    rows: how many.
    numbers: [rows, D]; or [ahead + rows * D], row after row.
    ahead: numbers that belong to no row of the block; the same for all blocks.
  """

  first: int
  rows: int
  numbers: jax.Array
  ahead: int


def rows_of(numbers: jax.Array, ahead: int, width: int) -> jax.Array:
  """Returns a block's rows [rows, D], in a compiled program.

  Args:
    numbers: of the block.
    ahead: of the block.
    width: D.
  """
  if numbers.ndim == 2:
    return numbers
  return numbers[ahead:].reshape(-1, width)


def blocks(array_MxD: Any, rows: int) -> Iterator[Block]:
  """Yields an array's rows, block by block, in order.

  Whoever takes a block is done with it when asking for the next one.

  Args:
    array_MxD: on the host, memory-mapped or not, or on device.
    rows: of a block; the last one may have fewer.
  """
  file = _Mapped.of(array_MxD)
  ahead = _ahead(array_MxD, rows)
  for first in range(0, len(array_MxD), rows):
    block_MxD = array_MxD[first : first + rows]
    if file is not None:
      file.ask(block_MxD)
    if ahead is None:
      yield Block(first, len(block_MxD), jnp.asarray(block_MxD), 0)
    else:
      numbers = jax.device_put(_window(array_MxD, block_MxD, first, ahead))
      yield Block(first, len(block_MxD), numbers, ahead)
    if file is not None:
      file.forget(block_MxD)


def _ahead(array_MxD: Any, rows: int) -> int | None:
  """Returns how many numbers lie between an aligned place and a block's first.

  Returns:
    None where blocks are to be copied: they lie on another device or apart in
    memory, or differ in how far from an aligned place they begin.
  """
  if not isinstance(array_MxD, np.ndarray) or jax.default_backend() != 'cpu':
    return None
  size = array_MxD.itemsize
  steps_alike = rows * array_MxD.shape[1] * size % _ALIGNED == 0
  beyond = array_MxD.ctypes.data % _ALIGNED
  if (
    not array_MxD.flags.c_contiguous
    or beyond % size
    or not (steps_alike or rows >= len(array_MxD))
  ):
    return None
  return beyond // size


def _window(
  array_MxD: np.ndarray, block_MxD: np.ndarray, first: int, ahead: int
) -> np.ndarray:
  """Returns a block's numbers, and as many before them as `ahead`."""
  begin = first * array_MxD.shape[1]
  if begin >= ahead:
    window: np.ndarray = array_MxD.reshape(-1)[
      begin - ahead : begin + block_MxD.size
    ]
    return window
  # Nothing of the array lies before: a copy, of this block alone.
  window = np.zeros(ahead + block_MxD.size, array_MxD.dtype)
  window[ahead:] = block_MxD.reshape(-1)
  return window


class _Mapped:
  """The memory-mapped file behind an array."""

  def __init__(self, file: mmap.mmap):
    self._file = file
    self._address = np.frombuffer(file, np.uint8).ctypes.data

  @classmethod
  def of(cls, array: Any) -> _Mapped | None:
    """Returns the file of an array; None if it has none, or no advice helps."""
    while isinstance(array, np.ndarray):
      array = array.base
    advisable = isinstance(array, mmap.mmap) and hasattr(array, 'madvise')
    return cls(array) if advisable else None

  def ask(self, block: np.ndarray) -> None:
    """Asks for a block and what follows, without waiting for it."""
    begin, end = self._place(block)
    self._advise(mmap.MADV_WILLNEED, begin, end + _AHEAD)

  def forget(self, block: np.ndarray) -> None:
    """Unmaps the pages of a block; a later read maps them again."""
    self._advise(mmap.MADV_DONTNEED, *self._place(block))

  def _place(self, block: np.ndarray) -> tuple[int, int]:
    begin = block.ctypes.data - self._address
    return begin, begin + block.nbytes

  def _advise(self, advice: int, begin: int, end: int) -> None:
    begin -= begin % mmap.PAGESIZE
    end = min(end, len(self._file))
    if begin < end:
      self._file.madvise(advice, begin, end - begin)
