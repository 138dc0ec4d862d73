"""From documents to topics: vocabulary, model, and topics of every account."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np

from morning_jax.features.stages import store
from morning_jax.features.stages import task as task_lib
from morning_jax.features.steps import words as words_lib
from morning_jax.features.text import corpus
from morning_jax.features.text import vocabulary as vocabulary_lib

_MEMBERS = ('words', 'counts', 'starts')


def count_words(
  documents: words_lib.Documents, perspective: str
) -> vocabulary_lib.WordCounts:
  """Counts who uses which word, over the documents that may shape topics."""
  counts = vocabulary_lib.WordCounts()
  for shard in range(documents.shards):
    with documents.open(shard) as stored:
      counts.merge(vocabulary_lib.count(stored[f'{perspective} training']))
  return counts


@functools.lru_cache(4)
def _vocabulary(path: pathlib.Path) -> vocabulary_lib.Vocabulary:
  with store.Shard(path) as stored:
    return vocabulary_lib.Vocabulary(tuple(stored['words']))


@dataclasses.dataclass(frozen=True)
class Encoded(task_lib.Task):
  """Turns documents into numbers of words.

  Attributes:
    documents: where the documents are.
    perspective: 'content' or 'audience'.
    vocabulary: a stored result with `words`.
  """

  documents: words_lib.Documents
  perspective: str
  vocabulary: pathlib.Path

  @property
  def name(self) -> str:
    """See `Task`."""
    return f'numbering words of {self.perspective}'

  def result(self, shard: int) -> store.Values:
    """Returns the documents of a shard, those of training apart."""
    known = _vocabulary(self.vocabulary)
    found: dict[str, Any] = {}
    with self.documents.open(shard) as stored:
      everyone = stored[self.perspective]
      for prefix, documents in (
        ('', [d or [] for d in everyone]),
        ('training ', stored[f'{self.perspective} training']),
      ):
        encoded = known.encode_all(documents)
        for member in _MEMBERS:
          found[prefix + member] = getattr(encoded, member)
    return found

  def read(self, shard: int, *, training: bool = False) -> corpus.Documents:
    """Reads the documents of a shard."""
    prefix = 'training ' if training else ''
    with self.open(shard) as stored:
      return corpus.Documents(*(stored[prefix + m] for m in _MEMBERS))


@dataclasses.dataclass(frozen=True)
class TrainingDocuments:
  """The documents that topics are learned from, shard by shard.

  Attributes:
    encoded: where they are.
  """

  encoded: Encoded

  def __iter__(self) -> Iterator[corpus.Documents]:
    return (
      self.encoded.read(shard, training=True)
      for shard in range(self.encoded.shards)
    )


@dataclasses.dataclass(frozen=True)
class Topics(task_lib.Task):
  """Infers the topics of every account.

  Attributes:
    encoded: where the documents are.
    model: folder of the topic model.
  """

  encoded: Encoded
  model: pathlib.Path

  @property
  def name(self) -> str:
    """See `Task`."""
    return f'topics of {self.encoded.perspective}'

  @property
  def in_process(self) -> bool:
    """See `Task`."""
    return True

  def result(self, shard: int) -> store.Values:
    """Returns float32 [accounts of the shard, topics]; NaN: no known word."""
    model = _model(self.model)
    return {'values': np.asarray(model.infer(self.encoded.read(shard)))}


@functools.lru_cache(2)
def _model(folder: pathlib.Path) -> Any:
  from morning_jax.features.topics import store as topic_store

  return topic_store.load(folder)
