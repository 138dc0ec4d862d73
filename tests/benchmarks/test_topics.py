"""Captions and topics, beside scikit-learn."""

import dataclasses

import numpy as np
import pytest

from morning_jax.benchmarks import topics
from tests.benchmarks import quick


def test_captions_of_either_tagger():
  figures = list(topics.run_captions(quick.QUICK, quick.RATES))
  assert [f.parameters['tagger'] for f in figures] == ['hanta', 'none']
  for figure in figures:
    assert figure.unit == 'captions/s'
    quick.consistent(figure)


def test_scikit_learn_learns_from_the_same_documents():
  options = dataclasses.replace(quick.QUICK, peers='required')
  figures = list(topics.run_topics(options, quick.RATES))
  assert [
    (f.parameters['work'], f.parameters['implementation']) for f in figures
  ] == [
    (work, name)
    for work in ('learning', 'inference')
    for name in ('morning_jax', 'sklearn.LatentDirichletAllocation')
  ]
  for figure in figures:
    quick.consistent(figure)
    assert figure.also['correlation with planted topics'] > 0.5
  assert figures[0].ratio['to'] == 'sklearn.LatentDirichletAllocation'
  assert figures[1].ratio is None


def test_topics_are_matched_in_any_order():
  planted = np.eye(3, 7) + np.arange(7) / 50
  assert topics._matched(planted[[2, 0, 1]] * 9, planted) == pytest.approx(1)
  assert topics._matched(np.eye(3, 7)[:, ::-1], planted) < 0.5


def test_made_captions_have_words_and_hashtags():
  made = topics.made_captions(3)
  assert made == topics.made_captions(3)
  assert len(set(made)) == 3
  assert all(len(c.split()) == 27 and c.count('#') == 2 for c in made)
