"""A fitted topic model: topics of documents, perplexity and names."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import functools

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np
from scipy import special

from morning_jax.core import multihost
from morning_jax.core import sharding
from morning_jax.features.text import corpus
from morning_jax.features.text import vocabulary as vocabulary_lib
from morning_jax.features.topics import blocks
from morning_jax.features.topics import variational

_PART = 1 << 14  # documents that are padded at once


@dataclasses.dataclass(frozen=True, eq=False)
class TopicModel:
  """T topics over W words.

  Attributes:
    vocabulary: the words.
    topics_TxW: float32, lambda: a topic's words are
      Dirichlet(lambda)-distributed.
    document_prior: alpha.
    topic_prior: eta.
    document_steps: see `options.LdaOptions`.
    tolerance: see `options.LdaOptions`.
    documents: how many documents it was fitted to.
  """

  vocabulary: vocabulary_lib.Vocabulary
  topics_TxW: np.ndarray
  document_prior: float
  topic_prior: float
  document_steps: int
  tolerance: float
  documents: int

  @property
  def num_topics(self) -> int:
    """T."""
    return len(self.topics_TxW)

  @functools.cached_property
  def words_TxW(self) -> np.ndarray:
    """float64 [T, W]: mean probability of each word under a topic."""
    topics = self.topics_TxW.astype(np.float64)
    return topics / topics.sum(1, keepdims=True)

  def infer(
    self, documents: corpus.Documents, *, mesh: Mesh | None = None
  ) -> np.ndarray:
    """Returns the topics of documents.

    A document's row depends on itself and the model alone: not on the other
    documents, their order or number, nor on how many devices there are.

    Args:
      documents: word numbers of `vocabulary`.
      mesh: devices over whose `data` axis documents are spread; all if None.

    Returns:
      float32 [documents, T]. Rows sum to 1; a document without any known word
      has a row of NaN.
    """
    shares = self.variational(documents, mesh=mesh)
    total = shares.astype(np.float64).sum(1, keepdims=True)
    return (shares / total).astype(np.float32)

  def variational(
    self, documents: corpus.Documents, *, mesh: Mesh | None = None
  ) -> np.ndarray:
    """Returns gamma, float32 [documents, T]; NaN where a document is empty."""
    mesh = mesh or sharding.make_mesh()
    found = np.full((len(documents), self.num_topics), np.nan, np.float32)
    table = variational.word_table(self._put(self.topics_TxW.T, mesh))
    for first in range(0, len(documents), _PART):
      last = min(first + _PART, len(documents))
      part = corpus.take(documents, np.arange(first, last))
      for block, gamma in infer_blocks(
        table,
        part,
        prior=self.document_prior,
        steps=self.document_steps,
        tolerance=self.tolerance,
        mesh=mesh,
      ):
        rows = multihost.fetch(gamma)[: len(block.rows)]
        found[first + block.rows] = rows
    return found

  def perplexity(
    self, source: corpus.Source, *, mesh: Mesh | None = None
  ) -> float:
    """Returns exp(-bound / words), with the variational bound of log p(words).

    The bound (eq. 1) has a term of the topics themselves, which weighs more the
    fewer the documents: compare models on the same documents only. scikit-learn
    computes the same.

    Args:
      source: documents.
      mesh: see `infer`.

    Raises:
      ValueError: there is no word in the documents.
    """
    mesh = mesh or sharding.make_mesh()
    topics = self.topics_TxW.astype(np.float64)
    log_TxW = special.digamma(topics)
    log_TxW -= special.digamma(topics.sum(1, keepdims=True))
    log_words = self._put(log_TxW.T.astype(np.float32), mesh)
    bound = _dirichlet_bound(topics, log_TxW, self.topic_prior)
    num_words = 0.0
    for part in source:
      part = corpus.take(part, np.flatnonzero(part.lengths))
      num_words += float(part.counts.sum(dtype=np.float64))
      gamma = self.variational(part, mesh=mesh).astype(np.float64)
      log_NxT = special.digamma(gamma)
      log_NxT -= special.digamma(gamma.sum(1, keepdims=True))
      bound += _dirichlet_bound(gamma, log_NxT, self.document_prior)
      bound += self._log_likelihood(part, log_words, log_NxT, mesh)
    if not num_words:
      raise ValueError('perplexity of no words')
    return float(np.exp(-bound / num_words))

  def completion_perplexity(
    self, source: corpus.Source, *, mesh: Mesh | None = None
  ) -> float:
    """Returns the perplexity of one half of each document given the other.

    Every other word, in the vocabulary's order, tells a document's topics; the
    others are predicted by them: exp(-sum n log p / sum n). Unlike the bound it
    has no term that grows with the number of topics.

    Wallach, Murray, Salakhutdinov and Mimno, "Evaluation Methods for Topic
    Models", ICML 2009, section 5 (document completion).

    Args:
      source: documents that the model was not fitted to.
      mesh: see `infer`.

    Raises:
      ValueError: no document has two different words.
    """
    mesh = mesh or sharding.make_mesh()
    log_words = self._put(np.log(self.words_TxW.T).astype(np.float32), mesh)
    total, num_words = 0.0, 0.0
    for part in source:
      part = corpus.take(part, np.flatnonzero(part.lengths > 1))
      seen, asked = _halves(part)
      log_NxT = np.log(np.maximum(self.infer(seen, mesh=mesh), 1e-37))
      total += self._log_likelihood(asked, log_words, log_NxT, mesh)
      num_words += float(asked.counts.sum(dtype=np.float64))
    if not num_words:
      raise ValueError('perplexity of no words')
    return float(np.exp(-total / num_words))

  def names(
    self, num_words: int = 3, *, relevance: float = 0.6
  ) -> tuple[str, ...]:
    """Names each topic by its most relevant words, `coffee, latte, cafe`.

    Relevance is r log p(w | t) + (1 - r) log (p(w | t) / p(w)): words that many
    topics share tell less (Sievert and Shirley, "LDAvis", 2014, eq. 1).

    Args:
      num_words: of a name.
      relevance: r, 0 to 1; 1 names by probability alone.
    """
    best = self.top_words(num_words, relevance=relevance)
    return tuple(', '.join(self.vocabulary.words[w] for w in b) for b in best)

  def top_words(
    self, num_words: int, *, relevance: float = 1.0
  ) -> list[list[int]]:
    """Returns the numbers of each topic's words, see `names`."""
    shares = self.topics_TxW.sum(0, dtype=np.float64)
    log_TxW = np.log(self.words_TxW)
    score = log_TxW - (1 - relevance) * np.log(shares / shares.sum())
    order = np.argsort(-score, axis=1, kind='stable')[:, :num_words]
    found: list[list[int]] = order.tolist()
    return found

  def _put(self, x: np.ndarray, mesh: Mesh) -> jax.Array:
    return sharding.put(np.ascontiguousarray(x), sharding.replicated(mesh))

  def _log_likelihood(
    self,
    documents: corpus.Documents,
    log_words_WxT: jax.Array,
    log_documents_NxT: np.ndarray,
    mesh: Mesh,
  ) -> float:
    total = 0.0
    for block in blocks.blocks(
      documents, num_words=len(self.vocabulary), num_devices=1
    ):
      log_RxT = np.zeros((len(block.words_RxL), self.num_topics), np.float32)
      log_RxT[: len(block.rows)] = log_documents_NxT[block.rows]
      of_rows = variational.log_likelihoods(
        log_words_WxT,
        *(
          self._put(x, mesh)
          for x in (block.words_RxL, block.counts_RxL, log_RxT)
        ),
      )
      total += float(jax.device_get(of_rows).sum(dtype=np.float64))
    return total


