"""Maps `.npy` files into memory after their header proved right.

The header is a Python dictionary as text. NumPy evaluates it, which fails in a
dozen ways on a hostile one; here it is matched against what an array of
numbers can have, and its size against the file's.
"""

from __future__ import annotations

import io
import math
import os
import pathlib
import re

import numpy as np

from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.data.bundle import layout

_MAGIC = b'\x93NUMPY'
_LONGEST_HEADER = 10_000  # bytes, as in NumPy
_MOST_COLUMNS = 1 << 20  # a row of them is checked in memory
_NUMBERS = re.compile(r'[<>|=]?(?:[iu][1248]|f[248]|f16)')
_ITEM = re.compile(
  r"""\s*(?P<quote>['"])(?P<key>descr|fortran_order|shape)(?P=quote)\s*:\s*
  (?:
    (?P<mark>['"])(?P<descr>[^'"\\]*)(?P=mark)
  | (?P<fortran_order>True|False)
  | \((?P<shape>\s*(?:\d{1,20}L?\s*,\s*)*(?:\d{1,20}L?\s*)?)\)
  )\s*(?:,|$)""",
  re.VERBOSE | re.ASCII,
)


class _BadHeader(Exception):
  """What is wrong with a header."""


def load_array(path: pathlib.Path) -> np.ndarray:
  """Memory-maps a `.npy` file that holds a table of numbers.

  Args:
    path: the file.

  Returns:
    A read-only array [rows, columns], neither of them 0.

  Raises:
    BundleError: the file is no such array, is pickled, or does not have the
      size that its header says.
  """
  with user_files.open_file(path, error=layout.BundleError) as f:
    try:
      dtype, fortran_order, shape = _read_header(f)
      size = os.fstat(f.fileno()).st_size - f.tell()
      expected = math.prod(shape) * dtype.itemsize
      if size != expected:
        raise _BadHeader(
          ('is truncated' if size < expected else 'is too long')
          + f': its header promises {_count(expected)} bytes of numbers,'
          f' {size:,} follow'
        )
      return np.memmap(
        f,
        dtype=dtype,
        mode='r',
        offset=f.tell(),
        shape=shape,
        order='F' if fortran_order else 'C',
      )
    except (_BadHeader, OSError) as e:
      problem = getattr(e, 'strerror', None) or str(e)
      raise layout.BundleError(errors.in_file(path, problem)) from None


def _read_header(
  file: io.BufferedReader,
) -> tuple[np.dtype, bool, tuple[int, int]]:
  """Reads up to the first number of the array."""
  start = file.read(8)
  if start.startswith(b'PK'):
    raise _BadHeader(
      'holds an archive (.npz), not numbers; save it as one plain array'
    )
  if len(start) < 8 or not start.startswith(_MAGIC):
    raise _BadHeader('is not a .npy file; write it with numpy.save')
  if start[6:] not in (b'\1\0', b'\2\0', b'\3\0'):
    raise _BadHeader(
      f'has version {start[6]}.{start[7]} of the .npy format; 1.0 to 3.0 are'
      ' known'
    )
  width = 2 if start[6] == 1 else 4
  length = int.from_bytes(file.read(width), 'little')
  if length > _LONGEST_HEADER:
    raise _BadHeader(f'is not a readable .npy file (a header of {length:,} B)')
  header = file.read(length)
  if len(header) < length:
    raise _BadHeader('is truncated: it ends in its header')
  return _parse_header(header.decode('latin-1').strip())


def _parse_header(header: str) -> tuple[np.dtype, bool, tuple[int, int]]:
  bad = _BadHeader(
    'is not a readable .npy file: its header is not that of an array of'
    ' numbers; save it as float32'
  )
  if not (header.startswith('{') and header.endswith('}')):
    raise bad
  items, position = header[1:-1].rstrip(), 0
  found: dict[str, str] = {}
  while position < len(items):
    match = _ITEM.match(items, position)
    if match is None or match[match['key']] is None or match['key'] in found:
      raise bad
    found[match['key']] = match[match['key']]
    position = match.end()
  if len(found) != 3:
    raise bad
  descr = found['descr']
  if descr.endswith('O'):
    raise _BadHeader(
      'holds pickled Python objects, which are never loaded; save it as a plain'
      ' array'
    )
  if not _NUMBERS.fullmatch(descr):
    raise _BadHeader(
      f'holds {errors.quoted(descr)}, not numbers; save it as float32'
    )
  shape = tuple(int(n) for n in re.findall(r'\d+', found['shape']))
  if len(shape) != 2 or 0 in shape:
    raise _BadHeader(
      f'has shape {_shape(shape)}, expected [rows, features], both at least 1'
    )
  if shape[1] > _MOST_COLUMNS:
    raise _BadHeader(
      f'has {_count(shape[1])} columns; at most {_MOST_COLUMNS:,} are read'
    )
  fortran_order = found['fortran_order'] == 'True'
  return np.dtype(descr), fortran_order, (shape[0], shape[1])


def _count(number: int) -> str:
  return f'{number:,}' if number < 1 << 63 else 'more than 2^63'


def _shape(shape: tuple[int, ...]) -> str:
  text = str(shape)
  return text if len(text) <= 80 else f'{text[:77]}...'
