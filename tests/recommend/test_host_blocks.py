"""Blocks of host arrays: the same rows, without copies where that is so."""

import mmap

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.recommend import host_blocks


def placed(shape: tuple[int, int], beyond: int, dtype=np.float32) -> np.ndarray:
  """An array that begins `beyond` bytes after a multiple of 64."""
  size = int(np.prod(shape)) * np.dtype(dtype).itemsize
  memory = np.zeros(size + 128, np.uint8)
  begin = -memory.ctypes.data % 64 + beyond
  array = memory[begin : begin + size].view(dtype).reshape(shape)
  array[:] = np.arange(array.size).reshape(shape) % 251
  return array


def joined(array: np.ndarray, rows: int) -> np.ndarray:
  width = array.shape[1]
  parts, end = [], 0
  for block in host_blocks.blocks(array, rows):
    part = host_blocks.rows_of(block.numbers, block.ahead, width)
    assert (block.first, block.rows) == (end, len(part))
    end += block.rows
    parts.append(np.asarray(part))
  return np.concatenate(parts)


@pytest.mark.parametrize('dtype', [np.float32, jnp.bfloat16])
@pytest.mark.parametrize('rows', [3, 32, 100])
@pytest.mark.parametrize('beyond', [0, 2, 16, 60])
def test_blocks_are_the_rows(beyond, rows, dtype):
  array = placed((70, 5), beyond, dtype)
  np.testing.assert_array_equal(joined(array, rows), array)
  every_other = placed((140, 5), beyond, dtype)[::2]
  np.testing.assert_array_equal(joined(every_other, rows), every_other)


@pytest.mark.parametrize('beyond', [0, 16])
def test_blocks_lie_in_the_array_s_own_memory(beyond):
  array = placed((64, 5), beyond)
  blocks = list(host_blocks.blocks(array, 16))
  assert {block.ahead for block in blocks} == {beyond // 4}
  for block in blocks[1:]:
    address = block.numbers.unsafe_buffer_pointer() + 4 * block.ahead
    assert address == array[block.first :].ctypes.data


def test_arrays_on_a_device_are_cut_there():
  array = placed((10, 3), 0)
  on_device = jax.device_put(jnp.asarray(array))
  np.testing.assert_array_equal(joined(on_device, 4), array)


def test_a_file_is_asked_for_ahead_and_unmapped_behind(tmp_path, monkeypatch):
  path = tmp_path / 'catalogue.npy'
  array = placed((4096, 16), 0)
  np.save(path, array)
  mapped = np.lib.format.open_memmap(path, mode='r')
  advised = []
  monkeypatch.setattr(
    host_blocks._Mapped, '_advise', lambda self, *what: advised.append(what)
  )
  monkeypatch.setattr(host_blocks, '_AHEAD', 1000)
  np.testing.assert_array_equal(joined(mapped, 2048), array)
  start, block = mapped.offset, 2048 * 64
  assert advised == [
    (mmap.MADV_WILLNEED, start, start + block + 1000),
    (mmap.MADV_DONTNEED, start, start + block),
    (mmap.MADV_WILLNEED, start + block, start + 2 * block + 1000),
    (mmap.MADV_DONTNEED, start + block, start + 2 * block),
  ]


def test_advice_stays_within_the_file(tmp_path):
  path = tmp_path / 'catalogue.npy'
  np.save(path, placed((100, 3), 0))
  mapped = np.lib.format.open_memmap(path, mode='r')
  np.testing.assert_array_equal(joined(mapped, 7), mapped)
  np.testing.assert_array_equal(
    joined(mapped.view(np.uint32), 50), mapped.view(np.uint32)
  )
