"""CATR: its aspects."""

import functools

import jax
import numpy as np

from morning_jax.comparison.methods import catr
from tests.comparison.methods import trained


def test_aspects_have_their_shapes_and_weights():
  module = catr.Catr(aspects=3, word=5, width=4)
  rng = np.random.default_rng(0)
  share = rng.dirichlet(np.ones(7), size=6)
  inputs = trained.text_inputs(np.sqrt(share * 7))
  variables = module.init(jax.random.key(0), inputs, inputs)
  encode = functools.partial(
    module.apply, variables, method='encode', role='brand'
  )
  aspects = encode(inputs)
  assert aspects.shape == (6, 3, 4)
  assert not np.asarray(aspects[5]).any()  # has no text
  score = module.apply(variables, aspects[:2], aspects[1:], method='score')
  assert score.shape == (2, 5)
  # A document of one topic is that topic's aspects, whatever its length: one
  # of two topics lies between them.
  pure = encode(trained.text_inputs(np.sqrt(7) * np.eye(7)[:6]))
  mixed = np.zeros((6, 7))
  mixed[:, [0, 1]] = np.sqrt(7 / 2)
  both = encode(trained.text_inputs(mixed))[0]
  share = (both - pure[1]) / (pure[0] - pure[1])
  np.testing.assert_allclose(
    share, np.broadcast_to(share[:, :1], share.shape), rtol=1e-3
  )
  assert ((share > 0) & (share < 1)).all()
