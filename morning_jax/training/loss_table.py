"""The kinds of losses: one table, by what `config.loss.kind` may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses

import jax
from jax import numpy as jnp
import ml_collections

from morning_jax.core import accounts as accounts_lib
from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.losses import sharded
from morning_jax.model import morning

# Weights of the mean scores in the released program's extra term.
_SCORE_WEIGHTS = {'content': 0.01, 'audience': 0.02, 'attribute': 0.01}
# Of a perspective that the configuration or the table above does not name.
_MARGIN = 2.0
_SCORE_WEIGHT = 0.01


@dataclasses.dataclass(frozen=True)
class LossInputs:
  """What a loss is given of a batch.

  Attributes:
    brand: perspective -> float32 [P, D], the brand of each positive.
    influencer: perspective -> float32 [P, D], the influencer of each positive;
      behind them, positive by positive, the N negatives that were drawn for
      each, [P + P * N, D], where the loss asks for them.
    brand_P: int32 [P], index of each positive's brand among those trained on.
    candidate_P: int32 [P], index of its influencer.
    category_P: int32 [P], category of its brand; -1 where unknown.
    lists: the positives of each brand, to mask known ones.
    settings: the `loss` part of the configuration.
    negatives: N, drawn for each positive.
    unroll: blocks of scores in one loop body, where there are many devices.
  """

  brand: morning.Representations
  influencer: morning.Representations
  brand_P: jax.Array
  candidate_P: jax.Array
  category_P: jax.Array
  lists: negative_sampling.PositiveLists
  settings: ml_collections.ConfigDict
  negatives: int
  unroll: int = 1

  @property
  def margins(self) -> Mapping[str, float]:
    """Perspective -> margin of its hinge."""
    known = self.settings.margins
    return {p: known.get(p, _MARGIN) for p in accounts_lib.PERSPECTIVES}

  def known_pairs(self) -> jax.Array:
    """Tells which pairs of the batch are positives, bool [P, P]."""
    return negative_sampling.positives_among(
      self.lists, self.brand_P, self.candidate_P
    )

  def scores(self) -> dict[str, jax.Array]:
    """Scores all brands of the batch against all influencers.

    Returns:
      Perspective -> float32 [P, P], or [P, P + P * N].
    """
    dtype = jnp.dtype(self.settings.dtype)
    return {
      k: pairwise.product(self.brand[k], self.influencer[k], dtype=dtype)
      for k in self.brand
    }


@dataclasses.dataclass(frozen=True)
class Loss:
  """A kind of loss.

  Attributes:
    parts: what it is of a batch: part -> scalar, which are added up.
    draws_negatives: whether `config.train.negatives` influencers are drawn for
      each positive.
  """

  parts: Callable[[LossInputs], pairwise.Parts]
  draws_negatives: bool = False


def _triplet(inputs: LossInputs) -> pairwise.Parts:
  """Computes hinges and cross entropy of triplets (eq. 28-32)."""
  settings, count = inputs.settings, len(inputs.brand_P)
  weights = {
    k: _SCORE_WEIGHTS.get(k, _SCORE_WEIGHT) for k in accounts_lib.PERSPECTIVES
  }
  return pairwise.triplet(
    morning.scores_of_pairs(
      inputs.brand, {k: v[:count] for k, v in inputs.influencer.items()}
    ),
    morning.scores_of_pairs(
      inputs.brand,
      {
        k: v[count:].reshape(count, inputs.negatives, -1)
        for k, v in inputs.influencer.items()
      },
    ),
    margins=inputs.margins,
    variant=settings.variant,
    score_weights=weights if settings.regularize_scores else {},
  )


def _all_pairs(inputs: LossInputs) -> pairwise.Parts:
  """Computes the softmaxes over all pairs, on one device or on many."""
  settings = inputs.settings
  if settings.sharding != 'none' and (
    axes := sharded.axes_of(jax.sharding.get_abstract_mesh())
  ):
    return sharded.all_pairs_sharded(
      dict(inputs.brand),
      dict(inputs.influencer),
      inputs.lists,
      inputs.brand_P,
      inputs.candidate_P,
      axes=axes,
      margins=inputs.margins,
      hinge_weight=settings.hinge_weight,
      temperature=settings.temperature,
      category_B=inputs.category_P,
      category_weight=settings.category_weight,
      dtype=jnp.dtype(settings.dtype),
      layout=settings.sharding,
      unroll=inputs.unroll,
    )
  return pairwise.all_pairs(
    inputs.scores(),
    inputs.known_pairs(),
    margins=inputs.margins,
    hinge_weight=settings.hinge_weight,
    temperature=settings.temperature,
    category_B=inputs.category_P,
    category_weight=settings.category_weight,
  )


LOSSES: dict[str, Loss] = {
  'all_pairs': Loss(_all_pairs),
  'triplet': Loss(_triplet, draws_negatives=True),
}


def register(name: str, loss: Loss) -> None:
  """Adds a kind of loss to the table.

  Args:
    name: what `config.loss.kind` calls it.
    loss: what it is.

  Raises:
    ValueError: the name is taken.
  """
  if name in LOSSES:
    raise ValueError(f'there is a loss {name!r} already')
  LOSSES[name] = loss


def negatives(config: ml_collections.ConfigDict) -> int:
  """Returns N, how many negatives are drawn for a positive; 0 for none."""
  if not LOSSES[config.loss.kind].draws_negatives:
    return 0
  count: int = config.train.negatives
  return count
