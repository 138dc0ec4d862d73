"""What the steps of one dispatch take beside the state and the data."""

from __future__ import annotations

from collections.abc import Callable
import functools

import flax.struct
import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.core import sharding
from morning_jax.core.accounts import Array
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import sampler


@flax.struct.dataclass
class StepInputs:
  """The steps of one dispatch. All values are arguments of one program.

  Attributes:
    count: int32, how many steps are taken, at most S.
    learning_rate_S: float32, of the steps from the state's on.
    steps_per_epoch: int32.
    keys: random streams.
    first_epoch: int32, the epoch of `order_ExP`'s first row.
    order_ExP: int32, the order of the positives in each epoch; None where the
      host brings the batches.
  """

  count: Array
  learning_rate_S: Array
  steps_per_epoch: Array
  keys: sampler.Keys
  first_epoch: Array
  order_ExP: Array | None


def make_step_inputs(
  config: ml_collections.ConfigDict,
  plan: optimizer_lib.Plan,
  *,
  num_positives: int,
  capacity: int,
  mesh: Mesh,
  with_order: bool = True,
  padded_positives: int | None = None,
) -> Callable[[int, int], StepInputs]:
  """Prepares the inputs of a run's dispatches.

  Args:
    config: the whole configuration.
    plan: how the run is optimized.
    num_positives: positives that are trained on.
    capacity: S, the most steps of a dispatch; all have arrays of this size.
    mesh: where the orders are computed.
    with_order: whether batches are gathered on device.
    padded_positives: P of the orders, if it is larger than `num_positives`.

  Returns:
    A function from the first step of a dispatch, and the step after its last
    one, to its inputs.
  """
  keys = sampler.make_keys(config.seed)
  num_epochs = -(-capacity // plan.steps_per_epoch) + 1
  num_epochs = min(num_epochs, config.train.epochs)
  orders = _orders_on(mesh)
  train = ml_collections.FrozenConfigDict({'train': config.train.to_dict()})

  def inputs_of(start: int, stop: int) -> StepInputs:
    if stop - start > capacity:
      raise ValueError(f'{stop - start} steps in a dispatch of {capacity}')
    first_epoch = start // plan.steps_per_epoch
    return StepInputs(
      count=np.int32(stop - start),
      learning_rate_S=plan.learning_rates(start, capacity),
      steps_per_epoch=np.int32(plan.steps_per_epoch),
      keys=keys,
      first_epoch=np.int32(first_epoch),
      order_ExP=orders(
        keys,
        np.int32(first_epoch),
        config=train,
        num_positives=num_positives,
        num_epochs=num_epochs,
        padding=(padded_positives or num_positives) - num_positives,
      )
      if with_order
      else None,
    )

  return inputs_of


@functools.lru_cache(maxsize=8)
def _orders_on(mesh: Mesh) -> Callable[..., jax.Array]:
  """Compiles the orders of several epochs, [E, P], once for all runs."""

  @functools.partial(
    jax.jit,
    static_argnames=('config', 'num_positives', 'num_epochs', 'padding'),
    out_shardings=sharding.replicated(mesh),
  )
  def orders(
    keys: sampler.Keys,
    first_epoch: jax.Array,
    *,
    config: ml_collections.FrozenConfigDict,
    num_positives: int,
    num_epochs: int,
    padding: int,
  ) -> jax.Array:
    order_ExP = jax.vmap(
      lambda epoch: sampler.order_of_epoch(config, keys, epoch, num_positives)
    )(first_epoch + jnp.arange(num_epochs))
    return jnp.pad(order_ExP, ((0, 0), (0, padding)))

  return orders
