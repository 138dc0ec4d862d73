"""What the steps of one dispatch take beside the state and the data."""

from __future__ import annotations

from collections.abc import Callable

import flax.struct
import ml_collections
import numpy as np

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
  """

  count: Array
  learning_rate_S: Array
  steps_per_epoch: Array
  keys: sampler.Keys


def make_step_inputs(
  config: ml_collections.ConfigDict,
  plan: optimizer_lib.Plan,
  *,
  capacity: int,
) -> Callable[[int, int], StepInputs]:
  """Prepares the inputs of a run's dispatches.

  Args:
    config: the whole configuration.
    plan: how the run is optimized.
    capacity: S, the most steps of a dispatch; all have arrays of this size.

  Returns:
    A function from the first step of a dispatch, and the step after its last
    one, to its inputs.
  """
  keys = sampler.make_keys(config.seed)

  def inputs_of(start: int, stop: int) -> StepInputs:
    if stop - start > capacity:
      raise ValueError(f'{stop - start} steps in a dispatch of {capacity}')
    return StepInputs(
      count=np.int32(stop - start),
      learning_rate_S=plan.learning_rates(start, capacity),
      steps_per_epoch=np.int32(plan.steps_per_epoch),
      keys=keys,
    )

  return inputs_of
