"""Optimizers and learning rate schedules; optax lives only here."""

from __future__ import annotations

import dataclasses

import jax
from jax import numpy as jnp
import ml_collections
import optax

from morning_jax.core import errors

_MOST_STEPS = 2**31 - 1  # 32 bits on device


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
    config: the `optimizer` part of the configuration.
    steps_per_epoch: steps of one epoch.
    num_steps: steps of the whole run.

  Returns:
    step -> learning rate.

  Raises:
    UserError: the schedule is unknown.
  """
  if config.schedule == 'constant':
    return optax.constant_schedule(config.learning_rate)
  if config.schedule == 'exponential':
    every = config.decay_steps or steps_per_epoch
    return optax.exponential_decay(
      config.learning_rate, every, config.decay_rate, staircase=True
    )
  if config.schedule == 'cosine':
    warmup = round(config.warmup * num_steps)
    return optax.warmup_cosine_decay_schedule(
      init_value=0.0 if warmup else config.learning_rate,
      peak_value=config.learning_rate,
      warmup_steps=warmup,
      decay_steps=max(num_steps, warmup + 1),
    )
  raise errors.UserError(
    f'config.optimizer.schedule={config.schedule!r} is none of constant,'
    ' exponential, cosine'
  )


def make_optimizer(
  config: ml_collections.ConfigDict, schedule: optax.Schedule
) -> optax.GradientTransformation:
  """Builds the optimizer.

  Args:
    config: the `optimizer` part of the configuration.
    schedule: the learning rate.

  Returns:
    The transformation of gradients to updates. Weight decay is decoupled and
    touches weight matrices alone.

  Raises:
    UserError: the optimizer is unknown.
  """
  if config.name == 'adam':
    scale = optax.scale_by_adam(eps=config.epsilon)
  elif config.name == 'adam_tf1':
    scale = _scale_by_adam_tf1(config.epsilon)
  else:
    raise errors.UserError(
      f'config.optimizer.name={config.name!r} is none of adam, adam_tf1'
    )
  steps = [scale]
  if config.weight_decay:
    steps.append(
      optax.add_decayed_weights(
        config.weight_decay,
        mask=lambda params: jax.tree_util.tree_map_with_path(
          lambda path, _: _is_kernel(path), params
        ),
      )
    )
  return optax.chain(*steps, optax.scale_by_learning_rate(schedule))


@dataclasses.dataclass(frozen=True)
class Plan:
  """How a run is optimized.

  Attributes:
    steps_per_epoch: whole batches in the positives, at least 1.
    num_steps: of the whole run.
    schedule: step -> learning rate.
    optimizer: gradients to updates.
  """

  steps_per_epoch: int
  num_steps: int
  schedule: optax.Schedule
  optimizer: optax.GradientTransformation


def plan(config: ml_collections.ConfigDict, num_positives: int) -> Plan:
  """Plans a run.

  Args:
    config: the whole configuration.
    num_positives: cooperations that are trained on.

  Returns:
    The plan.

  Raises:
    UserError: the optimizer or its schedule is unknown, or the steps are too
      many to count.
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
    schedule=schedule,
    optimizer=make_optimizer(config.optimizer, schedule),
  )
