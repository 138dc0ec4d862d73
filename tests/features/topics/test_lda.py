"""Topics against scikit-learn's, on any number of devices, from a stream."""

import dataclasses
import subprocess
import sys
import tracemalloc

import jax
import numpy as np
import pytest
from scipy import sparse
from sklearn import decomposition

from morning_jax.core import errors
from morning_jax.core import sharding
from morning_jax.features.text import corpus
from morning_jax.features.topics import lda
from morning_jax.features.topics import options as options_lib
from tests import runs
from tests.features.topics import of_a_process
from tests.features.topics import planted

TOPICS = planted.topics(5, 12)
DOCUMENTS, SHARES = planted.documents(TOPICS, number=300)
VOCABULARY = planted.vocabulary(TOPICS.shape[1])
EXACT = options_lib.LdaOptions(tolerance=1e-5, document_steps=300)
SHORT = options_lib.LdaOptions(passes=2, batch_size=64, shuffle_window=128)


class Peer(decomposition.LatentDirichletAllocation):
  """scikit-learn's, started from given topics and even documents."""

  def _init_latent_vars(self, n_features, dtype=np.float64):
    super()._init_latent_vars(n_features, dtype)
    self.components_ = self.given_TxW.astype(np.float64)
    self._set_expectations()

  def _set_expectations(self):
    from sklearn.decomposition import _lda

    self.exp_dirichlet_component_ = np.exp(
      _lda._dirichlet_expectation_2d(self.components_)
    )

  def _e_step(self, X, cal_sstats, random_init, parallel=None):
    return super()._e_step(X, cal_sstats, False, parallel)


def matrix(documents, num_words=TOPICS.shape[1]):
  return sparse.csr_matrix(
    (documents.counts.astype(np.float64), documents.words, documents.starts),
    shape=(len(documents), num_words),
  )


def peer(options, num_topics, start_TxW, total):
  found = Peer(
    num_topics,
    learning_decay=options.decay,
    learning_offset=options.offset,
    max_doc_update_iter=options.document_steps,
    mean_change_tol=options.tolerance,
    doc_topic_prior=options.document_prior,
    topic_word_prior=options.topic_prior,
    total_samples=total,
  )
  found.given_TxW = start_TxW
  return found


def mesh_of(number):
  return sharding.make_mesh(devices=jax.devices()[:number])


@pytest.mark.parametrize('priors', [(None, None), (0.3, 0.05)])
def test_updates_are_those_of_scikit_learn(priors):
  options = dataclasses.replace(
    EXACT, document_prior=priors[0], topic_prior=priors[1]
  )
  start = lda.start(len(VOCABULARY), 5, seed=1)
  theirs = peer(options, 5, start.T, len(DOCUMENTS))
  ours = lda.Learner(
    start, documents=len(DOCUMENTS), options=options, mesh=mesh_of(1)
  )
  for batch in planted.cut(DOCUMENTS, 100, 180):
    ours.learn(batch)
    theirs.partial_fit(matrix(batch))
  np.testing.assert_allclose(
    ours.topics_TxW(), theirs.components_, rtol=2e-3, atol=2e-3
  )


def test_topics_of_documents_and_perplexity_are_those_of_scikit_learn():
  model = lda.fit([DOCUMENTS], VOCABULARY, 5, options=EXACT)
  theirs = peer(EXACT, 5, model.topics_TxW, len(DOCUMENTS))
  theirs.partial_fit(matrix(DOCUMENTS))
  theirs.components_ = model.topics_TxW.astype(np.float64)
  theirs._set_expectations()
  np.testing.assert_allclose(
    model.infer(DOCUMENTS), theirs.transform(matrix(DOCUMENTS)), atol=1e-4
  )
  assert model.perplexity([DOCUMENTS]) == pytest.approx(
    theirs.perplexity(matrix(DOCUMENTS)), rel=1e-5
  )


def test_planted_topics_are_found():
  model = lda.fit([DOCUMENTS], VOCABULARY, 5)
  assert planted.matched(model.words_TxW, TOPICS).min() > 0.95


def test_documents_of_a_planted_topic_are_told():
  model = lda.fit([DOCUMENTS], VOCABULARY, 5)
  clear = (SHARES.max(1) > 0.9) & (DOCUMENTS.lengths > 10)
  assert clear.sum() > 30
  ours = model.infer(corpus.take(DOCUMENTS, np.flatnonzero(clear))).argmax(1)
  pairs = set(zip(SHARES[clear].argmax(1), ours, strict=True))
  assert len(pairs) == 5  # one of ours to each of theirs


def test_as_good_as_scikit_learn_from_a_start_of_its_own():
  theirs = decomposition.LatentDirichletAllocation(
    5, learning_method='online', batch_size=64, max_iter=10, random_state=0
  ).fit(matrix(DOCUMENTS))
  model = lda.fit(
    [DOCUMENTS],
    VOCABULARY,
    5,
    options=options_lib.LdaOptions(batch_size=64, passes=10),
  )
  ours = planted.matched(model.words_TxW, TOPICS).mean()
  assert ours > planted.matched(theirs.components_, TOPICS).mean() - 0.02


