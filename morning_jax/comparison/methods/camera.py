"""CAMERA: concepts of accounts, with attention in both directions.

Source: S. Wang, T. Gan, Y. Liu, L. Zhang, J. Wu, L. Nie, "Discover
Micro-Influencers for Brands via Better Understanding", IEEE Transactions on
Multimedia 24 (2022).

Kept, by the paper's abstract: an account is represented concept by concept
from its images and texts; a bi-directional attention weighs a brand's concepts
by the influencer, and the influencer's by the brand; the ranking function adds
an endorsement effect score of the pair and an influence score of the
influencer, both learned. Assumed, without the paper's text: concepts
are linear readings of the fused content; a concept's attention is the softmax
of its mean affinity to the other account's concepts; influence is an affine
function of the influencer's concepts and, where the data has it, of the
logarithm of its followers.

Left out: raw posts, the concept vocabulary, engagement (likes and comments).
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.comparison.methods import fold_data
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import pair_module
from morning_jax.comparison.methods import trainer
from morning_jax.core import accounts as accounts_lib

FEATURES = ('content_image', 'content_text')
_RECIPE = trainer.Recipe(learning_rate=3e-3, steps=100, batch_size=256, l2=1e-4)


class Camera(pair_module.PairModule):
  """Concepts of an account, K of them.

  Attributes:
    features: names of the features, those that the data has.
    hidden: width of the fused content.
    concepts: K.
    width: D, size of a concept's representation.
  """

  features: tuple[str, ...]
  hidden: int = 128
  concepts: int = 4
  width: int = 32

  def setup(self) -> None:
    """Makes an encoder per modality, the concepts and the two scores."""
    for feature in self.features:
      setattr(
        self, feature, pair_module.make_encoder((self.hidden,), dropout=0.0)
      )
    self.concept = pair_module.make_dense(self.concepts * self.width)
    self.affinity = pair_module.make_dense(self.width)
    self.influence = pair_module.make_dense(1)

  def encode(
    self, inputs: trainer.Inputs, *, role: str, train: bool = False
  ) -> dict[str, jax.Array]:
    """Returns `concepts` [A, K, D] and `influence` [A]."""
    del role
    table = inputs.table
    fused = functools.reduce(
      operator.mul,
      [
        getattr(self, f)(table.features[f], table.present[f], train=train)
        for f in self.features
      ],
    )
    concepts = self.concept(fused)
    influence = self.influence(
      jnp.concatenate([concepts, inputs.log_followers_A[:, None]], axis=1)
    )
    return {
      'concepts': concepts.reshape(-1, self.concepts, self.width),
      'influence': influence[:, 0],
    }

  def attention(
    self, brands: jax.Array, influencers: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Weighs the concepts of both accounts of each pair.

    Args:
      brands: [b, K, D].
      influencers: [m, K, D].

    Returns:
      Weights of the brands' concepts and of the influencers', [b, m, K] each,
      of sum 1.
    """
    affinity_BxMxKxK = self.width**-0.5 * jnp.einsum(
      'bid,mjd->bmij', self.affinity(brands), self.affinity(influencers)
    )
    return (
      nn.softmax(jnp.mean(affinity_BxMxKxK, axis=3)),
      nn.softmax(jnp.mean(affinity_BxMxKxK, axis=2)),
    )

  def score(self, brands: Any, influencers: Any) -> jax.Array:
    """Returns endorsement effect plus influence, [b, m]."""
    brand, influencer = brands['concepts'], influencers['concepts']
    of_brand, of_influencer = self.attention(brand, influencer)
    effect_BxM = jnp.einsum(
      'bmi,bmj,bmij->bm',
      of_brand,
      of_influencer,
      jnp.einsum('bid,mjd->bmij', brand, influencer),
    )
    return effect_BxM * self.width**-0.5 + influencers['influence']


def _score(task: interface.Task) -> np.ndarray:
  features = fold_data.present(task.dataset, FEATURES, method='CAMERA')
  return trainer.run(
    task,
    features,
    module=Camera(features),
    loss=pair_module.in_batch,
    recipe=_RECIPE,
  )


def _missing(dataset: accounts_lib.Dataset) -> list[str]:
  notes = fold_data.missing_notes(dataset, FEATURES)
  if dataset.accounts.followers is None:
    notes.append('no numbers of followers')
  return [*notes, 'no likes and comments']


METHOD = interface.Method(
  key='camera',
  name='CAMERA',
  source=(
    'Wang et al., Discover Micro-Influencers for Brands via Better'
    ' Understanding, IEEE TMM 24, 2022'
  ),
  score=_score,
  missing=_missing,
  cost=8.0,
)