def infer_blocks(
  table_WxT: jax.Array,
  documents: corpus.Documents,
  *,
  prior: float,
  steps: int,
  tolerance: float,
  mesh: Mesh,
) -> Iterator[tuple[blocks.Block, jax.Array]]:
  """Finds the documents' variational parameters, block by block.

  Args:
    table_WxT: of `variational.word_table`, on all devices.
    documents: any number.
    prior: alpha.
    steps: see `variational.infer`.
    tolerance: see `variational.infer`.
    mesh: rows are spread over its `data` axis.

  Yields:
    Each block, and gamma of its rows, which may still be computed.
  """
  rows_sharding = NamedSharding(mesh, PartitionSpec(sharding.DATA))
  for block in blocks.blocks(
    documents,
    num_words=len(table_WxT),
    num_devices=mesh.shape[sharding.DATA],
  ):
    gamma = variational.infer(
      table_WxT,
      sharding.put(block.words_RxL, rows_sharding),
      sharding.put(block.counts_RxL, rows_sharding),
      np.float32(prior),
      steps=steps,
      tolerance=tolerance,
      mesh=mesh,
    )
    yield block, gamma


def _dirichlet_bound(
  parameters: np.ndarray, log: np.ndarray, prior: float
) -> float:
  """Returns E[log p(x)] - E[log q(x)] of rows x ~ Dirichlet, summed."""
  width = parameters.shape[1]
  of_rows = ((prior - parameters) * log + special.gammaln(parameters)).sum(1)
  of_rows -= special.gammaln(parameters.sum(1))
  constant = special.gammaln(prior * width) - width * special.gammaln(prior)
  return float(of_rows.sum() + len(parameters) * constant)


def _halves(
  documents: corpus.Documents,
) -> tuple[corpus.Documents, corpus.Documents]:
  """Splits each document's words in turns."""
  row = np.repeat(np.arange(len(documents)), documents.lengths)
  place = np.arange(len(documents.words)) - documents.starts[:-1][row]
  found = []
  for half in (0, 1):
    chosen = place % 2 == half
    lengths = np.bincount(row[chosen], minlength=len(documents))
    found.append(
      corpus.Documents(
        words=documents.words[chosen],
        counts=documents.counts[chosen],
        starts=np.concatenate([[0], lengths]).cumsum(dtype=np.int64),
      )
    )
  return found[0], found[1]