@pytest.mark.parametrize('number', [2, 8])
def test_devices_change_no_bit(number):
  one, several = (
    lda.fit([DOCUMENTS], VOCABULARY, 4, options=SHORT, mesh=mesh_of(n))
    for n in (1, number)
  )
  np.testing.assert_array_equal(one.topics_TxW, several.topics_TxW)


@pytest.mark.slow
def test_processes_change_no_bit(tmp_path):
  port = runs.free_port()
  processes = [
    subprocess.Popen(
      [
        *(sys.executable, '-m', 'tests.features.topics.of_a_process'),
        *(str(port), str(i), str(tmp_path / f'{i}.npz')),
      ],
      env=runs.environment(4),
      cwd=runs.ROOT,
    )
    for i in range(2)
  ]
  assert [p.wait(runs.PATIENCE) for p in processes] == [0, 0]
  for name, ours in of_a_process.learn().items():
    for i in range(2):
      with np.load(tmp_path / f'{i}.npz') as found:
        np.testing.assert_array_equal(found[name], ours, err_msg=name)


@pytest.mark.parametrize('ends', [(1,), (0, 0, 127, 128, 129), (299,)])
def test_cuts_of_the_source_change_no_bit(ends):
  whole, parts = (
    lda.fit(s, VOCABULARY, 4, options=SHORT)
    for s in ([DOCUMENTS], planted.cut(DOCUMENTS, *ends))
  )
  np.testing.assert_array_equal(whole.topics_TxW, parts.topics_TxW)


def test_empty_documents_change_nothing():
  rows = [([], []), *DOCUMENTS, ([], [])]
  padded = corpus.collect((np.array(w), np.array(c)) for w, c in rows)
  whole, more = (
    lda.fit([d], VOCABULARY, 4, options=SHORT) for d in (DOCUMENTS, padded)
  )
  np.testing.assert_array_equal(whole.topics_TxW, more.topics_TxW)
  assert whole.documents == more.documents == len(DOCUMENTS)


def test_seeds_differ():
  one, other = (
    lda.fit(
      [DOCUMENTS],
      VOCABULARY,
      4,
      options=dataclasses.replace(SHORT, seed=seed),
    )
    for seed in (0, 1)
  )
  assert np.abs(one.topics_TxW - other.topics_TxW).max() > 0.1


class Stream:
  """Long documents that are made when they are read."""

  def __init__(self, parts):
    self.parts = parts

  def __iter__(self):
    rng = np.random.default_rng(0)
    for _ in range(self.parts):
      words = [np.sort(rng.choice(2000, 400, replace=False)) for _ in range(64)]
      yield corpus.collect((w, np.ones(400)) for w in words)


def test_memory_does_not_grow_with_the_documents():
  options = dataclasses.replace(
    SHORT, passes=1, batch_size=32, shuffle_window=64, document_steps=1
  )

  def peak(parts):
    tracemalloc.start()
    try:
      lda.fit(
        Stream(parts),
        planted.vocabulary(2000),
        4,
        options=options,
        mesh=mesh_of(1),
      )
      return tracemalloc.get_traced_memory()[1]
    finally:
      tracemalloc.stop()

  peak(1)  # compiles
  few, many = peak(3), peak(20)
  part = sum(p.words.nbytes + p.counts.nbytes for p in Stream(1))
  # Seventeen more parts; what differs is less than two.
  assert many - few < 2 * part


def test_progress_is_told():
  told = []
  lda.fit(
    [DOCUMENTS],
    VOCABULARY,
    4,
    options=SHORT,
    progress=lambda done, total: told.append((done, total)),
  )
  assert told[0] == (64, 600)
  assert told[-1] == (600, 600)


def test_what_can_not_be_learned_from():
  with pytest.raises(errors.UserError, match='no caption has any word'):
    lda.fit([], VOCABULARY, 4)
  with pytest.raises(errors.UserError, match='1 is less than 2'):
    lda.fit([DOCUMENTS], VOCABULARY, 1)
  with pytest.raises(ValueError, match='of a vocabulary of 7'):
    lda.fit([DOCUMENTS], planted.vocabulary(7), 4)


@pytest.mark.parametrize(
  'field',
  [
    {'passes': 0},
    {'batch_size': 0},
    {'document_prior': 0.0},
    {'topic_prior': float('nan')},
    {'decay': 0.5},
    {'offset': -1.0},
    {'tolerance': float('inf')},
    {'seed': -1},
  ],
)
def test_options_that_can_not_be(field):
  with pytest.raises(errors.UserError, match=f'^{next(iter(field))}: '):
    options_lib.LdaOptions(**field)
