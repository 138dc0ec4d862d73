"""Files that a user brings, opened and split into rows with care.

What has the name of a file may be anything: a pipe that never ends, a link to
nothing, text of another encoding, one line of a gigabyte. Each of them ends in
one line that names the file and, where there is one, the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import csv
import io
import itertools
import os
import pathlib
import stat

from morning_jax.core import errors

LONGEST_CELL = 131_072  # characters; the csv module's own limit
_LONGEST_LINE = 1 << 22  # characters, of what an editor calls a line
_SEPARATORS = (';', '\t')  # what is accepted beside the comma
_FIRST_BYTES = {
  b'\xff\xfe': 'is UTF-16 text',
  b'\xfe\xff': 'is UTF-16 text',
  b'PK\x03\x04': 'is a spreadsheet or an archive',
}
_KINDS = {
  stat.S_IFDIR: 'a folder',
  stat.S_IFIFO: 'a pipe',
  stat.S_IFSOCK: 'a socket',
  stat.S_IFCHR: 'a device',
  stat.S_IFBLK: 'a device',
}


class _BadText(Exception):
  """A line that can't be taken; the reader knows in which row it is."""


def open_file(
  path: str | os.PathLike[str], *, error: type[errors.UserError]
) -> io.BufferedReader:
  """Opens a regular file; a pipe or a device is refused, not waited for.

  Args:
    path: the file.
    error: what to raise.

  Returns:
    The open file.

  Raises:
    error: there is no such file, or it is none that can be read to an end.
  """
  try:
    # Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
    handle = os.open(
      path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    )
  except (OSError, ValueError) as e:
    problem = getattr(e, 'strerror', None) or str(e)
    if isinstance(e, FileNotFoundError) and os.path.islink(path):
      problem = 'is a link to a file that does not exist'
    raise error(errors.in_file(path, problem)) from None
  mode = os.fstat(handle).st_mode
  if not stat.S_ISREG(mode):
    os.close(handle)
    kind = _KINDS.get(stat.S_IFMT(mode), 'something else')
    raise error(errors.in_file(path, f'is {kind}, not a regular file'))
  return open(handle, 'rb')


def csv_rows(
  path: pathlib.Path, *, error: type[errors.UserError]
) -> Iterator[tuple[int, list[str]]]:
  """Reads a CSV file: UTF-8, with commas, or with semicolons or tabs.

  Which it is, the first row tells: another separator counts where that row has
  no comma.

  Args:
    path: the file.
    error: what to raise.

  Yields:
    The number and the cells of each row that is not blank. Rows count as a
    spreadsheet shows them: from 1, and a row with line breaks inside a cell is
    one row.

  Raises:
    error: the file can't be opened or read, or is not well-formed.
  """
  number = 0
  with _open_text(path, error=error, newline='') as text:
    lines = _checked_lines(text)
    first: list[str] = []
    reader: Iterator[list[str]] | None = None
    while True:
      number += 1
      try:
        if reader is None:
          # Up to the first line that is not blank.
          for line in lines:
            first.append(line)
            if line.strip():
              break
          reader = csv.reader(
            itertools.chain(first, lines),
            delimiter=_separator(first[-1] if first else ''),
            strict=True,
          )
        cells = next(reader)
      except StopIteration:
        return
      except (_BadText, csv.Error, OSError) as e:
        raise error(errors.in_file(path, _reason(e), row=number)) from None
      if len(cells) > 1 or ''.join(cells).strip():
        yield number, cells


def text_lines(
  path: pathlib.Path, *, error: type[errors.UserError]
) -> Iterator[tuple[int, str]]:
  """Reads the lines of a UTF-8 text file.

  Args:
    path: the file.
    error: what to raise.

  Yields:
    The number, from 1, and the text of each line.

  Raises:
    error: the file can't be opened or read, or is not text.
  """
  number = 0
  with _open_text(path, error=error, newline=None) as text:
    lines = _checked_lines(text)
    while True:
      number += 1
      try:
        line = next(lines)
      except StopIteration:
        return
      except (_BadText, OSError) as e:
        raise error(errors.in_file(path, _reason(e), row=number)) from None
      yield number, line


def spreadsheet_rows(
  path: pathlib.Path, *, error: type[errors.UserError]
) -> Iterator[tuple[int, Sequence[object]]]:
  """Reads the first sheet of an `.xlsx` file.

  Args:
    path: the file.
    error: what to raise.

  Yields:
    The number, from 1, and the cells of each row.

  Raises:
    error: the file can't be opened or read, or openpyxl is not installed.
  """
  try:
    import openpyxl
  except ImportError:
    problem = (
      "spreadsheets need openpyxl; run pip install 'morning_jax[release]', or"
      ' save it as .csv'
    )
    raise error(errors.in_file(path, problem)) from None
  with open_file(path, error=error) as f:
    try:
      book = openpyxl.load_workbook(f, read_only=True, data_only=True)
      with contextlib.closing(book):
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # the stored ones need not be right
        rows = list(sheet.iter_rows(values_only=True))
    except Exception as e:
      # Broken archives and broken XML raise many types.
      problem = f'not a readable .xlsx file ({errors.quoted(e)})'
      raise error(errors.in_file(path, problem)) from None
  yield from enumerate(rows, 1)


@contextlib.contextmanager
def _open_text(
  path: pathlib.Path, *, error: type[errors.UserError], newline: str | None
) -> Iterator[io.TextIOWrapper]:
  with open_file(path, error=error) as f:
    try:
      start = f.peek(4)[:4]
    except OSError as e:
      raise error(errors.in_file(path, _reason(e))) from None
    for sign, what in _FIRST_BYTES.items():
      if start.startswith(sign):
        raise error(errors.in_file(path, f'{what}; save it as UTF-8 text'))
    # Bytes that are no UTF-8 become surrogates, which no UTF-8 text holds, so
    # that the reader finds them in their row.
    with io.TextIOWrapper(
      f, encoding='utf-8-sig', errors='surrogateescape', newline=newline
    ) as text:
      yield text


def _checked_lines(text: io.TextIOWrapper) -> Iterator[str]:
  while line := text.readline(_LONGEST_LINE):
    if len(line) == _LONGEST_LINE and line[-1] not in '\r\n':
      raise _BadText(f'a line has more than {_LONGEST_LINE:,} characters')
    if '\0' in line:
      raise _BadText('holds a NUL character; save the file as UTF-8 text')
    try:
      line.encode()
    except UnicodeEncodeError:
      raise _BadText('is not UTF-8 text; save the file as UTF-8') from None
    yield line


def _separator(line: str) -> str:
  if ',' not in line:
    for separator in _SEPARATORS:
      if separator in line:
        return separator
  return ','


def _reason(error: Exception) -> str:
  text = str(error)
  if isinstance(error, OSError):
    return error.strerror or text
  if not isinstance(error, csv.Error):
    return text
  if 'field limit' in text:
    return (
      f'a cell has more than {LONGEST_CELL:,} characters; is there a quote that'
      ' is not closed?'
    )
  if 'end of data' in text:
    return 'a quote is opened here and never closed'
  if 'expected after' in text:
    return 'a quote inside a quoted cell must be doubled, as in "a ""b"" c"'
  return f'is not well-formed CSV ({text})'
