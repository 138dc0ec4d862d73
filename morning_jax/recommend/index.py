"""An index on disk: the encoded influencers of a catalogue, for `top_k`.

It is one `.npy` array [M, D]: float32, or uint16 with the bit patterns of
bfloat16 (NumPy has no such type). `open_index` reads both.

Encoding a large catalogue takes long, so it can be resumed. Until an index is
complete, its rows are in `<path>.part`. A note, `<path>.json`, says of what and
how many rows are done. It describes the part if there is one and otherwise the
file: rows are on disk before the note counts them, and a note is deleted before
another part takes the place of its own. So whenever the process is killed, the
note claims no row that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import json
import os
import pathlib
from typing import Any, cast

from jax import numpy as jnp
import numpy as np

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.bundle import npy_file

_DTYPES = {'float32': np.float32, 'bfloat16': np.uint16}


def open_index(path: str | os.PathLike[str]) -> np.memmap:
  """Opens an index, memory-mapped: float32 or bfloat16 [M, D].

  Args:
    path: the file.

  Raises:
    UserError: the file is no index.
  """
  array = npy_file.load_array(pathlib.Path(path))
  if not isinstance(array, np.memmap) or array.dtype not in (
    np.float32,
    np.uint16,
  ):
    raise errors.UserError(
      errors.in_file(
        path,
        f'holds {array.dtype} {array.shape}, no float32 or uint16 [M, D]',
      )
    )
  found = array.view(jnp.bfloat16) if array.dtype == np.uint16 else array
  return cast(np.memmap, found)


def build_index(
  encode: Callable[[int, int], Any],
  path: str | os.PathLike[str],
  *,
  num_rows: int,
  width: int,
  fingerprint: str,
  batch_rows: int = 1024,
  dtype: str = 'float32',
  advance: Callable[[int], None] = lambda rows: None,
) -> np.memmap:
  """Encodes a catalogue into a file, batch by batch, from where it stopped.

  An incomplete index of other arguments, or one that is damaged, is restarted.
  A former index stays in place until the new one is complete. One process at a
  time may write to a path.

  Args:
    encode: (first row, last row + 1) -> [rows, D].
    path: the file; `.npy`.
    num_rows: M.
    width: D.
    fingerprint: of the model and its accounts; with another one, encoding
      restarts.
    batch_rows: rows encoded at a time.
    dtype: 'float32' or 'bfloat16'.
    advance: called with the number of rows done, for progress.

  Returns:
    The index, memory-mapped.

  Raises:
    UserError: the file can't be written, such as on a full disk.
    ValueError: the type is unknown, or `encode` returns another shape.
  """
  if dtype not in _DTYPES:
    raise ValueError(f'dtype {dtype!r} is none of {", ".join(_DTYPES)}')
  path = pathlib.Path(path)
  part, note = (
    path.with_name(path.name + '.part'),
    path.with_name(path.name + '.json'),
  )
  wanted = {
    'num_rows': num_rows,
    'width': width,
    'dtype': dtype,
    'fingerprint': fingerprint,
  }
  done = _rows_done(note, wanted)
  if part.exists():
    if not _is_whole(part, wanted):
      done = 0
  elif done == num_rows and _is_whole(path, wanted):
    return open_index(path)
  else:
    done = 0
  with _writing(part):
    files.remove_abandoned(path.parent)
    if not done:
      note.unlink(missing_ok=True)
    if not done:
      np.lib.format.open_memmap(
        part, mode='w+', dtype=_DTYPES[dtype], shape=(num_rows, width)
      )
    try:
      _allocate(part)
    except OSError:
      if not done:
        part.unlink()
      raise
  while done < num_rows:
    last = min(done + batch_rows, num_rows)
    batch = np.asarray(encode(done, last), np.float32)
    if batch.shape != (last - done, width):
      raise ValueError(
        f'encode({done}, {last}) returned {batch.shape}, not'
        f' {(last - done, width)}'
      )
    if dtype == 'bfloat16':
      batch = batch.astype(jnp.bfloat16).view(np.uint16)
    with _writing(part):
      _write_rows(part, done, batch)
    with _writing(note):
      files.write_json(note, {**wanted, 'done': last})
    advance(last - done)
    done = last
  with _writing(path):
    part.replace(path)
  return open_index(path)


def _rows_done(note: pathlib.Path, wanted: Mapping[str, Any]) -> int:
  """Returns how many rows a note counts; 0 if it is of something else."""
  try:
    stored = json.loads(note.read_text('utf-8'))
  except (OSError, ValueError, RecursionError):
    return 0
  done = stored.get('done') if isinstance(stored, dict) else None
  if type(done) is not int or stored != {**wanted, 'done': done}:
    return 0
  return done if 0 < done <= wanted['num_rows'] else 0


def _is_whole(path: pathlib.Path, wanted: Mapping[str, Any]) -> bool:
  """Returns whether a file has the header and the size of an index."""
  try:
    array = open_index(path)
  except errors.UserError:
    return False
  return (
    array.dtype == jnp.dtype(wanted['dtype'])
    and array.shape == (wanted['num_rows'], wanted['width'])
    and path.stat().st_size == array.offset + array.nbytes
  )


def _write_rows(path: pathlib.Path, first: int, rows: np.ndarray) -> None:
  """Puts rows in their place, on the disk when this returns.

  Written, not mapped: mapped pages would count as memory of this process.
  """
  offset = np.lib.format.open_memmap(path, mode='r').offset
  with path.open('r+b') as file:
    file.seek(offset + first * rows.nbytes // len(rows))
    file.write(np.ascontiguousarray(rows).data)
    file.flush()
    os.fsync(file.fileno())


def _allocate(path: pathlib.Path) -> None:
  """Takes the disk's space for all of a file.

  A memory-mapped file is sparse at first, and a write that finds the disk full
  kills the process.
  """
  if hasattr(os, 'posix_fallocate'):
    with path.open('r+b') as file:
      os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


@contextlib.contextmanager
def _writing(path: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except OSError as e:
    raise errors.UserError(
      errors.in_file(path, f'cannot be written: {e.strerror or e}')
    ) from e
