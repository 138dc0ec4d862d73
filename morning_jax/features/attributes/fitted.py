"""Which attributes there are, and which words stand for them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
import csv
import dataclasses
import io
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.bundle import tables
from morning_jax.features import options as options_lib
from morning_jax.features.attributes import is_a
from morning_jax.features.attributes import wordnet as wordnet_lib

_FILE = 'attribute_words.csv'


@dataclasses.dataclass(frozen=True)
class LeftOver:
  """A word of biographies that the is-a table does not have.

  Attributes:
    word: the word.
    accounts: how many training accounts use it.
    attribute: the attribute that it stands for all the same: itself, where it
      is frequent, or one that WordNet led to; '' where it counts for nothing.
  """

  word: str
  accounts: int
  attribute: str


@dataclasses.dataclass(frozen=True)
class AttributeWords:
  """The attributes of a preparation.

  Attributes:
    names: of the V attributes, ascending.
    attribute_of: word -> one of the names.
  """

  names: tuple[str, ...]
  attribute_of: Mapping[str, str]

  def held(self, nouns_A: Sequence[Iterable[str]]) -> accounts_lib.Attributes:
    """Returns the attributes that accounts have.

    Args:
      nouns_A: the nouns of each account's biography.
    """
    index = {name: i for i, name in enumerate(self.names)}
    pairs = [
      (account, attribute)
      for account, nouns in enumerate(nouns_A)
      for attribute in sorted(
        {index[self.attribute_of[n]] for n in nouns if n in self.attribute_of}
      )
    ]
    pairs_Nx2 = np.array(pairs, np.int64).reshape(-1, 2)
    return accounts_lib.Attributes(
      names_V=np.array(self.names),
      ids_V=np.array([str(i) for i in range(len(self.names))]),
      holder=pairs_Nx2[:, 0],
      held=pairs_Nx2[:, 1],
    )

  def save(self, folder: pathlib.Path) -> None:
    """Writes the words into a folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(('word', 'attribute'))
    writer.writerows(sorted(self.attribute_of.items()))
    files.write_text(folder / _FILE, text.getvalue())


def load(folder: pathlib.Path) -> AttributeWords:
  """Reads what `AttributeWords.save` wrote.

  Raises:
    UserError: the file is missing or not readable.
  """
  rows = tables.rows(folder / _FILE, ('word', 'attribute'))
  attribute_of = {row['word']: row['attribute'] for row in rows}
  return AttributeWords(tuple(sorted(set(attribute_of.values()))), attribute_of)


def fit(
  nouns: Iterable[Iterable[str]], options: options_lib.AttributeOptions
) -> tuple[AttributeWords, list[LeftOver]]:
  """Chooses the attributes.

  Words of one attribute count together; what few training accounts have is no
  attribute.

  Args:
    nouns: of the biographies of training accounts.
    options: the table, and how many accounts an attribute needs.

  Returns:
    The attributes; and the words that the table lacks, the most frequent first.

  Raises:
    UserError: the table is wrong.
  """
  table = is_a.read(options.is_a or is_a.SHIPPED)
  net = wordnet_lib.WordNet(options.wordnet) if options.wordnet else None
  attribute_of = dict(table.attribute_of)
  users: collections.Counter[str] = collections.Counter()
  of_attribute: collections.Counter[str] = collections.Counter()
  for of_account in nouns:
    words = set(of_account) - table.never
    for word in words - attribute_of.keys():
      found = _kind(word, table, net)
      if found or options.own:
        attribute_of[word] = found or word
    users.update(words)
    of_attribute.update({attribute_of[w] for w in words if w in attribute_of})
  names = tuple(
    sorted(a for a, n in of_attribute.items() if n >= options.min_accounts)
  )
  kept = {w: a for w, a in attribute_of.items() if a in set(names)}
  left_over = [
    LeftOver(word, count, kept.get(word, ''))
    for word, count in sorted(users.items(), key=lambda x: (-x[1], x[0]))
    if word not in table.attribute_of
  ]
  return AttributeWords(names, kept), left_over


def _kind(
  word: str, table: is_a.IsA, net: wordnet_lib.WordNet | None
) -> str | None:
  """Returns the attribute that WordNet leads to, if any."""
  if net is None:
    return None
  for ancestor in net.ancestors(word):
    if ancestor in table.never:
      return None
    if ancestor in table.attribute_of:
      return table.attribute_of[ancestor]
  return None


def check(options: options_lib.AttributeOptions) -> None:
  """Checks the table before long work.

  Raises:
    UserError: it is wrong.
  """
  is_a.read(options.is_a or is_a.SHIPPED)
  if options.wordnet and not (options.wordnet / 'data.noun').is_file():
    raise errors.UserError(
      errors.in_file(options.wordnet, 'has no data.noun of WordNet')
    )
