"""Captions to words, and topics of documents beside scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
import importlib
from typing import Any

import numpy as np
from scipy import optimize
from scipy import sparse

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.features.text import corpus
from morning_jax.features.text import documents as documents_lib
from morning_jax.features.text import options as text_options
from morning_jax.features.text import stop_words
from morning_jax.features.text import vocabulary as vocabulary_lib
from morning_jax.features.topics import lda
from morning_jax.features.topics import options as options_lib

_PEER = 'sklearn.LatentDirichletAllocation'
_NOUNS = """
coffee recipe garden makeup lipstick skin hair dress shoe sneaker bag summer
winter beach mountain city travel hotel flight photo camera dog cat puppy baby
family kitchen dinner breakfast cake bread chocolate cheese wine beer gym yoga
workout runner marathon football game music guitar concert movie book art
design home room sofa wall color flower plant tree sun sky sea boat car road
bike fashion style outfit jacket watch ring gift party wedding friend weekend
"""


@dataclasses.dataclass(frozen=True)
class Sizes:
  """Of the documents.

  Attributes:
    captions: that are split into words, 20 an account.
    documents: that topics are learned from.
    words: of a document.
    vocabulary: W.
    topics: T.
    passes: over the documents.
    batch_size: of an update, in either implementation.
  """

  captions: int = 4_000
  documents: int = 20_000
  words: int = 60
  vocabulary: int = 5_000
  topics: int = 22
  passes: int = 3
  batch_size: int = 1_024


_QUICK = Sizes(
  captions=40,
  documents=60,
  words=20,
  vocabulary=100,
  topics=3,
  passes=1,
  batch_size=32,
)


def sizes(options: harness.Options) -> Sizes:
  """Returns the sizes of this run."""
  return _QUICK if options.quick else Sizes()


def made_captions(number: int) -> list[str]:
  """Makes English captions of 25 words with hashtags.

  Half of the words are function words, two in five are common nouns, the
  others occur once, as names and misspellings do.

  Args:
    number: of captions.
  """
  rng = np.random.default_rng(0)
  kinds = sorted(stop_words.of_language('en')), _NOUNS.split()
  letters = np.array(list('abcdefghijklmnoprstuvwyz'))
  found = []
  for _ in range(number):
    words = []
    for kind in rng.choice(3, 25, p=(0.5, 0.4, 0.1)):
      if kind == 2:
        words.append(''.join(rng.choice(letters, 7)))
      else:
        words.append(kinds[kind][rng.integers(len(kinds[kind]))])
    tags = rng.choice(_NOUNS.split(), (2, 2))
    found.append(' '.join([*words, *('#' + ''.join(t) for t in tags)]))
  return found


def run_captions(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures one process that makes documents of captions.

  Args:
    options: `quick`, `repeats`.
    rates: of this machine; the limit is to read and write the text once.

  Yields:
    Captions per second of each tagger that comes with its data.
  """
  captions = made_captions(sizes(options).captions)
  accounts = [captions[i : i + 20] for i in range(0, len(captions), 20)]
  for tagger in ('hanta', 'none'):
    tokenizer = documents_lib.Tokenizer(text_options.TextOptions(tagger=tagger))

    def once(tokenizer: documents_lib.Tokenizer = tokenizer) -> None:
      for account in accounts:
        tokenizer.tokens(account)

    seconds = harness.interleave({'': once}, repeats=options.repeats)['']
    yield harness.measured(
      'captions',
      {'tagger': tagger, 'captions': len(captions), 'processes': 1},
      seconds,
      rates.limit(flops=0.0, moved=2.0 * sum(map(len, captions))),
      work=float(len(captions)),
      unit='captions/s',
    )


