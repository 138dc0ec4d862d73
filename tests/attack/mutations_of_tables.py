"""Mutations of the form of a table and of its bytes."""

import csv
import gzip
import io

from tests.attack import mutation
from tests.attack.mutation import EITHER
from tests.attack.mutation import FILES
from tests.attack.mutation import READ
from tests.attack.mutation import REFUSED
from tests.attack.mutation import TABLES
from tests.attack.mutation import change_bytes
from tests.attack.mutation import change_rows
from tests.attack.mutation import change_text
from tests.attack.mutation import kind
from tests.attack.mutation import pick


@kind('csv', REFUSED)
def column_dropped(folder, rng):
  table, name = mutation.column(rng)

  def change(rows):
    place = rows[0].index(name)
    return [r[:place] + r[place + 1 :] for r in rows]

  change_rows(folder / table, change)


@kind('csv', REFUSED)
def column_renamed(folder, rng):
  table, name = mutation.column(rng)
  other = pick(rng, ['', 'x' * 100_000, name + '_', 'ｒｏｌｅ'])
  change_text(folder / table, lambda t: t.replace(name, other, 1))


@kind('csv', REFUSED)
def column_twice(folder, rng):
  table, name = mutation.column(rng)
  again = pick(rng, [name, name.upper(), f' {name} '])
  change_rows(
    folder / table,
    lambda rows: [[*r, 'x' if i else again] for i, r in enumerate(rows)],
  )


@kind('csv', READ)
def columns_reordered(folder, rng):
  def change(rows):
    order = rng.permutation(len(rows[0]))
    return [[r[i] for i in order] for r in rows]

  change_rows(folder / pick(rng, TABLES), change)


@kind('csv', READ)
def a_thousand_more_columns(folder, rng):
  more = [f'c{i}' for i in range(1_000)]
  change_rows(folder / pick(rng, TABLES), lambda rows: [r + more for r in rows])


@kind('csv', READ)
def capitals_in_the_header(folder, rng):
  def change(rows):
    return [[name.title() for name in rows[0]], *rows[1:]]

  change_rows(folder / pick(rng, TABLES), change)


@kind('csv', REFUSED)
def empty_file(folder, rng):
  change_bytes(folder / pick(rng, FILES), lambda content: b'')


_MAY_BE_EMPTY = ('account_attributes.csv', 'feature_names.csv')


@kind('csv', REFUSED)
def header_alone(folder, rng):
  table = pick(rng, [t for t in TABLES if t not in _MAY_BE_EMPTY])
  change_rows(folder / table, lambda rows: rows[:1])


@kind('csv', READ)
def header_alone_where_that_is_allowed(folder, rng):
  change_rows(folder / pick(rng, _MAY_BE_EMPTY), lambda rows: rows[:1])


@kind('csv', REFUSED)
def no_header(folder, rng):
  change_rows(folder / pick(rng, TABLES), lambda rows: rows[1:])


@kind('csv', REFUSED)
def header_twice(folder, rng):
  # Attributes may be called so.
  table = pick(rng, [t for t in TABLES if t != 'attributes.csv'])
  change_rows(folder / table, lambda rows: [rows[0], *rows])


@kind('csv', REFUSED)
def a_line_that_names_the_separator(folder, rng):
  change_text(folder / pick(rng, TABLES), lambda t: f'sep=,\n{t}')


def _change_row(folder, rng, change):
  def on_rows(rows):
    place = int(rng.integers(1, len(rows)))
    return [*rows[:place], *change(rows[place]), *rows[place + 1 :]]

  change_rows(folder / pick(rng, TABLES), on_rows)


@kind('csv', REFUSED)
def short_row(folder, rng):
  _change_row(folder, rng, lambda row: [row[:-1]])


@kind('csv', REFUSED)
def long_row(folder, rng):
  more = ['x'] * int(rng.integers(1, 9))
  _change_row(folder, rng, lambda row: [row + more])


@kind('csv', EITHER)
def row_dropped(folder, rng):
  _change_row(folder, rng, lambda row: [])


@kind('csv', EITHER)
def row_repeated(folder, rng):
  _change_row(folder, rng, lambda row: [row, row])


@kind('csv', READ)
def rows_shuffled(folder, rng):
  def change(rows):
    order = 1 + rng.permutation(len(rows) - 1)
    return [rows[0], *(rows[i] for i in order)]

  # The rows of the arrays belong to those of accounts.csv.
  change_rows(folder / pick(rng, TABLES[1:]), change)


@kind('csv', REFUSED)
def quote_left_open_at_the_end(folder, rng):
  change_text(folder / pick(rng, TABLES), lambda t: t + '"b1,never closed\n')


@kind('csv', REFUSED)
def quote_left_open_at_the_start(folder, rng):
  def change(text):
    header, _, rest = text.partition('\n')
    return f'{header}\n"{rest.replace(chr(34), "")}' + 'x,y\n' * 50_000

  change_text(folder / pick(rng, TABLES), change)


