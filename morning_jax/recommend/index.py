"""A catalogue of encoded influencers on disk, for `ranking` to search.

It is one `.npy` array [M, D]: float32, or uint16 with the bit patterns of
bfloat16 (NumPy has no such type). `open_catalogue` reads both.

Until a catalogue is complete, its rows lie in `<path>.part`. A note,
`<path>.json`, says of what and how many are done. It speaks of the part where
there is one and else of the file: rows are on disk before the note counts
them, and a note is deleted before another part takes the place of its own. So
whenever the process is killed, the note claims no row that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import json
import os
import pathlib
import tokenize
from typing import Any

from jax import numpy as jnp
import numpy as np

from morning_jax.core import errors

_DTYPES = {'float32': np.float32, 'bfloat16': np.uint16}
# NumPy reads a header as Python text; a damaged one need not be any.
_UNREADABLE = (OSError, ValueError, SyntaxError, tokenize.TokenError)


def open_catalogue(path: str | os.PathLike[str]) -> np.memmap:
  """Opens a catalogue, memory-mapped: float32 or bfloat16 [M, D].

  Raises:
    UserError: the file is no catalogue.
  """
  try:
    array = np.lib.format.open_memmap(path, mode='r')
  except _UNREADABLE as e:
    reason = ' '.join(str(e).split())
    raise errors.UserError(f'{path}: is no catalogue: {reason}') from None
  if array.ndim != 2 or array.dtype not in (np.float32, np.uint16):
    raise errors.UserError(
      f'{path}: holds {array.dtype} {array.shape}, no float32 or uint16 [M, D]'
    )
  return array.view(jnp.bfloat16) if array.dtype == np.uint16 else array


def encode_catalogue(
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

  What was begun with other arguments, or was damaged since, is begun anew. The
  file of a former catalogue stays until the new one is complete. One process
  at a time may encode into a path.

  Args:
    encode: (first row, last row + 1) -> [rows, D].
    path: the file; `.npy`.
    num_rows: M.
    width: D.
    fingerprint: of the model and its accounts: what was begun with another one
      is begun anew.
    batch_rows: rows encoded at a time.
    dtype: 'float32' or 'bfloat16'.
    advance: called with the number of rows done, for progress.

  Returns:
    The catalogue, memory-mapped.

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
    return open_catalogue(path)
  else:
    done = 0
  with _writing(part):
    if not done:
      note.unlink(missing_ok=True)
    rows = np.lib.format.open_memmap(
      part,
      mode='r+' if done else 'w+',
      dtype=_DTYPES[dtype],
      shape=(num_rows, width),
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
    rows[done:last] = batch
    with _writing(part):
      rows.flush()
    _write_note(note, {**wanted, 'done': last})
    advance(last - done)
    done = last
  del rows
  with _writing(path):
    part.replace(path)
  return open_catalogue(path)


def _rows_done(note: pathlib.Path, wanted: Mapping[str, Any]) -> int:
  """Returns how many rows a note counts; 0 if it is of something else."""
  try:
    stored = json.loads(note.read_text('utf-8'))
  except (OSError, ValueError):
    return 0
  done = stored.get('done') if isinstance(stored, dict) else None
  if not isinstance(done, int) or stored != {**wanted, 'done': done}:
    return 0
  return done if 0 < done <= wanted['num_rows'] else 0


def _write_note(note: pathlib.Path, content: Mapping[str, Any]) -> None:
  """Writes a note, whole or not at all."""
  draft = note.with_name(note.name + '.new')
  with _writing(note):
    draft.write_text(json.dumps(content), 'utf-8')
    draft.replace(note)


def _is_whole(path: pathlib.Path, wanted: Mapping[str, Any]) -> bool:
  """Returns whether a file has the header and the size of a catalogue."""
  try:
    array = open_catalogue(path)
  except errors.UserError:
    return False
  return (
    array.dtype == jnp.dtype(wanted['dtype'])
    and array.shape == (wanted['num_rows'], wanted['width'])
    and path.stat().st_size == array.offset + array.nbytes
  )


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
      f'{path}: cannot be written: {e.strerror or e}'
    ) from e
