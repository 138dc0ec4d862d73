"""MIR: low-rank bilinear features, listwise ranking over k buckets.

Source: T. Gan, S. Wang, M. Liu, X. Song, Y. Yao, L. Nie, "Seeking
Micro-influencers for Brand Promotion", ACM Multimedia 2019.

Kept: image and text of an account's posts are fused by low-rank bilinear
pooling (the Hadamard product of their linear maps) into one vector; brand and
influencer are scored by these alone; lists are drawn from k buckets and ranked
listwise. Assumed, without the paper's text: the buckets are ordered
by relevance (the brand's own influencers, those of other brands of its
category, all others), and the loss is the top-one cross entropy of a bucket's
members against all lower buckets.

Left out: the networks that turn raw posts into features; a modality that the
data lacks drops out of the product. Added: L2 penalty.
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

FEATURES = ('content_image', 'content_text')
_DRAWN = 20  # of each lower bucket
_WEIGHTS = (1.0, 0.3)  # of the buckets' terms
_RECIPE = trainer.Recipe(learning_rate=3e-3, steps=200, batch_size=256, l2=1e-4)


class Mir(pair_module.PairModule):
  """Fuses the modalities of an account.

  Attributes:
    features: names of the features, those that the data has.
    widths: of each modality's map, the last one the rank of the pooling.
    dropout: rate on the inputs of all layers but the first.
  """

  features: tuple[str, ...]
  widths: tuple[int, ...] = (256,)
  dropout: float = 0.0

  def setup(self) -> None:
    """Makes a map per modality."""
    for feature in self.features:
      encoder = pair_module.make_encoder(self.widths, dropout=self.dropout)
      setattr(self, feature, encoder)

  def encode(
    self, inputs: trainer.Inputs, *, role: str, train: bool = False
  ) -> jax.Array:
    """Returns [A, D]; brands and influencers share the maps."""
    del role
    table = inputs.table
    return functools.reduce(
      operator.mul,
      [
        getattr(self, f)(table.features[f], table.present[f], train=train)
        for f in self.features
      ],
    )


def k_buckets(
  score_BxN: jax.Array, bucket_BxN: jax.Array, *, weights: tuple[float, ...]
) -> jax.Array:
  """Computes the listwise loss over buckets.

  Args:
    score_BxN: scores of each brand's list.
    bucket_BxN: int bucket of each entry, 0 the most relevant; -1 where the
      list has no entry.
    weights: of each bucket's term, from bucket 0; the lowest has no term.

  Returns:
    sum over k of weight_k times the mean, over all entries of bucket k, of
    -log(exp(own) / (exp(own) + sum over lower buckets of exp)).
  """
  loss = jnp.zeros(())
  for k, weight in enumerate(weights):
    lower_BxN = jnp.where(bucket_BxN > k, score_BxN, -jnp.inf)
    lower_B = jax.nn.logsumexp(lower_BxN, axis=1, keepdims=True)
    own_BxN = bucket_BxN == k
    gap_BxN = jnp.where(own_BxN, lower_B - score_BxN, 0.0)
    total = jnp.sum(jnp.where(own_BxN, jax.nn.softplus(gap_BxN), 0.0))
    loss += weight * total / jnp.maximum(jnp.sum(own_BxN), 1)
  return loss


def _loss(
  score_pairs: trainer.ScorePairs,
  fold: fold_data.FoldData,
  batch: trainer.PositivePairs,
  key: jax.Array,
) -> pairwise.Parts:
  candidates_M = jnp.arange(len(fold.candidate_row_M))
  score_BxM = score_pairs(batch.brand_P, candidates_M)
  same_BxM = fold.same_BxM[batch.brand_P]
  other_BxM = (
    ~same_BxM
    & ~fold.known_BxM[batch.brand_P]
    & (candidates_M < fold.num_candidates)
  )
  columns, buckets = [batch.candidate_P[:, None]], [jnp.zeros((1, 1), int)]
  for k, allowed_BxM in enumerate((same_BxM, other_BxM), start=1):
    drawn_BxN, some_B = pair_module.draw(
      jax.random.fold_in(key, k), allowed_BxM, count=_DRAWN
    )
    columns.append(drawn_BxN)
    buckets.append(jnp.where(some_B, k, -1)[:, None])
  bucket_BxN = jnp.concatenate(
    [
      jnp.broadcast_to(k, c.shape)
      for k, c in zip(buckets, columns, strict=True)
    ],
    axis=1,
  )
  score_BxN = jnp.take_along_axis(
    score_BxM, jnp.concatenate(columns, axis=1), axis=1
  )
  return {'k_buckets': k_buckets(score_BxN, bucket_BxN, weights=_WEIGHTS)}


def _score(task: interface.Task) -> np.ndarray:
  features = fold_data.present(task.dataset, FEATURES, method='MIR')
  return trainer.run(
    task, features, module=Mir(features), loss=_loss, recipe=_RECIPE
  )


def _missing(dataset: accounts_lib.Dataset) -> list[str]:
  return fold_data.missing_notes(dataset, FEATURES)


METHOD = interface.Method(
  key='mir',
  name='MIR',
  source=(
    'Gan et al., Seeking Micro-influencers for Brand Promotion, ACM MM 2019'
  ),
  score=_score,
  missing=_missing,
  cost=8.0,
)
