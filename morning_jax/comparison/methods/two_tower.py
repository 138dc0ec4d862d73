"""Two towers: in-batch sampled softmax, corrected for popularity.

Source: X. Yi, J. Yang, L. Hong, D. Z. Cheng, L. Heldt, A. Kumthekar, Z. Zhao,
L. Wei, E. Chi, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
Recommendations", RecSys 2019.

Kept: a tower for brands and one for influencers, each an MLP over all features
side by side; outputs of unit length and a temperature; the softmax over the
batch's influencers, their logits less the logarithm of how likely an
influencer is in a batch. Left out: the streaming estimate of that likelihood
(it is counted over the training positives) and the weighting of positives by
reward. Added: other known positives of a brand are masked, an L2 penalty,
dropout.
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
from morning_jax.losses import pairwise
from morning_jax.model import residual

_RECIPE = trainer.Recipe(learning_rate=3e-3, steps=80, batch_size=512, l2=1e-4)


class TwoTower(pair_module.PairModule):
  """Two MLPs over all features.

  Attributes:
    features: names of the features, those that the data has.
    widths: of each tower's layers.
    dropout: rate on the inputs of all layers but the first.
    temperature: of the softmax.
  """

  features: tuple[str, ...]
  widths: tuple[int, ...] = (256, 128)
  dropout: float = 0.5
  temperature: float = 0.1

  def setup(self) -> None:
    """Makes a tower per role."""
    self.brand = pair_module.make_encoder(self.widths, dropout=self.dropout)
    self.influencer = pair_module.make_encoder(
      self.widths, dropout=self.dropout
    )

  def encode(
    self, inputs: trainer.Inputs, *, role: str, train: bool = False
  ) -> jax.Array:
    """Returns [A, D] of unit length; a missing feature counts as zeros."""
    table = inputs.table
    x_AxF = jnp.concatenate([table.features[f] for f in self.features], axis=1)
    everyone_A = jnp.ones(len(x_AxF), bool)
    return residual.unit(getattr(self, role)(x_AxF, everyone_A, train=train))

  def score(self, brands: jax.Array, influencers: jax.Array) -> jax.Array:
    """Returns cosines over the temperature, [b, m]."""
    root = brands.shape[-1] ** 0.5
    return super().score(brands, influencers) * root / self.temperature


def sampled_softmax(
  score_BxB: jax.Array, known_BxB: jax.Array, log_likelihood_B: jax.Array
) -> jax.Array:
  """Computes the softmax loss over a batch, corrected for its sampling.

  Args:
    score_BxB: of the batch's brands against its influencers; row i and column
      i belong to its i-th positive.
    known_BxB: bool, the known positives, which are left out, save row i's own.
    log_likelihood_B: logarithm of how likely each influencer is drawn.

  Returns:
    The mean over the rows of -log softmax(score - log likelihood) (eq. 3).
  """
  masked_BxB = known_BxB & ~jnp.eye(len(known_BxB), dtype=bool)
  logit_BxB = jnp.where(masked_BxB, -jnp.inf, score_BxB - log_likelihood_B)
  return jnp.mean(jax.nn.logsumexp(logit_BxB, axis=1) - jnp.diagonal(logit_BxB))


def _loss(
  score_pairs: trainer.ScorePairs,
  fold: fold_data.FoldData,
  batch: trainer.PositivePairs,
  key: jax.Array,
) -> pairwise.Parts:
  del key
  count_M = jnp.sum(fold.known_BxM, axis=0)
  return {
    'sampled_softmax': sampled_softmax(
      score_pairs(batch.brand_P, batch.candidate_P),
      fold.known_BxM[batch.brand_P][:, batch.candidate_P],
      jnp.log(count_M[batch.candidate_P] / fold.num_positives),
    )
  }


def _features(dataset: accounts_lib.Dataset) -> list[str]:
  wanted = [f for f in accounts_lib.FEATURES if f != 'attribute_embedding']
  return [*wanted, fold_data.attribute_feature(dataset)]


def _score(task: interface.Task) -> np.ndarray:
  features = fold_data.present(
    task.dataset, _features(task.dataset), method='two-tower'
  )
  return trainer.run(
    task, features, module=TwoTower(features), loss=_loss, recipe=_RECIPE
  )


def _missing(dataset: accounts_lib.Dataset) -> list[str]:
  return fold_data.missing_notes(dataset, _features(dataset))


METHOD = interface.Method(
  key='two-tower',
  name='two-tower',
  source=(
    'Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item'
    ' Recommendations, RecSys 2019'
  ),
  score=_score,
  missing=_missing,
  cost=8.0,
)
