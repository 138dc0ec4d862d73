"""Posts read by blocks of their file, which need not fit into memory.

A block of `posts.jsonl` is a range of bytes: the lines that begin in it. A
block of `posts.parquet` is a row group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
import io
import json
import os
import pathlib
from typing import Any

from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.features.raw import layout
from morning_jax.features.raw import post as post_lib

_LONGEST_LINE = 1 << 22  # bytes
_FIRST_BYTES = {
  b'\xff\xfe': 'is UTF-16 text; save it as UTF-8',
  b'\xfe\xff': 'is UTF-16 text; save it as UTF-8',
  b'PK\x03\x04': 'is an archive, no lines of JSON',
  b'\x1f\x8b': 'is compressed; unpack it first',
}
_TABLE_ROWS = 1024  # of a row group, as Python values at a time


@dataclasses.dataclass
class Skipped:
  """What a block held that is no post.

  Attributes:
    count: how many lines or rows.
    first: what is wrong with the first of them, a line of at most 300
      characters; '' without any.
    unread: keys that posts have and nothing reads.
  """

  count: int = 0
  first: str = ''
  unread: set[str] = dataclasses.field(default_factory=set)


def count(path: pathlib.Path, *, block_bytes: int) -> int:
  """Returns how many blocks a file of posts has; at least 1.

  Args:
    path: `posts.jsonl` or `posts.parquet`.
    block_bytes: of a block of lines.

  Raises:
    RawError: it can't be read.
  """
  if path.suffix == '.parquet':
    with _table(path) as table:
      return max(1, table.num_row_groups)
  return max(1, -(-path.stat().st_size // block_bytes))


def read(
  path: pathlib.Path,
  block: int,
  index: Mapping[str, int],
  *,
  block_bytes: int,
  skip_bad: bool,
  skipped: Skipped,
) -> Iterator[post_lib.Post]:
  """Reads the posts of a block.

  Args:
    path: the file, in the raw folder.
    block: number of the block.
    index: name -> index, of all profiles.
    block_bytes: of a block of lines.
    skip_bad: whether to count what is wrong instead of raising.
    skipped: gets what was skipped.

  Yields:
    The posts, in their order.

  Raises:
    RawError: the file can't be read, or a post is wrong: names file and row.
  """
  root = os.path.realpath(path.parent)
  is_table = path.suffix == '.parquet'
  rows = _rows(path, block) if is_table else _lines(path, block, block_bytes)
  for place, value in rows:
    try:
      if isinstance(value, ValueError):
        raise value
      post = post_lib.parse(value, index, root)
    except ValueError as e:
      row = place + 1 if is_table else _line_number(path, place)
      problem = errors.in_file(path, str(e), row=row)
      if not skip_bad:
        raise layout.RawError(problem) from None
      skipped.count += 1
      skipped.first = skipped.first or problem
      continue
    skipped.unread.update(value.keys() - set(post_lib.FIELDS))
    yield post


def _lines(
  path: pathlib.Path, block: int, block_bytes: int
) -> Iterator[tuple[int, Any]]:
  """Yields the first byte and the value of the lines that begin in a block."""
  first, end = block * block_bytes, (block + 1) * block_bytes
  with user_files.open_file(path, error=layout.RawError) as f:
    try:
      if not first:
        _check_start(f, path)
      else:
        # The line that the byte before belongs to is another block's.
        f.seek(first - 1)
        rest = b'.'
        while rest and rest[-1:] != b'\n' and (here := f.tell()) < end:
          rest = f.readline(min(_LONGEST_LINE, end - here))
        if rest[-1:] != b'\n':
          return
      # The first line is the first block's even behind a byte order mark.
      while ((place := f.tell()) < end or not first) and (
        line := f.readline(_LONGEST_LINE)
      ):
        first = first or 1
        if len(line) == _LONGEST_LINE and line[-1:] != b'\n':
          yield place, ValueError(f'has more than {_LONGEST_LINE:,} bytes')
          while line and line[-1:] != b'\n':
            line = f.readline(_LONGEST_LINE)
        elif line.strip():
          yield place, _value(line)
    except OSError as e:
      raise layout.RawError(
        errors.in_file(path, e.strerror or str(e))
      ) from None


def _check_start(file: io.BufferedReader, path: pathlib.Path) -> None:
  start = file.read(4)
  for sign, problem in _FIRST_BYTES.items():
    if start.startswith(sign):
      raise layout.RawError(errors.in_file(path, problem))
  file.seek(3 if start.startswith(b'\xef\xbb\xbf') else 0)


def _value(line: bytes) -> Any:
  """Returns the JSON value of a line, or what is wrong with it."""
  try:
    return json.loads(line.decode(), parse_constant=_refuse)
  except UnicodeDecodeError:
    return ValueError('is not UTF-8 text')
  except json.JSONDecodeError as e:
    return ValueError(f'is no JSON: {e.msg} at character {e.pos + 1}')
  except (ValueError, RecursionError) as e:
    return ValueError(f'is no JSON: {errors.quoted(e)}')


def _refuse(constant: str) -> Any:
  raise ValueError(f'{constant} is no number of JSON')


def _line_number(path: pathlib.Path, place: int) -> int:
  """Returns the number, from 1, of the line that begins at a byte."""
  number = 1
  with path.open('rb') as f:
    while place > 0:
      part = f.read(min(place, 1 << 20))
      if not part:
        break
      number += part.count(b'\n')
      place -= len(part)
  return number


def _table(path: pathlib.Path) -> Any:
  try:
    import pyarrow
    from pyarrow import parquet
  except ImportError:
    raise layout.RawError(
      errors.in_file(
        path, "needs pyarrow: run pip install 'morning_jax[prepare]'"
      )
    ) from None
  try:
    return parquet.ParquetFile(path)
  except (pyarrow.ArrowException, OSError) as e:
    raise layout.RawError(
      errors.in_file(path, f'is no Parquet file ({errors.quoted(e)})')
    ) from None


def _rows(path: pathlib.Path, group: int) -> Iterator[tuple[int, Any]]:
  """Yields the number, from 0, and the values of a row group's rows."""
  import pyarrow

  with _table(path) as table:
    place = sum(table.metadata.row_group(i).num_rows for i in range(group))
    known = [n for n in table.schema_arrow.names if n in post_lib.FIELDS]
    if not table.num_row_groups:
      return
    try:
      for batch in table.iter_batches(
        _TABLE_ROWS, row_groups=[group], columns=known
      ):
        for value in batch.to_pylist():
          yield place, value
          place += 1
    except (pyarrow.ArrowException, OSError, ValueError) as e:
      raise layout.RawError(
        errors.in_file(path, f'can not be read on ({errors.quoted(e)})')
      ) from None
