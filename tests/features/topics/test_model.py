"""Topics of documents: whose neighbours, order and devices do not matter."""

import jax
import numpy as np
import pytest

from morning_jax.core import sharding
from morning_jax.features.text import corpus
from morning_jax.features.topics import model as model_lib
from tests.features.topics import planted

TOPICS = planted.topics(4, 10)
# Lengths of four padded sizes, with one of all words.
DOCUMENTS = corpus.join(
  [
    planted.documents(TOPICS, number=80, length=n, seed=n, mixing=m)[0]
    for n, m in ((5, 0.1), (60, 1), (300, 5))
  ]
)


@pytest.fixture(scope='module')
def model():
  return model_lib.TopicModel(
    vocabulary=planted.vocabulary(TOPICS.shape[1]),
    topics_TxW=(TOPICS * 500 + 0.25).astype(np.float32),
    document_prior=0.25,
    topic_prior=0.25,
    document_steps=50,
    tolerance=1e-3,
    documents=240,
  )


def test_rows_are_shares(model):
  found = model.infer(DOCUMENTS)
  assert found.dtype == np.float32
  assert found.shape == (240, 4)
  assert (found > 0).all()
  np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def test_a_document_without_words_lacks_the_feature(model):
  some = corpus.collect([([], []), ([3], [2.0]), ([], [])])
  found = model.infer(some)
  np.testing.assert_array_equal(
    np.isnan(found), [[True] * 4, [False] * 4, [True] * 4]
  )
  assert model.infer(corpus.collect([])).shape == (0, 4)


def test_neighbours_and_order_change_no_bit(model):
  whole = model.infer(DOCUMENTS)
  order = np.random.default_rng(0).permutation(240)
  np.testing.assert_array_equal(
    model.infer(corpus.take(DOCUMENTS, order)), whole[order]
  )
  for row in (0, 79, 80, 239):
    alone = model.infer(corpus.take(DOCUMENTS, np.array([row])))
    np.testing.assert_array_equal(alone[0], whole[row])


def test_devices_change_no_bit(model):
  one = sharding.make_mesh(devices=jax.devices()[:1])
  np.testing.assert_array_equal(
    model.infer(DOCUMENTS, mesh=one), model.infer(DOCUMENTS)
  )


def test_parts_longer_than_one_padding_are_whole(model, monkeypatch):
  whole = model.infer(DOCUMENTS)
  monkeypatch.setattr(model_lib, '_PART', 7)
  np.testing.assert_array_equal(model.infer(DOCUMENTS), whole)


def test_topics_agree_with_a_plain_computation(model):
  """Equation 5 of Hoffman et al., word by word in float64."""
  from scipy import special

  topics = model.topics_TxW.astype(np.float64)
  log_TxW = special.digamma(topics) - special.digamma(topics.sum(1))[:, None]
  row = 100
  words, counts = DOCUMENTS[row]
  gamma = np.ones(4)
  for _ in range(50):
    log_T = special.digamma(gamma) - special.digamma(gamma.sum())
    phi = np.exp(log_T[:, None] + log_TxW[:, words])
    new = 0.25 + (phi / phi.sum(0) * counts).sum(1)
    moved, gamma = np.abs(new - gamma).mean(), new
    if moved < 1e-3:
      break
  np.testing.assert_allclose(
    model.infer(DOCUMENTS)[row], gamma / gamma.sum(), atol=2e-5
  )


def test_tiny_priors_do_not_underflow():
  topics = np.full((3, 6), 1e-3, np.float32)
  topics[[0, 0, 1, 1, 2, 2], range(6)] = 1000
  sharp = model_lib.TopicModel(
    vocabulary=planted.vocabulary(6),
    topics_TxW=topics,
    document_prior=1e-3,
    topic_prior=1e-3,
    document_steps=100,
    tolerance=1e-4,
    documents=9,
  )
  found = sharp.infer(corpus.collect([([2, 3], [1.0, 5.0]), ([0, 5], [1, 1])]))
  np.testing.assert_allclose(found[0], [0, 1, 0], atol=1e-3)
  np.testing.assert_allclose(found[1], [0.5, 0, 0.5], atol=1e-3)


def test_a_half_is_predicted_by_the_other():
  topics = np.full((2, 4), 1e-6, np.float32)
  topics[0, :2] = topics[1, 2:] = 1e6
  model = model_lib.TopicModel(
    vocabulary=planted.vocabulary(4),
    topics_TxW=topics,
    document_prior=1e-3,
    topic_prior=1e-3,
    document_steps=100,
    tolerance=1e-5,
    documents=2,
  )
  # Word 0 tells the topic, in which word 1 has a probability of 1/2.
  one = corpus.collect([([0, 1], [3.0, 7.0]), ([2], [1.0])])
  assert model.completion_perplexity([one]) == pytest.approx(2, rel=1e-2)
  with pytest.raises(ValueError, match='no words'):
    model.completion_perplexity([corpus.collect([([2], [1.0])])])
  with pytest.raises(ValueError, match='no words'):
    model.perplexity([])


def test_perplexity_does_not_depend_on_cuts(model):
  cut = planted.cut(DOCUMENTS, 7, 90)
  assert model.perplexity(cut) == pytest.approx(
    model.perplexity([DOCUMENTS]), rel=1e-6
  )


def test_names_prefer_words_of_one_topic(model):
  topics = np.array([[9, 8, 1, 0.1], [9, 0.1, 1, 8]], np.float32)
  named = model_lib.TopicModel(
    planted.vocabulary(4), topics, 0.5, 0.5, 10, 1e-3, 2
  )
  assert named.names(2, relevance=1) == ('w0000, w0001', 'w0000, w0003')
  assert named.names(2, relevance=0) == ('w0001, w0000', 'w0003, w0000')
  assert named.names(1) == ('w0001', 'w0003')
  assert len(named.names(9)[0].split(', ')) == 4