@kind('csv', REFUSED)
def quote_inside_a_cell(folder, rng):
  change_text(folder / pick(rng, TABLES), lambda t: t + '"a" b,"c"d\n')


@kind('csv', READ)
def blank_lines(folder, rng):
  before, after = pick(rng, [('\n  \n', ''), ('', '\n \n\n')])
  change_text(folder / pick(rng, TABLES), lambda t: before + t + after)


def _separated(text: str, separator: str) -> str:
  rows = list(csv.reader(io.StringIO(text, newline='')))
  out = io.StringIO(newline='')
  csv.writer(out, delimiter=separator, lineterminator='\n').writerows(rows)
  return out.getvalue()


for _mark, _name, _becomes in (
  (';', 'semicolons', READ),
  ('\t', 'tabs', READ),
  ('|', 'bars', REFUSED),
  (' ', 'spaces', REFUSED),
):

  @kind('csv', _becomes, _name)
  def separators(folder, rng, mark=_mark):
    change_text(folder / pick(rng, TABLES), lambda t: _separated(t, mark))


@kind('csv', REFUSED)
def separators_mixed(folder, rng):
  change_text(folder / pick(rng, TABLES), lambda t: t.replace(',', ';', 1))


@kind('csv', READ)
def carriage_returns(folder, rng):
  end = pick(rng, ['\r', '\r\n'])
  change_text(folder / pick(rng, TABLES), lambda t: t.replace('\n', end))


@kind('csv', READ)
def no_end_of_line_at_the_end(folder, rng):
  change_text(folder / pick(rng, TABLES), lambda t: t.rstrip('\n'))


@kind('csv', REFUSED)
def long_cell(folder, rng):
  size = pick(rng, [1_001, 10_001, 131_073, 240_000])
  table, name = mutation.column(rng)
  value = pick(rng, 'x"\n,é') * size
  mutation.set_cell(folder / table, rng, name, value)


@kind('csv', REFUSED)
def long_line(folder, rng):
  filler = pick(rng, ['x', 'x,', '""', ' ']) * 4_300_000
  change_text(folder / pick(rng, TABLES), lambda t: t + filler)


@kind('encoding', REFUSED)
def other_unicode(folder, rng):
  encoding = pick(
    rng, ['utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'utf-32-be']
  )
  change_bytes(
    folder / pick(rng, TABLES),
    lambda content: content.decode('utf-8').encode(encoding),
  )


@kind('encoding', READ)
def byte_order_mark(folder, rng):
  change_bytes(folder / pick(rng, TABLES), lambda c: b'\xef\xbb\xbf' + c)


@kind('encoding', EITHER)
def two_byte_order_marks(folder, rng):
  # The second one belongs to the name of the first column.
  change_bytes(folder / pick(rng, TABLES), lambda c: b'\xef\xbb\xbf' * 2 + c)


@kind('encoding', REFUSED)
def bytes_that_are_no_text(folder, rng):
  strange = pick(
    rng,
    [
      b'\xff',
      'é'.encode('latin-1'),
      b'\xed\xa0\x80',  # a lone surrogate
      b'\xc0\xaf',  # a slash in two bytes
      b'\xf4\x90\x80\x80',  # beyond Unicode
      b'\xe2\x82',  # half a euro sign
      b'\0',
    ],
  )

  def change(content):
    place = int(rng.integers(len(content) + 1))
    return content[:place] + strange + content[place:]

  change_bytes(folder / pick(rng, TABLES), change)


@kind('encoding', REFUSED)
def another_kind_of_file(folder, rng):
  content = pick(
    rng,
    [
      b'PK\x03\x04' + bytes(100),
      gzip.compress(b'a,b\n'),
      b'%PDF-1.4\n%\xe2\xe3\n',
      b'<html><body>404</body></html>\n',
      b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
      b'{"account_id": "b1"}\n',
      b'\x93NUMPY\x01\x00',
    ],
  )
  change_bytes(folder / pick(rng, FILES), lambda _: content)


@kind('encoding', REFUSED)
def random_bytes(folder, rng):
  content = rng.bytes(int(rng.integers(1, 3_000)))
  change_bytes(folder / pick(rng, FILES), lambda _: content)


@kind('encoding', EITHER)
def flipped_bits(folder, rng):
  def change(content):
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
      changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)

  change_bytes(folder / pick(rng, FILES), change)


@kind('encoding', EITHER)
def bytes_inserted_and_removed(folder, rng):
  def change(content):
    start = int(rng.integers(len(content)))
    stop = start + int(rng.integers(9))
    return content[:start] + rng.bytes(int(rng.integers(9))) + content[stop:]

  change_bytes(folder / pick(rng, FILES), change)


@kind('encoding', EITHER)
def cut(folder, rng):
  change_bytes(
    folder / pick(rng, FILES), lambda c: c[: int(rng.integers(len(c)))]
  )
