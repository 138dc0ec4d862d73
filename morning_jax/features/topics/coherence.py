"""How well a topic's words go together, by the documents that use them.

u_mass: Mimno, Wallach, Talley, Leenders and McCallum, "Optimizing Semantic
Coherence in Topic Models", EMNLP 2011. NPMI: Bouma, "Normalized (Pointwise)
Mutual Information in Collocation Extraction", 2009, with a document as window.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
from scipy import sparse

from morning_jax.features.text import corpus

_LEAST = 1e-12  # of a share, so that words that never meet have a logarithm
_PART = 1 << 13  # documents at once


@dataclasses.dataclass(frozen=True)
class Meetings:
  """How many documents use some words, and pairs of them.

  Attributes:
    words: int64 [n], word numbers, ascending.
    documents: that were counted; empty ones are not.
    together_nxn: int64, documents that use both words; on the diagonal, one.
  """

  words: np.ndarray
  documents: int
  together_nxn: np.ndarray


def count_meetings(
  source: corpus.Source, words: Sequence[int] | np.ndarray
) -> Meetings:
  """Counts in one pass over the documents.

  Args:
    source: documents.
    words: whose meetings count, such as the top words of several models.
  """
  chosen = np.unique(np.asarray(words, np.int64))
  together = np.zeros((len(chosen), len(chosen)), np.int64)
  documents = 0
  for part in corpus.windows(source, _PART):
    documents += len(part)
    place = np.minimum(
      np.searchsorted(chosen, part.words), max(len(chosen) - 1, 0)
    )
    wanted = chosen[place] == part.words if len(chosen) else place < 0
    row = np.repeat(np.arange(len(part)), part.lengths)
    used = sparse.csr_matrix(
      (np.ones(wanted.sum(), np.int64), (row[wanted], place[wanted])),
      shape=(len(part), len(chosen)),
    )
    together += (used.T @ used).toarray()
  return Meetings(chosen, documents, together)


def u_mass(meetings: Meetings, topics: Sequence[Sequence[int]]) -> np.ndarray:
  """Returns each topic's mean of log p(earlier, later) / p(earlier word).

  Args:
    meetings: of all words of the topics.
    topics: word numbers of each, the most probable first.

  Returns:
    float64 [topics]; 0 at best.
  """
  shares = meetings.together_nxn / max(meetings.documents, 1)
  found = []
  for words in topics:
    place = np.searchsorted(meetings.words, words)
    later, earlier = np.tril_indices(len(place), -1)
    both = shares[place[later], place[earlier]]
    one = shares[place[earlier], place[earlier]]
    found.append(np.log((both + _LEAST) / np.maximum(one, _LEAST)).mean())
  return np.array(found)


def npmi(meetings: Meetings, topics: Sequence[Sequence[int]]) -> np.ndarray:
  """Returns each topic's mean normalised pointwise mutual information.

  Args:
    meetings: of all words of the topics.
    topics: word numbers of each.

  Returns:
    float64 [topics], -1 (its words never meet) to 1 (they always do).
  """
  shares = meetings.together_nxn / max(meetings.documents, 1)
  found = []
  for words in topics:
    place = np.searchsorted(meetings.words, words)
    a, b = np.tril_indices(len(place), -1)
    both = shares[place[a], place[b]]
    alone = shares[place[a], place[a]] * shares[place[b], place[b]]
    with np.errstate(divide='ignore', invalid='ignore'):
      values = np.log(both / alone) / -np.log(both)
    values = np.where(both > 0, np.where(both < 1, values, 1.0), -1.0)
    found.append(values.mean())
  return np.array(found)