def made_documents(size: Sizes) -> tuple[corpus.Documents, np.ndarray]:
  """Draws documents of planted topics.

  Returns:
    The documents, and the probabilities of words under topics, [T, W].
  """
  rng = np.random.default_rng(0)
  words_TxW = rng.dirichlet(np.full(size.vocabulary, 0.05), size.topics)
  drawn = []
  for share_T in rng.dirichlet(np.full(size.topics, 0.2), size.documents):
    counts = rng.multinomial(size.words, share_T @ words_TxW)
    used = np.flatnonzero(counts)
    drawn.append((used, counts[used]))
  return corpus.collect(drawn), words_TxW


def run_topics(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures learning and inference, scikit-learn's in turns.

  Either learns online from the same documents, in as many passes and in
  batches of the same size, until a document's topics move less than 0.001.

  Args:
    options: `peers`, `quick`, `repeats`.
    rates: of this machine; the limit is one step of each document, of which
      it takes some dozens until its topics stay.

  Yields:
    Documents per second of learning (a document counts once each pass) and of
    inference, and how well the planted topics were found.
  """
  size = sizes(options)
  documents, planted_TxW = made_documents(size)
  vocabulary = vocabulary_lib.Vocabulary(
    tuple(f'{i:08}' for i in range(size.vocabulary))
  )
  chosen = options_lib.LdaOptions(
    passes=size.passes, batch_size=size.batch_size
  )
  model = lda.fit([documents], vocabulary, size.topics, options=chosen)
  found = {'morning_jax': model.topics_TxW}
  learn: dict[str, Callable[[], Any]] = {
    'morning_jax': lambda: lda.fit(
      [documents], vocabulary, size.topics, options=chosen
    )
  }
  infer: dict[str, Callable[[], Any]] = {
    'morning_jax': lambda: model.infer(documents)
  }
  if harness.has_peer('sklearn', options):
    peer, matrix = _peer(documents, size, chosen)
    found[_PEER] = peer.fit(matrix).components_
    learn[_PEER] = lambda: peer.fit(matrix)
    infer[_PEER] = lambda: peer.transform(matrix)
  step = 4.0 * len(documents.words) * size.topics
  for work, calls, times in (
    ('learning', learn, size.passes),
    ('inference', infer, 1),
  ):
    seconds = harness.interleave(calls, repeats=options.repeats, warm_up=0)
    for name, values in seconds.items():
      others = [(n, v) for n, v in seconds.items() if n != name]
      yield harness.measured(
        'topics',
        {
          'implementation': name,
          'work': work,
          'documents': len(documents),
          'words': size.vocabulary,
          'topics': size.topics,
          'passes': times,
          'batch_size': size.batch_size,
        },
        values,
        rates.limit(
          flops=times * step, moved=8.0 * times * len(documents.words)
        ),
        work=float(times * len(documents)),
        unit='documents/s',
        peer=others[0] if others and name == 'morning_jax' else None,
        also={
          'seconds': float(np.median(values)),
          'correlation with planted topics': _matched(found[name], planted_TxW),
        },
      )


def _peer(
  documents: corpus.Documents, size: Sizes, options: options_lib.LdaOptions
) -> tuple[Any, sparse.csr_matrix]:
  decomposition: Any = importlib.import_module('sklearn.decomposition')
  peer = decomposition.LatentDirichletAllocation(
    size.topics,
    learning_method='online',
    learning_decay=options.decay,
    learning_offset=options.offset,
    max_iter=size.passes,
    batch_size=size.batch_size,
    max_doc_update_iter=options.document_steps,
    mean_change_tol=options.tolerance,
    random_state=0,
  )
  matrix = sparse.csr_matrix(
    (documents.counts, documents.words, documents.starts),
    shape=(len(documents), size.vocabulary),
  )
  return peer, matrix


def _matched(found_TxW: np.ndarray, planted_TxW: np.ndarray) -> float:
  """Returns the mean correlation of topics that are matched one to one."""
  number = len(found_TxW)
  between = np.corrcoef(found_TxW, planted_TxW)[:number, number:]
  return float(between[optimize.linear_sum_assignment(-between)].mean())
