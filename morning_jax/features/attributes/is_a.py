"""The is-a table: which words mean an attribute, and which are kinds of others.

A CSV file of `word,parent`. A row without a parent names an attribute; any
other says that its word is a kind of its parent, which must be in the table
too. A word stands for the attribute at the end of its chain: with
`cosmetic,` and `lipstick,cosmetic`, who writes of lipstick has `cosmetic`.

A word whose parent is `-` is never an attribute, however frequent: the table
that ships names words of religion, politics, health, sexuality and origin so,
which a ranking of people must not use (docs/privacy.md).
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib

from morning_jax.core import errors
from morning_jax.data.bundle import tables

_NEVER = '-'
SHIPPED = pathlib.Path(__file__).parent / 'is_a.csv'


class IsAError(errors.UserError):
  """A table that can't be read; one line names file and row."""


@dataclasses.dataclass(frozen=True)
class IsA:
  """A checked table.

  Attributes:
    attribute_of: word -> the attribute that it stands for, itself included.
    never: words that are no attribute on purpose.
  """

  attribute_of: Mapping[str, str]
  never: frozenset[str] = frozenset()


def read(path: pathlib.Path) -> IsA:
  """Reads a table.

  Args:
    path: the file.

  Returns:
    The table; words are lower case.

  Raises:
    UserError: it is not readable, a word is there twice, a parent is not in the
      table, or a word is a kind of itself by some way.
  """
  parents: dict[str, str] = {}
  never: set[str] = set()
  rows: dict[str, tables.Row] = {}
  for row in tables.rows(path, ('word', 'parent')):
    word, parent = row['word'].lower(), row['parent'].lower()
    if not word:
      _fail(row, 'word is empty')
    if word in rows:
      _fail(
        row,
        f'word {errors.quoted(word)} is already in row {rows[word].number}',
      )
    rows[word] = row
    if parent == _NEVER:
      never.add(word)
    else:
      parents[word] = parent
  if not rows:
    raise IsAError(errors.in_file(path, 'no words'))
  for word, parent in parents.items():
    if parent and parent not in parents:
      _fail(
        rows[word],
        f'parent {errors.quoted(parent)} of {errors.quoted(word, limit=40)} is'
        ' no word of the table; a word that is an attribute has a row with no'
        f' parent{tables.near(parent, list(parents))}',
      )
  return IsA(
    {word: _end(word, parents, rows) for word in parents}, frozenset(never)
  )


def _end(
  word: str, parents: Mapping[str, str], rows: Mapping[str, tables.Row]
) -> str:
  """Follows a word to the attribute that it stands for."""
  way = [word]
  while parent := parents[way[-1]]:
    if parent in way:
      circle = [*way[way.index(parent) :], parent]
      shown = ' is a '.join(errors.quoted(w, limit=30) for w in circle)
      _fail(rows[word], f'a circle: {shown}')
    way.append(parent)
  return way[-1]


def _fail(row: tables.Row, problem: str) -> None:
  raise IsAError(errors.in_file(row.path, problem, row=row.number))
