"""Optimizers and learning rate schedules."""

from __future__ import annotations

import dataclasses
import functools

import jax
from jax import numpy as jnp
import ml_collections
import numpy as np
import optax

from morning_jax.core import errors

_MOST_STEPS = 2**31 - 1  # 32 bits on device
_RATES = 1 << 16  # learning rates that are computed at a time


def _scale_by_adam_tf1(
  eps: float, b1: float = 0.9, b2: float = 0.999
) -> optax.GradientTransformation:
  """Adam with TensorFlow 1's epsilon: m sqrt(1-b2^t)/(1-b1^t) / (sqrt(v)+eps).

  optax adds epsilon after the bias correction, which makes it smaller by
  sqrt(1 - b2^t).
  """

  def init(params: optax.Params) -> optax.ScaleByAdamState:
    return optax.scale_by_adam(b1, b2).init(params)

  def update(
    updates: optax.Updates,
    state: optax.ScaleByAdamState,
    params: optax.Params | None = None,
  ) -> tuple[optax.Updates, optax.ScaleByAdamState]:
    del params
    count = optax.safe_increment(state.count)
    mu = optax.tree.update_moment(updates, state.mu, b1, 1)
    nu = optax.tree.update_moment(updates, state.nu, b2, 2)
    t = count.astype(jnp.float32)
    scale = jnp.sqrt(1 - b2**t) / (1 - b1**t)
    updates = jax.tree.map(lambda m, v: scale * m / (jnp.sqrt(v) + eps), mu, nu)
    return updates, optax.ScaleByAdamState(count=count, mu=mu, nu=nu)

  return optax.GradientTransformation(init, update)


def _is_kernel(path: tuple) -> bool:
  # A leaf may be boxed with its logical axes, so `kernel` need not come last.
  return any(getattr(key, 'key', None) == 'kernel' for key in path)


def make_schedule(
  config: ml_collections.ConfigDict, *, steps_per_epoch: int, num_steps: int
) -> optax.Schedule:
  """Builds the learning rate as a function of the step.

  Args:
    config: the `optimizer` part of a checked configuration.
    steps_per_epoch: steps of one epoch.
    num_steps: steps of the whole run.

  Returns:
    step -> learning rate.
  """
  if config.schedule == 'constant':
    return optax.constant_schedule(config.learning_rate)
  if config.schedule == 'exponential':
    every = config.decay_steps or steps_per_epoch
    return optax.exponential_decay(
      config.learning_rate, every, config.decay_rate, staircase=True
    )
  warmup = round(config.warmup * num_steps)
  return optax.warmup_cosine_decay_schedule(
    init_value=0.0 if warmup else config.learning_rate,
    peak_value=config.learning_rate,
    warmup_steps=warmup,
    decay_steps=max(num_steps, warmup + 1),
  )


def make_optimizer(
  config: ml_collections.ConfigDict,
) -> optax.GradientTransformation:
  """Builds the optimizer, all but its learning rate.

  Args:
    config: the `optimizer` part of a checked configuration.

  Returns:
    The transformation of gradients to directions, which a step follows
    downwards as far as its learning rate says (`step.update`). Weight decay is
    decoupled and touches weight matrices alone.
  """
  if config.name == 'adam_tf1':
    scale = _scale_by_adam_tf1(config.epsilon)
  else:
    scale = optax.scale_by_adam(eps=config.epsilon)
  if not config.weight_decay:
    return scale
  return optax.chain(
    scale,
    optax.add_decayed_weights(
      config.weight_decay,
      mask=lambda params: jax.tree_util.tree_map_with_path(
        lambda path, _: _is_kernel(path), params
      ),
    ),
  )


class LearningRates:
  """The learning rates of a run's steps, as NumPy arrays.

  They are computed many at a time, so that asking for some does not wait for
  what the device is at.
  """

  def __init__(self, schedule: optax.Schedule):
    """Takes a function from the step to the learning rate."""
    self._block = functools.lru_cache(maxsize=2)(
      functools.partial(_rates_of_block, schedule)
    )

  def __call__(self, start: int, count: int) -> np.ndarray:
    """Returns float32 [count], of the steps from `start` on."""
    blocks = range(start // _RATES, (start + count - 1) // _RATES + 1)
    rates = np.concatenate([self._block(i) for i in blocks])
    first = start - blocks[0] * _RATES
    return rates[first : first + count]


def _rates_of_block(schedule: optax.Schedule, index: int) -> np.ndarray:
  # Counted so that a block at the end of what 32 bits hold does not overflow.
  steps = np.arange(index * _RATES, (index + 1) * _RATES)
  steps = np.minimum(steps, _MOST_STEPS).astype(np.int32)
  rates = jax.jit(jax.vmap(schedule))(steps)
  return np.broadcast_to(np.asarray(rates, np.float32), steps.shape)


@dataclasses.dataclass(frozen=True)
class Plan:
  """How a run is optimized.

  Attributes:
    steps_per_epoch: whole batches in the positives, at least 1.
    num_steps: of the whole run.
    learning_rates: (first step, count) -> learning rates.
    optimizer: gradients to directions.
  """

  steps_per_epoch: int
  num_steps: int
  learning_rates: LearningRates
  optimizer: optax.GradientTransformation


def plan(config: ml_collections.ConfigDict, num_positives: int) -> Plan:
  """Plans a run.

  Args:
    config: the whole configuration, checked.
    num_positives: cooperations that are trained on.

  Returns:
    The plan.

  Raises:
    UserError: the steps are too many to count.
  """
  steps_per_epoch = max(1, num_positives // config.train.batch_size)
  num_steps = config.train.epochs * steps_per_epoch
  if num_steps > _MOST_STEPS:
    raise errors.UserError(
      f'config.train.epochs={config.train.epochs} of {steps_per_epoch:,} steps'
      f' each: {_MOST_STEPS:,} steps at most'
    )
  schedule = make_schedule(
    config.optimizer, steps_per_epoch=steps_per_epoch, num_steps=num_steps
  )
  return Plan(
    steps_per_epoch=steps_per_epoch,
    num_steps=num_steps,
    learning_rates=LearningRates(schedule),
    optimizer=make_optimizer(config.optimizer),
  )
