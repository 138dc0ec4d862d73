"""The loss of a batch, as the configuration puts it together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import numpy as jnp
import ml_collections

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.losses import sharded
from morning_jax.model import morning
from morning_jax.training import device_data

# Weights of the mean scores in the released program's extra term.
_SCORE_WEIGHTS = {'content': 0.01, 'audience': 0.02, 'attribute': 0.01}


def make_loss(
  config: ml_collections.ConfigDict, *, unroll: int = 1
) -> Callable[..., pairwise.Parts]:
  """Makes the loss of a batch from the `loss` and `train` configuration.

  Args:
    config: the whole configuration, checked.
    unroll: blocks of scores in one loop body, where there are many devices.

  Returns:
    A function of (model, params, data, batch, dropout key) that returns the
    loss parts.
  """
  loss = config.loss
  margins = loss.margins.to_dict()

  def of_batch(
    model: morning.Morning,
    params: Any,
    data: device_data.TrainingData,
    batch: accounts_lib.Batch,
    dropout_key: jax.Array,
  ) -> pairwise.Parts:
    brand_P, candidate_P = batch.brand_P, batch.candidate_P
    brands, influencers = batch.brands, batch.influencers
    if loss.kind != 'triplet':
      # By turns, rows that devices do not divide would all go to all of them.
      brands, influencers = _to_whole_shares((brands, influencers))
    brands, influencers = jax.tree.map(
      sharding.shard_rows, (brands, influencers)
    )
    brand, influencer = model.apply(
      {'params': params},
      brands,
      influencers,
      graph=data.graph,
      train=True,
      rngs={'dropout': dropout_key},
    )
    if loss.kind != 'triplet':
      brand, influencer = jax.tree.map(
        lambda x: x[: len(brand_P)], (dict(brand), dict(influencer))
      )
    if loss.kind == 'triplet':
      count = len(brand_P)
      parts = pairwise.triplet(
        morning.scores_of_pairs(
          brand, {k: v[:count] for k, v in influencer.items()}
        ),
        morning.scores_of_pairs(
          brand,
          {
            k: v[count:].reshape(count, config.train.negatives, -1)
            for k, v in influencer.items()
          },
        ),
        margins=margins,
        variant=loss.variant,
        score_weights=_SCORE_WEIGHTS if loss.regularize_scores else {},
      )
    elif loss.sharding != 'none' and (
      axes := sharded.axes_of(jax.sharding.get_abstract_mesh())
    ):
      parts = sharded.all_pairs_sharded(
        dict(brand),
        dict(influencer),
        data.lists,
        brand_P,
        candidate_P,
        axes=axes,
        margins=margins,
        hinge_weight=loss.hinge_weight,
        temperature=loss.temperature,
        category_B=data.category_B[brand_P],
        category_weight=loss.category_weight,
        dtype=jnp.dtype(loss.dtype),
        layout=loss.sharding,
        unroll=unroll,
      )
    else:
      dtype = jnp.dtype(loss.dtype)
      parts = pairwise.all_pairs(
        {
          k: pairwise.product(brand[k], influencer[k], dtype=dtype)
          for k in brand
        },
        negative_sampling.is_positive(
          data.lists, brand_P[:, None], candidate_P[None, :]
        ),
        margins=margins,
        hinge_weight=loss.hinge_weight,
        temperature=loss.temperature,
        category_B=data.category_B[brand_P],
        category_weight=loss.category_weight,
      )
    if loss.l1:
      parts['l1'] = loss.l1 * pairwise.l1_norm(params)
    if loss.l2:
      parts['l2'] = loss.l2 * pairwise.l2_penalty(params)
    return parts

  return of_batch


def _to_whole_shares(tree: Any) -> Any:
  """Appends zero rows, so that the `data` axis divides them."""
  mesh = jax.sharding.get_abstract_mesh()
  size = 1 if mesh.empty else mesh.shape[sharding.DATA]
  return jax.tree.map(
    lambda x: jnp.pad(x, ((0, -len(x) % size), *((0, 0),) * (x.ndim - 1))),
    tree,
  )


def of_positives(
  config: ml_collections.ConfigDict, of_batch: Callable[..., pairwise.Parts]
) -> Callable[..., pairwise.Parts]:
  """Makes a loss of positives, whose accounts lie on device, of one of batches.

  Args:
    config: the whole configuration.
    of_batch: what `make_loss` returned.

  Returns:
    A function of (model, params, data, positives of the batch, key of the
    negatives, key of dropout) that returns the loss parts.
  """

  def loss(
    model: morning.Morning,
    params: Any,
    data: device_data.TrainingData,
    positive_P: jax.Array,
    negative_key: jax.Array,
    dropout_key: jax.Array,
  ) -> pairwise.Parts:
    batch = device_data.gather(config, data, positive_P, negative_key)
    return of_batch(model, params, data, batch, dropout_key)

  return loss
