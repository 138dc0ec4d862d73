"""Documents of like lengths side by side, padded: what device programs take.

A document's block depends on its own length alone, so that neighbours and
shards change nothing about the program that computes its topics.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from morning_jax.features.text import corpus

_SHORTEST = 16  # places of a padded document, at least
_PLACES = 1 << 13  # of a block on one device


class Block(NamedTuple):
  """Padded documents.

  Attributes:
    rows: int64 [n], numbers of the n documents among all that were given.
    words_RxL: int32 word numbers; places without a word count up from
      `num_words`, so that no row holds a number twice.
    counts_RxL: float32; 0 where there is no word.
  """

  rows: np.ndarray
  words_RxL: np.ndarray
  counts_RxL: np.ndarray


def padded_length(lengths: np.ndarray) -> np.ndarray:
  """Returns the places that documents take: powers of two, from 16 on."""
  exponents = np.ceil(np.log2(np.maximum(lengths, _SHORTEST)))
  return (2 ** exponents.astype(np.int64)).astype(np.int64)


def rows_of_block(length: int) -> int:
  """Returns how many documents of a padded length a device takes at once."""
  return max(1, _PLACES // length)


def blocks(
  documents: corpus.Documents, *, num_words: int, num_devices: int
) -> Iterator[Block]:
  """Pads documents, the short ones first.

  Args:
    documents: any number; empty ones are in no block.
    num_words: W, size of the vocabulary.
    num_devices: over which the rows of a block are spread.

  Yields:
    Blocks of `num_devices * rows_of_block` rows each; the last one of a length
    may hold fewer documents than rows.
  """
  padded = np.where(documents.lengths > 0, padded_length(documents.lengths), 0)
  for length in np.unique(padded[padded > 0]).tolist():
    of_length = np.flatnonzero(padded == length)
    size = num_devices * rows_of_block(length)
    for first in range(0, len(of_length), size):
      rows = of_length[first : first + size]
      part = corpus.take(documents, rows)
      row = np.repeat(np.arange(len(rows)), part.lengths)
      place = np.arange(len(part.words)) - part.starts[:-1][row]
      words = np.tile(
        np.arange(num_words, num_words + length, dtype=np.int32), (size, 1)
      )
      counts = np.zeros((size, length), np.float32)
      words[row, place] = part.words
      counts[row, place] = part.counts
      yield Block(rows, words, counts)
