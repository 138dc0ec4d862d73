"""Mutations of the arrays: their headers, their numbers, their sizes."""

import io
import os
import pickle

import numpy as np

from tests.attack.mutation import ARRAYS
from tests.attack.mutation import EITHER
from tests.attack.mutation import READ
from tests.attack.mutation import REFUSED
from tests.attack.mutation import change_bytes
from tests.attack.mutation import kind
from tests.attack.mutation import pick


def _saved(array: np.ndarray) -> bytes:
  out = io.BytesIO()
  np.save(out, array)
  return out.getvalue()


def _change_array(folder, rng, change, name=None):
  """Rewrites an array; it comes as float64."""

  def on_bytes(content):
    array = np.load(io.BytesIO(content)).astype(np.float64)
    return _saved(change(array))

  change_bytes(folder / (name or pick(rng, ARRAYS)), on_bytes)


def _with_header(folder, rng, header, version=(1, 0), length=None):
  """Puts another header before the numbers of an array."""
  text = header if isinstance(header, bytes) else header.encode('latin-1')
  width = 2 if version[0] == 1 else 4
  size = (len(text) if length is None else length).to_bytes(width, 'little')

  def change(content):
    numbers = content[10 + int.from_bytes(content[8:10], 'little') :]
    return b'\x93NUMPY' + bytes(version) + size + text + numbers

  change_bytes(folder / pick(rng, ARRAYS), change)


def _header(shape='(9, 3)', descr="'<f4'", order='False'):
  return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@kind('npy', REFUSED)
def shape_in_the_header(folder, rng):
  huge = [1 << 31, 1 << 32, 1 << 63, 1 << 64, 10**19, 10**400]
  shape = pick(
    rng,
    [
      *(f'({n}, 3)' for n in huge),
      *(f'(9, {n})' for n in huge),
      *('(True, 3)', '(9.0, 3)', '(-9, 3)', '(None, 3)', '(9)', '()', '[9, 3]'),
      *('(0, 3)', '(9, 0)', '(9, 3', '(9,, 3)', "('9', 3)", '9', '(9j, 3)'),
      '(' + '1, ' * 70 + ')',
      '(' + '9, ' * 3_000 + ')',
    ],
  )
  _with_header(folder, rng, _header(shape))


@kind('npy', REFUSED)
def type_in_the_header(folder, rng):
  descr = pick(
    rng,
    [
      *("'|O'", "'O'", "'<U4'", "'|S8'", "'<c8'", "'|b1'", "'<M8[s]'", "'|V4'"),
      *("'<f3'", "'<f0'", "'f4,f4'", "'float'", "''", 'None', '4', "b'<f4'"),
      *("[('a', '<f4')]", "('<f4', (3,))", "{'names': ['a']}", "'<i99999999'"),
      "'" + 'f' * 9_000 + "'",
    ],
  )
  _with_header(folder, rng, _header(descr=descr))


@kind('npy', REFUSED)
def header_that_is_no_header(folder, rng):
  header = pick(
    rng,
    [
      _header()[:-3],
      _header()[1:],
      "{'descr': '<f4",
      _header().replace("'descr'", "b'descr'"),
      _header().replace("'descr'", '[]'),
      _header().replace("'descr'", '()'),
      _header()[:-1] + "'descr': '<f4'}",
      _header()[:-1] + "'more': 1}",
      _header(order='0'),
      _header(order="'<f4'"),
      '{}',
      '',
      ' ' * 9_000,
      '\0' * 100,
      "__import__('os').abort()",
      'x = 1',
      bytes(range(256)),
      *(c * n for c in '-([{~' for n in (90, 9_000)),
      '{' + "'a':{" * 1_600,
    ],
  )
  _with_header(folder, rng, header)


@kind('npy', REFUSED)
def length_or_version_of_the_header(folder, rng):
  version = pick(rng, [(1, 0), (2, 0), (3, 0), (0, 0), (1, 1), (9, 9)])
  lengths = [0, 1, 60_000, 65_535]
  if version[0] != 1:
    lengths += [1 << 31, (1 << 32) - 1]
  _with_header(folder, rng, _header(), version, length=pick(rng, lengths))


@kind('npy', READ)
def header_as_others_write_it(folder, rng):
  form = pick(
    rng,
    [
      '{{"shape":({0}L,{1}L),"descr":"<f4","fortran_order":False}}\n',
      "{{ 'fortran_order' : False , 'shape' : ({0},{1},) , 'descr':'<f4' }}",
      "{{'descr': '=f4', 'fortran_order': False, 'shape': ({0}, {1})}}",
    ],
  )

  def change(content):
    array = np.load(io.BytesIO(content))
    text = form.format(*array.shape).encode()
    version = pick(rng, [1, 2, 3])
    size = len(text).to_bytes(2 if version == 1 else 4, 'little')
    return b'\x93NUMPY' + bytes([version, 0]) + size + text + array.tobytes()

  change_bytes(folder / pick(rng, ARRAYS), change)


@kind('npy', REFUSED)
def archive(folder, rng):
  def change(content):
    if rng.integers(2):
      return b'PK\x03\x04' + content
    out = io.BytesIO()
    np.savez(out, np.load(io.BytesIO(content)))
    return out.getvalue()

  change_bytes(folder / pick(rng, ARRAYS), change)


