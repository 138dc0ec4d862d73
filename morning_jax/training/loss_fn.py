"""The loss of a batch, as the configuration puts it together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import numpy as jnp
import ml_collections

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.losses import pairwise
from morning_jax.model import morning
from morning_jax.training import device_data
from morning_jax.training import loss_table


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
  kind = loss_table.LOSSES[loss.kind]

  def of_batch(
    model: morning.Morning,
    params: Any,
    data: device_data.TrainingData,
    batch: accounts_lib.Batch,
    dropout_key: jax.Array,
  ) -> pairwise.Parts:
    brand_P, candidate_P = batch.brand_P, batch.candidate_P
    brands, influencers = batch.brands, batch.influencers
    if not kind.draws_negatives:
      # By turns, rows that devices do not divide would all go to all of them.
      brands, influencers = _to_whole_shares((brands, influencers))
    brands, influencers = jax.tree.map(
      sharding.shard_rows, (brands, influencers)
    )
    encoded: Any = model.apply(
      {'params': params},
      brands,
      influencers,
      graph=data.graph,
      train=True,
      rngs={'dropout': dropout_key},
    )
    brand, influencer = encoded
    if not kind.draws_negatives:
      brand, influencer = jax.tree.map(
        lambda x: x[: len(brand_P)], (dict(brand), dict(influencer))
      )
    parts = kind.parts(
      loss_table.LossInputs(
        brand=brand,
        influencer=influencer,
        brand_P=brand_P,
        candidate_P=candidate_P,
        category_P=data.category_B[brand_P],
        lists=data.lists,
        settings=loss,
        negatives=loss_table.negatives(config),
        unroll=unroll,
      )
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
