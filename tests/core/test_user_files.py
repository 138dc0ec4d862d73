"""Files of a user: whatever has their name ends in rows or in one line."""

import os
import socket
import threading

import pytest

from morning_jax.core import errors
from morning_jax.core import user_files


class _Error(errors.UserError):
  """What the caller asked to be raised."""


def _rows(path):
  return list(user_files.csv_rows(path, error=_Error))


def _fails(path, read=_rows) -> str:
  """Returns the message; a reader that waits for a pipe fails the test."""
  found = []

  def run():
    try:
      found.append(read(path))
    except _Error as e:
      found.append(e)

  thread = threading.Thread(target=run, daemon=True)
  thread.start()
  thread.join(timeout=60)
  assert found, 'still waiting'
  assert isinstance(found[0], _Error), found[0]
  message = str(found[0])
  assert '\n' not in message and len(message) <= 300
  return message


def _lines(path):
  return list(user_files.text_lines(path, error=_Error))


def _sheet(path):
  return list(user_files.spreadsheet_rows(path, error=_Error))


@pytest.mark.parametrize('read', [_rows, _lines, _sheet])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, read):
  pytest.importorskip('openpyxl')
  os.mkfifo(tmp_path / 'pipe')
  assert 'pipe: is a pipe, not a regular file' in _fails(
    tmp_path / 'pipe', read
  )
  (tmp_path / 'zero').symlink_to('/dev/zero')
  assert 'zero: is a device, not a regular' in _fails(tmp_path / 'zero', read)
  assert 'is a folder, not a regular file' in _fails(tmp_path, read)
  with socket.socket(socket.AF_UNIX) as s:
    s.bind(str(tmp_path / 's'))
    assert str(tmp_path / 's') in _fails(tmp_path / 's', read)


def test_links_to_nothing_and_to_themselves(tmp_path):
  (tmp_path / 'to_nothing').symlink_to(tmp_path / 'gone')
  message = _fails(tmp_path / 'to_nothing')
  assert 'to_nothing: is a link to a file that does not exist' in message
  (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
  assert 'symbolic links' in _fails(tmp_path / 'loop')
  assert 'No such file' in _fails(tmp_path / 'none')
  assert 'too long' in _fails(tmp_path / ('x' * 300))
  assert 'null byte' in _fails(tmp_path / 'a\0b')


def test_rows_count_as_a_spreadsheet_shows_them(tmp_path):
  path = tmp_path / 'a.csv'
  path.write_text('id,text\na,"one\ntwo\nthree"\n\nb,four\n')
  assert _rows(path) == [
    (1, ['id', 'text']),
    (2, ['a', 'one\ntwo\nthree']),
    (4, ['b', 'four']),
  ]
  path.write_text('\n \nid,text\na,"one\ntwo"\nb,"x" y\n')
  assert 'row 5: a quote inside a quoted cell must be doubled' in _fails(path)


@pytest.mark.parametrize(
  'content',
  [
    b'a,b\n1,"x;y"\n',
    b'\xef\xbb\xbfa,b\n1,x;y\n',
    b'a;b\n1;"x;y"\n',
    b'a\tb\n1\tx;y\n',
    b'a,b\r\n1,x;y\r\n',
    b'a,b\r1,x;y\r',
    b'a,b\n1,x;y',
  ],
)
def test_byte_order_marks_separators_and_line_ends(tmp_path, content):
  (tmp_path / 'a.csv').write_bytes(content)
  assert _rows(tmp_path / 'a.csv') == [(1, ['a', 'b']), (2, ['1', 'x;y'])]


def test_a_semicolon_beside_a_comma_separates_nothing(tmp_path):
  (tmp_path / 'a.csv').write_text('a;b,c\n1;2,3\n')
  assert _rows(tmp_path / 'a.csv')[1] == (2, ['1;2', '3'])


@pytest.mark.parametrize(
  ('content', 'said'),
  [
    ('a,b\n'.encode('utf-16'), 'a.csv: is UTF-16 text; save it as UTF-8'),
    ('a,b\n'.encode('utf-16-be'), 'row 1: holds a NUL character'),
    (b'PK\x03\x04\x14\0', 'a.csv: is a spreadsheet or an archive'),
    (b'a,b\n1,2\n3,\0\n', 'row 3: holds a NUL character'),
    ('a,b\n1,é\n'.encode('latin-1'), 'row 2: is not UTF-8 text'),
    (b'a,b\n\n1,\xed\xa0\x80\n', 'row 3: is not UTF-8 text'),
    (b'a,b\n1,"x\n2,y\n', 'row 2: a quote is opened here and never closed'),
    (b'a,b\n1,"x\n' + b'2,y\n' * 40_000, 'row 2: a cell has more than 131,072'),
    (b'a,b\n1,' + b'x' * 131_073 + b'\n', 'row 2: a cell has more than'),
    (b'a,b\n' + b'x,' * 3_000_000 + b'\n', 'row 2: a line has more than 4,1'),
  ],
)
def test_what_is_no_table_is_one_line(tmp_path, content, said):
  (tmp_path / 'a.csv').write_bytes(content)
  assert said in _fails(tmp_path / 'a.csv')


def test_a_line_without_end_is_not_read_to_its_end(tmp_path):
  """A sparse file: 100 GB of NUL bytes that take no space."""
  with (tmp_path / 'a.csv').open('wb') as f:
    f.truncate(100 << 30)
  assert 'row 1' in _fails(tmp_path / 'a.csv')
  assert 'row 1' in _fails(tmp_path / 'a.csv', _lines)


def test_lines_of_text_are_counted(tmp_path):
  path = tmp_path / 'a.txt'
  path.write_bytes(b'\xef\xbb\xbfone\r\n\r\ntwo')
  assert _lines(path) == [(1, 'one\n'), (2, '\n'), (3, 'two')]
  path.write_bytes(b'one\n\xff\n')
  assert 'row 2: is not UTF-8 text' in _fails(path, _lines)


def test_a_broken_spreadsheet_is_one_line(tmp_path):
  pytest.importorskip('openpyxl')
  (tmp_path / 'a.xlsx').write_bytes(b'PK\x03\x04 no zip')
  assert 'a.xlsx: not a readable .xlsx' in _fails(tmp_path / 'a.xlsx', _sheet)
