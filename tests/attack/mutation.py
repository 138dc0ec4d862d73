"""Kinds of strangeness that a bundle may have: their table, and its tools.

A mutation changes one thing in the folder of a valid bundle. What it draws
comes from the generator that it is given, so that a seed repeats it.
"""

from collections.abc import Callable, Sequence
import csv
import dataclasses
import io
import pathlib
import stat

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.bundle import bundle

# Table -> the columns that it must have.
REQUIRED = {
  'accounts.csv': ('account_id', 'role', 'category', 'split'),
  'interactions.csv': ('brand_id', 'influencer_id'),
  'attributes.csv': ('attribute_id', 'name'),
  'account_attributes.csv': ('role', 'account_id', 'attribute_id'),
  'attribute_graph.csv': ('source', 'target', 'weight'),
  'feature_names.csv': ('array', 'index', 'name'),
  'audience_members.csv': ('role', 'account_id', 'member'),
}
TABLES = tuple(REQUIRED)
ARRAYS = (
  'content_image.npy',
  'content_text.npy',
  'attribute_embedding.npy',
  'planted.npy',
)
FILES = TABLES + ARRAYS
_LARGE = 1 << 26  # bytes; a mutation reads no larger file

# What must become of the bundle.
REFUSED = 'refused'
READ = 'read'
EITHER = 'either'

Rows = list[list[str]]
Apply = Callable[[pathlib.Path, np.random.Generator], None]


@dataclasses.dataclass(frozen=True)
class Mutation:
  """A kind of strangeness.

  Attributes:
    name: what it is called.
    level: what it changes: csv, encoding, value, npy or files.
    becomes: REFUSED, READ or EITHER.
    apply: changes the bundle in a folder.
  """

  name: str
  level: str
  becomes: str
  apply: Apply


MUTATIONS: dict[str, Mutation] = {}


def kind(level: str, becomes: str, name: str | None = None):
  """Adds a function to the table of mutations."""

  def add(apply: Apply) -> Apply:
    key = name or apply.__name__.strip('_').replace('_', ' ')
    assert key not in MUTATIONS, key
    MUTATIONS[key] = Mutation(key, level, becomes, apply)
    return apply

  return add


def write_base(folder: pathlib.Path) -> None:
  """Writes the valid bundle that is mutated: every kind of file, small."""
  rng = np.random.default_rng(0)
  features = {
    'content_image': rng.random((9, 5)),
    'content_text': rng.random((9, 4)),
    'attribute_embedding': rng.normal(size=(9, 3)),
  }
  features['content_image'][6] = np.nan
  bundle.write_bundle(
    accounts_lib.Dataset(
      name='base',
      accounts=accounts_lib.Accounts(
        ids=np.array(['b1', 'b2', 'b3', 'b4', 'm1', 'm2', 'm3', 'm4', 'b1']),
        roles=np.array([0, 0, 0, 0, 1, 1, 1, 1, 1], np.int8),
        categories=np.array(['x', 'y', 'x', 'y', '', '', '', '', '']),
        splits=np.array(['train', 'train', 'valid', 'test', *[''] * 5]),
        found_under=np.array(['', '', '', '', 'x', 'y', 'x', 'y', 'z']),
        followers=np.array([-1, 7, 0, 9, 5_000, 6_000, -1, 100_000, 1]),
        biographies=np.array(
          ['', 'two\nlines', 'é', '"', ' a, b ', '', 'c', 'd', 'e']
        ),
      ),
      features={f: a.astype(np.float32) for f, a in features.items()},
      positives_Px2=np.array(
        [[0, 4], [0, 5], [1, 6], [1, 8], [2, 7], [2, 4], [3, 5], [3, 6]]
      ),
      attributes=accounts_lib.Attributes(
        names_V=np.array(['chef', 'dog', 'art', 'wine']),
        ids_V=np.array(['0', '1', '2', 'w']),
        holder=np.array([0, 0, 1, 4, 5, 6]),
        held=np.array([0, 2, 1, 3, 0, 1]),
        edges_Ex2=np.array([[0, 1], [1, 0], [2, 1], [0, 3]]),
        weight_E=np.array([0.71, 28.35, 1.5, 3.0], np.float32),
      ),
      planted=rng.normal(size=(9, 2)).astype(np.float32),
      feature_names={'content_text': ('tea', '', 'yoga, "hot"', 'dogs')},
      audience=accounts_lib.AudienceMembers(
        hashes_N=np.array(['0badcafe', '1badcafe', 'deadbeef']),
        holder=np.array([4, 4, 5, 8]),
        member=np.array([0, 2, 1, 2]),
      ),
    ),
    folder,
  )


def pick(rng: np.random.Generator, items: Sequence):
  """Draws one of the items."""
  return items[int(rng.integers(len(items)))]


def column(rng: np.random.Generator) -> tuple[str, str]:
  """Draws a table and a column that it must have."""
  table = pick(rng, TABLES)
  return table, pick(rng, REQUIRED[table])


def change_bytes(path: pathlib.Path, change: Callable[[bytes], bytes]) -> None:
  """Rewrites a file; one that is no plain small file is left as it is."""
  try:
    status = path.lstat()
  except OSError:
    return
  if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGE:
    path.write_bytes(change(path.read_bytes()))


def change_text(path: pathlib.Path, change: Callable[[str], str]) -> None:
  """Rewrites a file as text; bytes that are no text stay what they are."""
  change_bytes(
    path,
    lambda content: change(content.decode('utf-8', 'surrogateescape')).encode(
      'utf-8', 'surrogateescape'
    ),
  )


def change_rows(path: pathlib.Path, change: Callable[[Rows], Rows]) -> None:
  """Rewrites a table; the header is the first of its rows."""

  def on_text(text: str) -> str:
    rows = list(csv.reader(io.StringIO(text, newline='')))
    out = io.StringIO(newline='')
    csv.writer(out, lineterminator='\n').writerows(change(rows))
    return out.getvalue()

  change_text(path, on_text)


def set_cell(
  path: pathlib.Path,
  rng: np.random.Generator,
  name: str,
  value: str,
  rows: Sequence[int] | None = None,
) -> None:
  """Sets a cell of a column, in one of the rows given (the header is 0)."""

  def change(table: Rows) -> Rows:
    place = table[0].index(name)
    table[pick(rng, rows or range(1, len(table)))][place] = value
    return table

  change_rows(path, change)
