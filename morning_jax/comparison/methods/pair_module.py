"""What the methods share: scores of all pairs, and draws from sets."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp

from morning_jax.comparison.methods import fold_data
from morning_jax.comparison.methods import trainer
from morning_jax.losses import pairwise
from morning_jax.model import encoders
from morning_jax.model import morning


class PairModule(nn.Module):
  """A method's model: it encodes accounts one by one, then scores pairs."""

  def encode(self, inputs: Any, *, role: str, train: bool = False) -> Any:
    """Encodes A accounts of a role: a pytree of [A, ...] arrays."""
    raise NotImplementedError

  def score(self, brands: Any, influencers: Any) -> jax.Array:
    """Scores encodings: [b, m]. Here by inner product, over root of D."""
    scores = morning.scores_of_all({'score': brands}, {'score': influencers})
    return scores['score'] * brands.shape[-1] ** -0.5

  def __call__(
    self, brands: Any, influencers: Any, *, train: bool = False
  ) -> jax.Array:
    """Encodes brands and influencers and scores all pairs, [b, m]."""
    return self.score(
      self.encode(brands, role='brand', train=train),
      self.encode(influencers, role='influencer', train=train),
    )


def make_encoder(widths: tuple[int, ...], *, dropout: float) -> nn.Module:
  """Makes the shared encoder of one modality, for entries of size 1."""
  return encoders.Encoder(
    widths=widths,
    kernel_init=nn.initializers.lecun_normal(),
    bias_init=nn.initializers.zeros,
    layer_dropout=dropout,
  )


def make_dense(width: int, *, name: str | None = None) -> encoders.Dense:
  """Makes an affine layer, for entries of size 1."""
  return encoders.Dense(
    width=width,
    kernel_init=nn.initializers.lecun_normal(),
    bias_init=nn.initializers.zeros,
    name=name,
  )


def in_batch(
  score_pairs: trainer.ScorePairs,
  fold: fold_data.FoldData,
  batch: trainer.PositivePairs,
  key: jax.Array,
) -> pairwise.Parts:
  """Ranks each brand of a batch against all of its influencers, both ways.

  A loss as `trainer.run` takes it; nothing is drawn with the key.
  """
  del key
  return pairwise.all_pairs(
    {'score': score_pairs(batch.brand_P, batch.candidate_P)},
    fold.known_BxM[batch.brand_P][:, batch.candidate_P],
    margins={},
    hinge_weight=0.0,
    temperature=1.0,
  )


def draw(
  key: jax.Array, allowed_BxM: jax.Array, *, count: int
) -> tuple[jax.Array, jax.Array]:
  """Draws uniformly, with replacement, from each row's allowed columns.

  Args:
    key: PRNG key.
    allowed_BxM: bool.
    count: draws a row.

  Returns:
    int32 [B, count] columns, and bool [B]: whether the row allows any; where
    it doesn't, its columns mean nothing.
  """
  upto_BxM = jnp.cumsum(allowed_BxM, axis=1, dtype=jnp.int32)
  total_B = upto_BxM[:, -1]
  rank_BxN = jax.random.randint(
    key, (len(total_B), count), 1, jnp.maximum(total_B, 1)[:, None] + 1
  )
  column_BxN = jax.vmap(jnp.searchsorted)(upto_BxM, rank_BxN)
  last = allowed_BxM.shape[1] - 1
  return jnp.minimum(column_BxN, last).astype(jnp.int32), total_B > 0
