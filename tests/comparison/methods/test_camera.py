"""CAMERA: its attention and influence."""

import dataclasses

import jax
import numpy as np
import pytest

from morning_jax.comparison.methods import camera
from tests.comparison.methods import trained


def test_attention_is_between_the_accounts_of_a_pair():
  module = camera.Camera(('content_text',), hidden=8, concepts=3, width=4)
  rng = np.random.default_rng(0)
  inputs = trained.text_inputs(rng.normal(size=(6, 7)))
  variables = module.init(jax.random.key(0), inputs, inputs)
  encoded = module.apply(variables, inputs, role='brand', method='encode')
  concepts = encoded['concepts']
  assert concepts.shape == (6, 3, 4)
  of_brand, of_influencer = module.apply(
    variables, concepts[:2], concepts[2:5], method='attention'
  )
  assert of_brand.shape == of_influencer.shape == (2, 3, 3)
  np.testing.assert_allclose(of_brand.sum(axis=2), 1.0, rtol=1e-5)
  np.testing.assert_allclose(of_influencer.sum(axis=2), 1.0, rtol=1e-5)
  # A brand's weights follow the influencer, and an influencer's the brand.
  assert np.abs(of_brand[:, 0] - of_brand[:, 1]).max() > 1e-4
  assert np.abs(of_influencer[0] - of_influencer[1]).max() > 1e-4
  score = module.apply(
    variables,
    jax.tree.map(lambda x: x[:2], encoded),
    jax.tree.map(lambda x: x[2:5], encoded),
    method='score',
  )
  b, m = 1, 2
  brand = np.asarray(of_brand[b, m] @ concepts[b])
  influencer = np.asarray(of_influencer[b, m] @ concepts[2 + m])
  expected = brand @ influencer / 2 + float(encoded['influence'][2 + m])
  assert float(score[b, m]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_influence_follows_the_followers():
  dataset = trained.task().dataset
  unknown = dataclasses.replace(dataset.accounts, followers=None)
  without = dataclasses.replace(
    trained.task(), dataset=dataclasses.replace(dataset, accounts=unknown)
  )
  assert 'no numbers of followers' in camera.METHOD.missing(without.dataset)
  assert 'no numbers of followers' not in camera.METHOD.missing(dataset)
  score_BxM = camera.METHOD.score(without)
  assert np.abs(score_BxM - trained.scores('camera')).max() > 1e-3
