"""The row HPTR: text alone, by a deep structured semantic model.

The reference behind the name HPTR in the table of MORNING could not be
determined. What is known of it: it recommends by the text of posts alone. It is
replaced by the best described model of that kind:

Source: P.-S. Huang, X. He, J. Gao, L. Deng, A. Acero, L. Heck, "Learning Deep
Structured Semantic Models for Web Search using Clickthrough Data", CIKM 2013.

Kept: an MLP with tanh maps either text to a semantic vector, relevance is their
cosine, and a smoothed softmax over a positive and negatives is maximised. Left
out: word hashing (the data has topics instead of words) and a network for each
side, as brands are few; negatives are those of the batch. Added: L2 penalty.
"""

from __future__ import annotations

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.comparison.methods import fold_data
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import pair_module
from morning_jax.comparison.methods import trainer
from morning_jax.core import accounts as accounts_lib
from morning_jax.model import residual

_TEXT = 'content_text'
_RECIPE = trainer.Recipe(learning_rate=1e-3, steps=80, batch_size=512, l2=1e-3)


class TextMatch(pair_module.PairModule):
  """A siamese text network.

  Attributes:
    hidden: width of the hidden layer.
    width: of the semantic vector.
    smoothing: factor on the cosine.
  """

  hidden: int = 300
  width: int = 128
  smoothing: float = 10.0

  def setup(self) -> None:
    """Makes the network."""
    self.first = pair_module.make_encoder((self.hidden,), dropout=0.0)
    self.last = pair_module.make_dense(self.width)

  def encode(
    self, inputs: trainer.Inputs, *, role: str, train: bool = False
  ) -> jax.Array:
    """Returns [A, D] of unit length."""
    del role
    table = inputs.table
    hidden = self.first(
      table.features[_TEXT], table.present[_TEXT], train=train
    )
    return residual.unit(jnp.tanh(self.last(jnp.tanh(hidden))))

  def score(self, brands: jax.Array, influencers: jax.Array) -> jax.Array:
    """Returns smoothed cosines, [b, m]."""
    root = brands.shape[-1] ** 0.5
    return super().score(brands, influencers) * root * self.smoothing


def _score(task: interface.Task) -> np.ndarray:
  features = fold_data.present(task.dataset, (_TEXT,), method='HPTR')
  return trainer.run(
    task,
    features,
    module=TextMatch(),
    loss=pair_module.in_batch,
    recipe=_RECIPE,
  )


def _missing(dataset: accounts_lib.Dataset) -> list[str]:
  return [
    'the reference of HPTR could not be determined: it is replaced by DSSM,'
    ' which also takes text alone',
    *fold_data.missing_notes(dataset, (_TEXT,)),
  ]


METHOD = interface.Method(
  key='hptr',
  name='HPTR',
  source=(
    'undetermined; replaced by Huang et al., Learning Deep Structured Semantic'
    ' Models for Web Search using Clickthrough Data, CIKM 2013'
  ),
  score=_score,
  missing=_missing,
  cost=8.0,
)