@kind('npy', REFUSED)
def pickles(folder, rng):
  content = pick(
    rng,
    [
      _saved(np.array([[{}]] * 9, object)),
      pickle.dumps([1.0]),
      pickle.dumps(np.ones((9, 3)), protocol=0),
    ],
  )
  change_bytes(folder / pick(rng, ARRAYS), lambda _: content)


@kind('npy', READ)
def number_types(folder, rng):
  dtype = pick(rng, ['<f2', '>f4', '<f8', '>f8', 'i1', '<i8', '>u2', 'g'])
  order = pick(rng, ['C', 'F'])

  def change(content):
    array = np.abs(np.nan_to_num(np.load(io.BytesIO(content)) * 100))
    return _saved(array.astype(dtype, order=order))

  change_bytes(folder / pick(rng, ARRAYS), change)


@kind('npy', REFUSED)
def arrays_of_another_kind(folder, rng):
  array = pick(
    rng,
    [
      np.array(['a'] * 9),
      np.ones((9, 3), np.complex64),
      np.ones((9, 3), bool),
      np.ones((9, 3), 'M8[s]'),
      np.ones(9),
      np.ones((9, 3, 2)),
      np.float32(3),
      np.ones((9, 0)),
      np.ones((0, 3)),
      np.ones(9, [('a', 'f4'), ('b', 'f4')]),
    ],
  )
  change_bytes(folder / pick(rng, ARRAYS), lambda _: _saved(array))


@kind('npy', REFUSED)
def row_count(folder, rng):
  change = pick(
    rng,
    [
      lambda a: a[:-1],
      lambda a: np.concatenate([a, a]),
      lambda a: np.concatenate([a, a[:1]]),
      lambda a: a[:1],
      lambda a: np.pad(a, ((0, 1 << 12), (0, 0))),
    ],
  )
  _change_array(folder, rng, change)


@kind('npy', EITHER)
def transposed(folder, rng):
  _change_array(folder, rng, lambda a: a.T)


@kind('npy', REFUSED)
def size_of_the_file(folder, rng):
  more = int(rng.integers(1, 100))
  change_bytes(
    folder / pick(rng, ARRAYS),
    pick(rng, [lambda c: c[:-more], lambda c: c + bytes(more)]),
  )


@kind('npy', REFUSED)
def numbers(folder, rng):
  value = pick(rng, [np.nan, np.inf, -np.inf, 1e39, -1e39, 1e308])

  def change(array):
    array = np.nan_to_num(array)
    array[int(rng.integers(9)), int(rng.integers(array.shape[1]))] = value
    return array

  _change_array(folder, rng, change)


@kind('npy', READ)
def numbers_at_the_edge(folder, rng):
  value = pick(rng, [3.4e38, 1e-45, 1e-300, 0.0, -0.0, 1e30])

  def change(array):
    array = np.nan_to_num(array)
    array[int(rng.integers(9))] = value
    return array

  _change_array(folder, rng, change)


@kind('npy', REFUSED)
def negative_topics(folder, rng):
  value = pick(rng, [-1.0, -1e-30, -0.25])

  def change(array):
    array[int(rng.integers(9)), int(rng.integers(4))] = value
    return array

  _change_array(folder, rng, change, 'content_text.npy')


@kind('npy', READ)
def rows_of_nan(folder, rng):
  def change(array):
    array[rng.random(9) < pick(rng, [0.2, 0.9, 1.0])] = np.nan
    return array

  _change_array(folder, rng, change)


@kind('npy', READ)
def signalling_nan(folder, rng):
  """A NaN whose conversion the processor reports."""
  number, signal = pick(
    rng, [('<f4', 0x7F800001), ('<f8', 0x7FF0000000000001), ('<f2', 0x7C01)]
  )

  def change(content):
    array = np.nan_to_num(np.load(io.BytesIO(content))).astype(number)
    array.view(number.replace('f', 'u'))[int(rng.integers(9))] = signal
    return _saved(array)

  change_bytes(folder / pick(rng, ARRAYS), change)


@kind('npy', READ)
def arrays_exchanged(folder, rng):
  one, other = pick(rng, ARRAYS), pick(rng, ARRAYS)
  if 'content_text.npy' in (one, other):
    one = other = 'content_text.npy'  # others have negative numbers
  (folder / one).rename(folder / 'kept')
  if one != other:
    (folder / other).rename(folder / one)
  (folder / 'kept').rename(folder / other)


@kind('npy', READ)
def many_columns(folder, rng):
  columns = pick(rng, [1_000, 100_000])
  _change_array(folder, rng, lambda a: np.tile(a[:, :1], (1, columns)))


@kind('npy', REFUSED)
def sparse_numbers(folder, rng):
  """Many gigabytes of zeros that take no space on the disk."""
  shape = pick(rng, ['(9, 1073741824)', '(1073741824, 9)', '(4294967296, 1)'])
  name = pick(rng, ARRAYS)
  rows, columns = shape[1:-1].split(', ')
  text = _header(shape).encode()
  start = b'\x93NUMPY\x01\x00' + len(text).to_bytes(2, 'little') + text
  path = folder / name
  path.unlink(missing_ok=True)
  path.write_bytes(start)
  os.truncate(path, len(start) + 4 * int(rows) * int(columns))
