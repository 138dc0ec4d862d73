"""Who is in a batch: a pure function of the seed and the step.

The same functions are used where the accounts are on device and where the host
reads them ahead of the device: threefry gives the same numbers on every
backend, and all that follows from them is integers.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.struct
import jax
from jax import numpy as jnp
import ml_collections
import numpy as np

from morning_jax.core import random_streams
from morning_jax.core.accounts import Array
from morning_jax.data import splits
from morning_jax.losses import negative_sampling
from morning_jax.training import epoch_order
from morning_jax.training import loss_table


@flax.struct.dataclass
class Indices:
  """Who is in a batch.

  Attributes:
    brand_P: int32, brand of each positive.
    candidate_P: int32, influencer of each positive.
    influencers: int32 [P], or [P + P * N] with the negatives of each positive
      in turn behind all positives.
  """

  brand_P: Array
  candidate_P: Array
  influencers: Array


@flax.struct.dataclass
class Keys:
  """A run's random streams, one for each purpose.

  Attributes:
    order: of the epochs' orders; an epoch folds in its number.
    negatives: of the negatives; a step folds in its number.
    dropout: of dropout; a step folds in its number.
  """

  order: Array
  negatives: Array
  dropout: Array


def make_keys(seed: int) -> Keys:
  """Returns the random streams of a run with a seed."""
  streams = random_streams.Stream
  return Keys(
    order=random_streams.key(seed, streams.EPOCH_ORDER),
    negatives=random_streams.key(seed, streams.NEGATIVES),
    dropout=random_streams.key(seed, streams.DROPOUT),
  )


def positives_of_step(
  config: ml_collections.ConfigDict,
  keys: Keys,
  step: jax.Array,
  *,
  steps_per_epoch: Array,
  num_positives: Array,
) -> jax.Array:
  """Returns which positives a step's batch has.

  Args:
    config: the whole configuration.
    keys: the run's random streams.
    step: the step, from 0.
    steps_per_epoch: steps of one epoch.
    num_positives: positives that are trained on.

  Returns:
    int32 [P], in 0..num_positives-1. A batch of more than there are begins
    the epoch's order again.
  """
  batch_size = config.train.batch_size
  first = (step % steps_per_epoch) * batch_size
  place_P = (first + jnp.arange(batch_size)) % num_positives
  if not config.train.shuffle:
    return place_P
  epoch = step // steps_per_epoch
  return epoch_order.shuffled(
    jax.random.fold_in(keys.order, epoch), place_P, num_positives
  )


def of_positives(
  config: ml_collections.ConfigDict,
  lists: negative_sampling.PositiveLists,
  brand_P: jax.Array,
  candidate_P: jax.Array,
  negative_key: jax.Array,
) -> Indices:
  """Completes a batch of positives with what the loss takes beside them.

  Args:
    config: the whole configuration.
    lists: the positives of each brand.
    brand_P: brand of each positive of the batch.
    candidate_P: influencer of each.
    negative_key: what negatives are drawn with.

  Returns:
    Who is in the batch.
  """
  influencers = candidate_P
  if count := loss_table.negatives(config):
    negative_PxN = negative_sampling.draw(
      negative_key, lists, brand_P, count=count
    )
    influencers = jnp.concatenate([candidate_P, negative_PxN.ravel()])
  return Indices(
    brand_P=brand_P, candidate_P=candidate_P, influencers=influencers
  )


def make_on_host(
  config: ml_collections.ConfigDict,
  split: splits.Split,
  *,
  steps_per_epoch: int,
) -> Callable[[int], Indices]:
  """Prepares to tell ahead of the device who is in a step's batch.

  Computed on the host's CPU whatever the accelerator; may be called from
  several threads.

  Args:
    config: the whole configuration.
    split: what is trained on.
    steps_per_epoch: steps of one epoch.

  Returns:
    A function from a step to its indices, NumPy arrays.
  """
  cpu = jax.local_devices(backend='cpu')[0]
  num_positives = len(split.brand_P)
  lists = negative_sampling.make_positive_lists(
    split.brand_P,
    split.candidate_P,
    num_brands=len(split.brand_row_B),
    num_candidates=len(split.candidate_row_M),
  )
  lists, brand_P, candidate_P, keys = jax.device_put(
    (
      lists,
      split.brand_P.astype(np.int32),
      split.candidate_P.astype(np.int32),
      make_keys(config.seed),
    ),
    cpu,
  )

  @jax.jit
  def indices(
    lists: negative_sampling.PositiveLists,
    brand_P: jax.Array,
    candidate_P: jax.Array,
    keys: Keys,
    step: jax.Array,
  ) -> Indices:
    positives = positives_of_step(
      config,
      keys,
      step,
      steps_per_epoch=steps_per_epoch,
      num_positives=num_positives,
    )
    return of_positives(
      config,
      lists,
      brand_P[positives],
      candidate_P[positives],
      jax.random.fold_in(keys.negatives, step),
    )

  def on_host(step: int) -> Indices:
    return jax.device_get(
      indices(
        lists,
        brand_P,
        candidate_P,
        keys,
        jax.device_put(np.int32(step), cpu),
      )
    )

  return on_host
