"""BAMIR: content and attributes, negatives of the brand's own category.

Source: "Which Micro-influencers Are Better for Your Brand?" (BAMIR), 2023.

Kept: an account is what it posts (image and text, fused by their Hadamard
product) and its attributes; both perspectives' inner products add up to the
score; each positive meets 20 negatives, hard ones of the same category among
them. Assumed, without the paper's text: a fifth of the negatives is
hard (half of them ranks worse), and the loss is the softmax cross entropy of
the list.

Left out: how the paper makes attribute embeddings from hashtags and the
attribute graph (the data's own are taken, or else the lists as bags).
An influencer's category is that of the training brands it has worked for.
Added: L2 penalty.
"""

from __future__ import annotations

import functools
import operator

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.comparison.methods import fold_data
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import pair_module
from morning_jax.comparison.methods import trainer
from morning_jax.core import accounts as accounts_lib
from morning_jax.losses import pairwise

_CONTENT = ('content_image', 'content_text')
_HARD = 4
_EASY = 16
_RECIPE = trainer.Recipe(learning_rate=3e-3, steps=80, batch_size=512, l2=1e-3)


class Bamir(pair_module.PairModule):
  """Encodes content and attributes.

  Attributes:
    groups: perspectives, each the names of its features, those that the data
      has.
    widths: of each feature's MLP.
  """

  groups: tuple[tuple[str, ...], ...]
  widths: tuple[int, ...] = (128,)

  def setup(self) -> None:
    """Makes an encoder per feature."""
    for group in self.groups:
      for feature in group:
        encoder = pair_module.make_encoder(self.widths, dropout=0.0)
        setattr(self, feature, encoder)

  def encode(
    self, inputs: trainer.Inputs, *, role: str, train: bool = False
  ) -> jax.Array:
    """Returns the perspectives side by side, [A, D or 2D]."""
    del role
    table = inputs.table

    def encoded(feature: str) -> jax.Array:
      encoder = getattr(self, feature)
      present_A = table.present[feature]
      return encoder(table.features[feature], present_A, train=train)

    return jnp.concatenate(
      [
        functools.reduce(operator.mul, map(encoded, group))
        for group in self.groups
      ],
      axis=1,
    )


def draw_negatives(
  key: jax.Array, fold: fold_data.FoldData, brand_P: jax.Array
) -> jax.Array:
  """Draws negatives: hard ones of the brand's category, then any.

  Args:
    key: PRNG key.
    fold: the fold.
    brand_P: brand of each positive.

  Returns:
    int32 [P, 20] influencers. Where no other influencer of the category is
    left, all are drawn from any.
  """
  hard_key, easy_key = jax.random.split(key)
  hard_PxN, some_P = pair_module.draw(
    hard_key, fold.same_BxM[brand_P], count=_HARD
  )
  real_M = jnp.arange(len(fold.candidate_row_M)) < fold.num_candidates
  any_PxN, _ = pair_module.draw(
    easy_key, ~fold.known_BxM[brand_P] & real_M, count=_HARD + _EASY
  )
  hard_PxN = jnp.where(some_P[:, None], hard_PxN, any_PxN[:, :_HARD])
  return jnp.concatenate([hard_PxN, any_PxN[:, _HARD:]], axis=1)


def _loss(
  score_pairs: trainer.ScorePairs,
  fold: fold_data.FoldData,
  batch: trainer.PositivePairs,
  key: jax.Array,
) -> pairwise.Parts:
  score_PxM = score_pairs(batch.brand_P, jnp.arange(len(fold.candidate_row_M)))
  negative_PxN = draw_negatives(key, fold, batch.brand_P)
  list_PxN = jnp.concatenate([batch.candidate_P[:, None], negative_PxN], axis=1)
  score_PxN = jnp.take_along_axis(score_PxM, list_PxN, axis=1)
  return {'cross_entropy': -jnp.mean(jax.nn.log_softmax(score_PxN)[:, 0])}


def _score(task: interface.Task) -> np.ndarray:
  attribute = fold_data.attribute_feature(task.dataset)
  fold_data.present(task.dataset, (attribute,), method='BAMIR')
  content = tuple(f for f in _CONTENT if fold_data.has(task.dataset, f))
  groups = (content, (attribute,)) if content else ((attribute,),)
  return trainer.run(
    task,
    (*content, attribute),
    module=Bamir(groups),
    loss=_loss,
    recipe=_RECIPE,
  )


def _missing(dataset: accounts_lib.Dataset) -> list[str]:
  wanted = (*_CONTENT, fold_data.attribute_feature(dataset))
  return fold_data.missing_notes(dataset, wanted)


METHOD = interface.Method(
  key='bamir',
  name='BAMIR',
  source='Which Micro-influencers Are Better for Your Brand? (BAMIR), 2023',
  score=_score,
  missing=_missing,
  cost=8.0,
)
