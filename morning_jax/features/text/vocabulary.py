"""The words that count, and documents as numbers of them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
import dataclasses
import functools

import numpy as np

from morning_jax.core import errors
from morning_jax.features.text import corpus
from morning_jax.features.text import options as options_lib


@dataclasses.dataclass
class WordCounts:
  """How many documents use each word; counts of shards add up.

  Attributes:
    documents: that were counted.
    users: word -> documents that use it.
  """

  documents: int = 0
  users: collections.Counter[str] = dataclasses.field(
    default_factory=collections.Counter
  )

  def add(self, tokens: Iterable[str]) -> None:
    """Counts one document."""
    self.documents += 1
    self.users.update(set(tokens))

  def merge(self, other: WordCounts) -> None:
    """Adds what was counted elsewhere."""
    self.documents += other.documents
    self.users.update(other.users)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """Words by number.

  Attributes:
    words: ascending by code points, none twice.
  """

  words: tuple[str, ...]

  def __len__(self) -> int:
    return len(self.words)

  @functools.cached_property
  def numbers(self) -> dict[str, int]:
    """Word -> its number."""
    return {word: i for i, word in enumerate(self.words)}

  def encode(self, tokens: Iterable[str]) -> corpus.Document:
    """Returns a document's word numbers and counts; other words are left out.

    Args:
      tokens: of one document.

    Returns:
      int32 word numbers, ascending, and float32 counts.
    """
    known = (self.numbers[t] for t in tokens if t in self.numbers)
    counts = sorted(collections.Counter(known).items())
    return (
      np.array([w for w, _ in counts], np.int32),
      np.array([c for _, c in counts], np.float32),
    )

  def encode_all(self, documents: Iterable[Sequence[str]]) -> corpus.Documents:
    """Returns documents as numbers, see `encode`."""
    return corpus.collect(map(self.encode, documents))


def count(documents: Iterable[Iterable[str]]) -> WordCounts:
  """Counts the words of documents, those of a shard, say.

  Args:
    documents: tokens of each. A document without any counts too.
  """
  counts = WordCounts()
  for tokens in documents:
    counts.add(tokens)
  return counts


def build(
  counts: WordCounts, options: options_lib.VocabularyOptions | None = None
) -> Vocabulary:
  """Chooses the words that are neither too rare nor too frequent.

  Args:
    counts: of all training documents, in whatever order they were added.
    options: the defaults if None.

  Returns:
    The vocabulary; it depends on the counts alone.

  Raises:
    UserError: no word is left.
  """
  options = options or options_lib.VocabularyOptions()
  most = options.max_share * counts.documents
  kept = [
    (-users, word)
    for word, users in counts.users.items()
    if options.min_accounts <= users <= most
  ]
  kept.sort()
  words = tuple(sorted(word for _, word in kept[: options.max_words]))
  if not words:
    raise errors.UserError(
      f'no word of {counts.documents:,} accounts is used by at least'
      f' {options.min_accounts} (min_accounts) and at most {most:,.0f} of them'
      f' (max_share={options.max_share:g}); lower one or raise the other, or'
      ' bring more captions'
    )
  return Vocabulary(words)
