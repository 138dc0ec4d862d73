"""Latent Dirichlet allocation by online variational Bayes.

Hoffman, Blei and Bach, "Online Learning for Latent Dirichlet Allocation", NIPS
2010, Algorithm 2. Documents are read in parts, as often as there are passes;
memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import numpy as np

from morning_jax.core import errors
from morning_jax.core import multihost
from morning_jax.core import random_streams
from morning_jax.core import sharding
from morning_jax.core.random_streams import Stream
from morning_jax.features.text import corpus
from morning_jax.features.text import vocabulary as vocabulary_lib
from morning_jax.features.topics import blocks
from morning_jax.features.topics import model as model_lib
from morning_jax.features.topics import options as options_lib
from morning_jax.features.topics import variational

# Documents that were learned from, of all passes, and how many there will be.
Progress = Callable[[int, int], None]


def fit(
  source: corpus.Source,
  vocabulary: vocabulary_lib.Vocabulary,
  num_topics: int,
  *,
  options: options_lib.LdaOptions | None = None,
  mesh: Mesh | None = None,
  progress: Progress | None = None,
) -> model_lib.TopicModel:
  """Learns topics.

  The result depends on the documents in their order and the options: not on how
  the source is cut into parts, nor on the number of devices.

  Args:
    source: documents, to be read several times; empty ones teach nothing.
    vocabulary: of their word numbers.
    num_topics: T, at least 2.
    options: the defaults if None.
    mesh: devices over whose `data` axis documents are spread; all if None.
    progress: is told after each batch.

  Returns:
    The model.

  Raises:
    UserError: there are no words, or too few topics.
    ValueError: a word number is outside of the vocabulary.
  """
  options = options or options_lib.LdaOptions()
  mesh = mesh or sharding.make_mesh()
  if num_topics < 2:
    raise errors.UserError(f'topics: {num_topics} is less than 2')
  documents = _count(source, len(vocabulary))
  if not documents:
    raise errors.UserError('no caption has any word of the vocabulary')
  alpha, eta = options.priors(num_topics)
  learner = Learner(
    start(len(vocabulary), num_topics, seed=options.seed),
    documents=documents,
    options=options,
    mesh=mesh,
  )
  done = 0
  for batch in _batches(source, options):
    learner.learn(batch)
    done += len(batch)
    if progress is not None:
      progress(done, documents * options.passes)
  return model_lib.TopicModel(
    vocabulary=vocabulary,
    topics_TxW=learner.topics_TxW(),
    document_prior=alpha,
    topic_prior=eta,
    document_steps=options.document_steps,
    tolerance=options.tolerance,
    documents=documents,
  )


def start(num_words: int, num_topics: int, *, seed: int) -> np.ndarray:
  """Draws the topics to start from: Gamma(100, 0.01), as Hoffman's code does.

  Returns:
    float32 [W, T].
  """
  draw = random_streams.generator(seed, Stream.TOPICS_START)
  return draw.gamma(100.0, 0.01, (num_words, num_topics)).astype(np.float32)


class Learner:
  """Topics that are being learned, on device."""

  def __init__(
    self,
    topics_WxT: np.ndarray,
    *,
    documents: int,
    options: options_lib.LdaOptions,
    mesh: Mesh,
  ):
    """Begins.

    Args:
      topics_WxT: lambda to start from.
      documents: how many there are in all.
      options: see there.
      mesh: the devices.
    """
    self._options = options
    self._mesh = mesh
    self._documents = documents
    self._updates = 0
    self._topics = sharding.put(topics_WxT, sharding.replicated(mesh))
    self._alpha, self._eta = options.priors(topics_WxT.shape[1])

  def learn(self, batch: corpus.Documents) -> None:
    """Makes one update of a batch, none of whose documents is empty."""
    options = self._options
    table = variational.word_table(self._topics)
    whole = sharding.replicated(self._mesh)
    sums = jnp.zeros(table.shape, table.dtype, device=whole)
    # All blocks are on their way before the first is waited for. Each device
    # adds up all of them: no sum depends on how they were spread.
    found = list(
      model_lib.infer_blocks(
        table,
        batch,
        prior=self._alpha,
        steps=options.document_steps,
        tolerance=options.tolerance,
        mesh=self._mesh,
      )
    )
    for block, gamma in found:
      gamma_RxT = np.asarray(multihost.fetch(gamma))
      size = blocks.rows_of_block(block.words_RxL.shape[1])
      # As many rows at once as one device would have alone.
      for first in range(0, len(block.rows), size):
        arrays = (block.words_RxL, block.counts_RxL, gamma_RxT)
        sums = variational.accumulate(
          sums,
          table,
          *(sharding.put(x[first : first + size], whole) for x in arrays),
          np.int32(min(size, len(block.rows) - first)),
        )
    self._updates += 1
    rate = (options.offset + self._updates) ** -options.decay
    self._topics = variational.update(
      self._topics,
      sums,
      table,
      rate=np.float32(rate),
      scale=np.float32(self._documents / len(batch)),
      prior=np.float32(self._eta),
    )

  def topics_TxW(self) -> np.ndarray:
    """Returns lambda, float32 [T, W]."""
    return np.ascontiguousarray(jax.device_get(self._topics).T)


def _count(source: corpus.Source, num_words: int) -> int:
  count = 0
  for part in source:
    if len(part.words) and not 0 <= part.words.min() <= part.words.max() < (
      num_words
    ):
      raise ValueError(
        f'word {part.words.max()} of a vocabulary of {num_words}'
      )
    count += int((part.lengths > 0).sum())
  return count


def _batches(
  source: corpus.Source, options: options_lib.LdaOptions
) -> Iterator[corpus.Documents]:
  # A whole number of batches, so that a window has no rest but the last.
  size = options.batch_size
  window = size * max(1, options.shuffle_window // size)
  for turn in range(options.passes):
    for number, part in enumerate(corpus.windows(source, window)):
      draw = random_streams.generator(
        options.seed, Stream.TOPICS_ORDER, turn, number
      )
      part = corpus.take(part, draw.permutation(len(part)))
      for first in range(0, len(part), size):
        last = min(first + size, len(part))
        yield corpus.take(part, np.arange(first, last))
