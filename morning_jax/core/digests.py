"""Digests of values, of arrays larger than memory too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
import hashlib
import json
import math
import pathlib
from typing import Any
import zlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class Blocks:
  """An array for `digest` that is read block by block.

  It counts as the array in memory does.

  Attributes:
    dtype: of the numbers.
    shape: of the whole array.
    blocks: yields its rows, one block after the other.
  """

  dtype: np.dtype
  shape: tuple[int, ...]
  blocks: Callable[[], Iterator[np.ndarray]]


def _head_of_array(array: np.ndarray | Blocks) -> bytes:
  return f'array {array.dtype.str} {array.shape}\n'.encode()


def _bytes_of(array: np.ndarray) -> memoryview:
  return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def digest(*parts: Any) -> str:
  """Returns the SHA-256 of values, in hexadecimal.

  Each part is set off from the next by its kind and size, so that no two
  different lists of parts are digested alike.

  Args:
    *parts: None, bytes, text, JSON values, NumPy arrays (in `Blocks` too), or
      files (`pathlib.Path`), which count by their content.
  """
  whole = hashlib.sha256()

  def add(kind: str, content: bytes | memoryview) -> None:
    whole.update(f'{kind} {len(content)}\n'.encode())
    whole.update(content)

  for part in parts:
    if isinstance(part, bytes):
      add('bytes', part)
    elif isinstance(part, str):
      add('text', part.encode())
    elif isinstance(part, pathlib.Path):
      with part.open('rb') as f:
        add('file', hashlib.file_digest(f, 'sha256').digest())
    elif isinstance(part, np.ndarray):
      if part.dtype.kind == 'U':
        # Fixed-width strings depend on the longest one.
        add('texts', json.dumps(part.tolist()).encode())
        continue
      whole.update(_head_of_array(part))
      add('values', _bytes_of(part))
    elif isinstance(part, Blocks):
      whole.update(_head_of_array(part))
      size = part.dtype.itemsize * math.prod(part.shape)
      whole.update(f'values {size}\n'.encode())
      for block in part.blocks():
        whole.update(_bytes_of(block))
    else:
      add('json', json.dumps(part, sort_keys=True).encode())
  return whole.hexdigest()


def checksum(value: Any) -> int:
  """Returns the CRC-32 of a JSON value, whatever the order of its keys."""
  return zlib.crc32(json.dumps(value, sort_keys=True).encode())
