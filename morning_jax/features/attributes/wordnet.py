"""Kinds of words from WordNet's database files, for words that no table has.

The files are those of WordNet 3.0 and 3.1 (`index.noun` and `data.noun`, see
wndb(5WN)); any package of them will do. A word is taken in its most frequent
sense, which is wrong for some: whoever minds gives the word a row in the table.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re

from morning_jax.core import errors
from morning_jax.core import user_files

_HYPERNYM = ('@', '@i')


class WordNet:
  """The nouns of WordNet and what they are kinds of."""

  def __init__(self, folder: pathlib.Path) -> None:
    """Reads the database.

    Args:
      folder: with `index.noun` and `data.noun`.

    Raises:
      UserError: a file is missing, or not WordNet's.
    """
    self._first_sense: dict[str, str] = {}
    self._words: dict[str, tuple[str, ...]] = {}
    self._parents: dict[str, str] = {}
    for path, fields, number in _lines(folder / 'index.noun'):
      try:
        pointers = int(fields[3])
        self._first_sense[fields[0]] = fields[6 + pointers]
      except (IndexError, ValueError):
        raise _mistake(path, number) from None
    for path, fields, number in _lines(folder / 'data.noun'):
      try:
        count = int(fields[3], 16)
        words = fields[4 : 4 + 2 * count : 2]
        rest = fields[4 + 2 * count :]
        self._words[fields[0]] = tuple(w.lower() for w in words)
        for i in range(int(rest[0])):
          sign, target = rest[1 + 4 * i : 3 + 4 * i]
          if sign in _HYPERNYM:
            self._parents.setdefault(fields[0], target)
      except (IndexError, ValueError):
        raise _mistake(path, number) from None

  def ancestors(self, word: str) -> Iterator[str]:
    """Yields the words of a word's sense, then of its kinds, upwards.

    Args:
      word: a noun, lower case.
    """
    sense = self._first_sense.get(word.replace(' ', '_'))
    seen = set()
    while sense is not None and sense not in seen:
      seen.add(sense)
      yield from (w.replace('_', ' ') for w in self._words.get(sense, ()))
      sense = self._parents.get(sense)


def _lines(
  path: pathlib.Path,
) -> Iterator[tuple[pathlib.Path, list[str], int]]:
  for number, line in user_files.text_lines(path, error=errors.UserError):
    # The licence on top is indented.
    if line.strip() and not line.startswith(' '):
      yield path, re.split(r' +', line.partition(' | ')[0].strip()), number


def _mistake(path: pathlib.Path, number: int) -> errors.UserError:
  return errors.UserError(
    errors.in_file(path, "is no line of WordNet's database", row=number)
  )
