"""`.npy` files: a header that is not that of a table of numbers is refused."""

import io
import os

import numpy as np
import pytest

from morning_jax.data.bundle import layout
from morning_jax.data.bundle import npy_file


def write(path, header, data=b'', *, version=(1, 0), length=None):
  """Writes a `.npy` file with any header."""
  text = header if isinstance(header, bytes) else header.encode('latin-1')
  width = 2 if version[0] == 1 else 4
  size = len(text) if length is None else length
  path.write_bytes(
    b'\x93NUMPY' + bytes(version) + size.to_bytes(width, 'little') + text + data
  )
  return path


def header(descr="'<f4'", order='False', shape='(2, 3)'):
  return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def error_of(path) -> str:
  with pytest.raises(layout.BundleError) as e:
    npy_file.load_array(path)
  message = str(e.value)
  assert str(path) in message
  assert '\n' not in message and len(message) <= 300
  return message


@pytest.mark.parametrize('dtype', ['<f4', '>f4', '<f8', '<f2', '|i1', '>u8'])
@pytest.mark.parametrize('order', ['C', 'F'])
@pytest.mark.parametrize('version', [(1, 0), (2, 0), (3, 0)])
def test_what_numpy_writes_is_read(tmp_path, dtype, order, version):
  array = np.arange(6).reshape(2, 3).astype(dtype, order=order)
  written = io.BytesIO()
  np.lib.format.write_array(written, array, version=version)
  (tmp_path / 'a.npy').write_bytes(written.getvalue())
  read = npy_file.load_array(tmp_path / 'a.npy')
  assert read.dtype == array.dtype and not read.flags.writeable
  np.testing.assert_array_equal(read, array)


def test_what_other_programs_write_is_read(tmp_path):
  array = np.arange(6, dtype='<f4').reshape(2, 3)
  for text in (
    '{"shape":(2L,3L),"descr":"<f4","fortran_order":False}\n',
    "{ 'fortran_order' : False , 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' }  ",
  ):
    path = write(tmp_path / 'a.npy', text, array.tobytes())
    np.testing.assert_array_equal(npy_file.load_array(path), array)


HEADERS = {
  'rows of 2^64': (header(shape=f'({1 << 64}, 3)'), 'is truncated'),
  'columns of 2^64': (header(shape=f'(2, {1 << 64})'), 'than 2^63 columns'),
  'a product of 2^64': (header(shape=f'({1 << 62}, 1)'), 'is truncated'),
  'True in the shape': (header(shape='(True, 3)'), 'its header is not'),
  'a negative shape': (header(shape='(-2, 3)'), 'its header is not'),
  'a shape of floats': (header(shape='(2.0, 3)'), 'its header is not'),
  'a number of 5,000 digits': (
    header(shape=f'({"9" * 5_000}, 3)'),
    'its header is not',
  ),
  'an empty shape': (header(shape='()'), 'has shape ()'),
  'one dimension': (header(shape='(6,)'), 'has shape (6,)'),
  '70 dimensions': (header(shape=f'({"1, " * 70})'), 'has shape'),
  'no rows': (header(shape='(0, 3)'), 'has shape (0, 3)'),
  'no columns': (header(shape='(2, 0)'), 'has shape (2, 0)'),
  'not closed': (header()[:-3], 'its header is not'),
  'a text that is not closed': ("{'descr': '<f4", 'its header is not'),
  'keys of bytes': (header().replace("'descr'", "b'descr'"), 'its header'),
  'keys of lists': ('{[]: 1}', 'its header is not'),
  'a key twice': (header()[:-1] + "'descr': '<f4'}", 'its header is not'),
  'a key too many': (header()[:-1] + "'more': True}", 'its header is not'),
  'a key missing': ("{'descr': '<f4', 'shape': (2, 3)}", 'its header is not'),
  'a key of another kind': (header(order="'<f4'"), 'its header is not'),
  'no dictionary': ("'<f4'", 'its header is not'),
  'empty': ('', 'its header is not'),
  '9,000 dashes': ('-' * 9_000, 'its header is not'),
  '9,000 dashes inside': (header(shape='-' * 9_000), 'its header is not'),
  '9,000 brackets': ('[' * 9_000, 'its header is not'),
  'a program': ("__import__('os').getpid()", 'its header is not'),
  'no text': (bytes(range(256)), 'its header is not'),
  'records': (header(descr="[('a', '<f4')]"), 'its header is not'),
  'objects': (header(descr="'|O'"), 'pickled'),
  'a type of text': (header(descr="'<U4'"), "'<U4', not numbers"),
  'complex numbers': (header(descr="'<c8'"), "'<c8', not numbers"),
  'truth values': (header(descr="'|b1'"), "'|b1', not numbers"),
  'a type that is none': (header(descr="'<f3'"), "'<f3', not numbers"),
  'a type of 5,000 letters': (header(descr=f"'{'f' * 5_000}'"), 'not numbers'),
}


@pytest.mark.parametrize('name', HEADERS)
def test_headers(tmp_path, name, recwarn):
  text, said = HEADERS[name]
  assert said in error_of(write(tmp_path / 'a.npy', text, b'\0' * 24))
  assert not recwarn.list


def test_a_header_longer_than_its_file_or_any_header(tmp_path):
  path = write(tmp_path / 'a.npy', header(), length=200)
  assert 'ends in its header' in error_of(path)
  path = write(tmp_path / 'a.npy', header(), version=(2, 0), length=1 << 31)
  assert 'a header of 2,147,483,648 B' in error_of(path)
  path = write(tmp_path / 'a.npy', header(), version=(9, 1))
  assert 'has version 9.1' in error_of(path)


@pytest.mark.parametrize('start', [b'', b'PK', b'PK\x03\x04', b'\x93NUM', b'x'])
def test_what_does_not_begin_as_an_array(tmp_path, start):
  (tmp_path / 'a.npy').write_bytes(start + b'\0' * 5 * len(start))
  message = error_of(tmp_path / 'a.npy')
  assert ('an archive' if start[:2] == b'PK' else 'is not a .npy') in message


@pytest.mark.parametrize('change', [-24, -1, 1, 24])
def test_the_size_is_that_of_the_header(tmp_path, change):
  path = write(tmp_path / 'a.npy', header(), b'\0' * (24 + change))
  said = 'is truncated' if change < 0 else 'is too long'
  assert (
    f'{said}: its header promises 24 bytes of numbers, {24 + change} follow'
    in error_of(path)
  )


def test_a_row_that_is_too_long_to_check_is_not_mapped(tmp_path):
  """A sparse file of 20 GB that takes no space."""
  path = write(tmp_path / 'a.npy', header(shape=f'(5, {1 << 30})'))
  os.truncate(path, path.stat().st_size + 5 * 4 * (1 << 30))
  assert 'at most 1,048,576 are read' in error_of(path)


def test_pipes_devices_and_links(tmp_path):
  (tmp_path / 'zero').symlink_to('/dev/zero')
  assert 'is a device' in error_of(tmp_path / 'zero')
  (tmp_path / 'gone').symlink_to(tmp_path / 'nothing')
  assert 'is a link to a file that does not exist' in error_of(
    tmp_path / 'gone'
  )
  os.mkfifo(tmp_path / 'pipe')
  holder = os.open(tmp_path / 'pipe', os.O_RDWR)  # a reader does not wait
  try:
    assert 'is a pipe' in error_of(tmp_path / 'pipe')
  finally:
    os.close(holder)
