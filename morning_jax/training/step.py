"""Steps of training, many in one dispatch, as a pure function of the state.

Randomness is `fold_in(seed key, step)` and the order of an epoch is
`fold_in(seed key, epoch)`, so that a run that was stopped and resumed takes
exactly the steps of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import flax.struct
import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections
import optax

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.losses import pairwise
from morning_jax.model import morning
from morning_jax.training import device_data
from morning_jax.training import loss_fn
from morning_jax.training import sampler


@flax.struct.dataclass
class TrainState:
  """All that a step changes."""

  step: jax.Array
  params: Any
  opt_state: optax.OptState


def update(
  loss: Callable[[Any], pairwise.Parts],
  optimizer: optax.GradientTransformation,
  state: TrainState,
) -> tuple[TrainState, pairwise.Parts]:
  """Takes one step down the gradient of a loss of the parameters.

  Args:
    loss: parameters -> loss parts.
    optimizer: turns gradients into updates.
    state: the state before.

  Returns:
    The state after, and scalars: the loss parts, `loss`, `gradient_norm`.
  """

  def scalar(params: Any) -> tuple[jax.Array, pairwise.Parts]:
    parts = loss(params)
    return pairwise.total(parts), parts

  (value, parts), grads = jax.value_and_grad(scalar, has_aux=True)(state.params)
  updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
  new_state = TrainState(
    step=state.step + 1,
    params=optax.apply_updates(state.params, updates),
    opt_state=opt_state,
  )
  return new_state, {
    **parts,
    'loss': value,
    'gradient_norm': optax.tree.norm(grads),
  }


def make_run_steps(
  config: ml_collections.ConfigDict,
  model: morning.Morning,
  optimizer: optax.GradientTransformation,
  *,
  steps_per_epoch: int,
  state_shardings: TrainState,
  mesh: Mesh,
) -> Callable[..., tuple[TrainState, pairwise.Parts]]:
  """Compiles several steps into one dispatch.

  Args:
    config: the whole configuration.
    model: the model.
    optimizer: turns gradients into updates.
    steps_per_epoch: steps of one epoch.
    state_shardings: how the state lies on the mesh.
    mesh: the mesh.

  Returns:
    A jitted function of (state, data, batches, length=S) that donates the state
    and returns the state S steps on, and scalars of each step, [S]. `batches`
    are the S batches that start at the state's step, or None to gather them
    from `data.table`. Call it under `jax.set_mesh`.
  """
  of_batch = loss_fn.make_loss(config)
  order_key, step_key = sampler.seed_keys(config)

  @functools.partial(
    jax.jit,
    static_argnames='length',
    donate_argnums=0,
    out_shardings=(state_shardings, sharding.replicated(mesh)),
  )
  def run_steps(
    state: TrainState,
    data: device_data.TrainingData,
    batches: accounts_lib.Batch | None = None,
    *,
    length: int,
  ) -> tuple[TrainState, pairwise.Parts]:
    num_positives = len(data.brand_P)
    first_epoch = state.step // steps_per_epoch
    epochs = first_epoch + jnp.arange(-(-length // steps_per_epoch) + 1)
    if batches is None:
      order_ExP = jax.vmap(
        lambda epoch: sampler.order_of_epoch(
          config, order_key, epoch, num_positives
        )
      )(epochs)

    def one_step(
      state: TrainState, batch: accounts_lib.Batch | None
    ) -> tuple[TrainState, pairwise.Parts]:
      if batch is None:
        places = sampler.places_of_step(
          config,
          state.step,
          steps_per_epoch=steps_per_epoch,
          num_positives=num_positives,
        )
        epoch = state.step // steps_per_epoch - first_epoch
        positives = order_ExP[epoch, places]
      key = jax.random.fold_in(step_key, state.step)
      negative_key, dropout_key = sampler.step_keys(key)
      if batch is None:
        batch = device_data.gather(config, data, positives, negative_key)
      return update(
        lambda params: of_batch(model, params, data, batch, dropout_key),
        optimizer,
        state,
      )

    return jax.lax.scan(one_step, state, batches, length=length)

  return run_steps


def initial_state(
  model: morning.Morning,
  optimizer: optax.GradientTransformation,
  example: accounts_lib.AccountTable,
  key: jax.Array,
  graph: Any = None,
) -> TrainState:
  """Draws the state before the first step.

  Args:
    model: the model.
    optimizer: the optimizer.
    example: a table from whose shapes the model is initialised.
    key: what parameters are drawn with.
    graph: the attribute graph, where the model takes it.

  Returns:
    The state; its leaves carry Linen's partitioning metadata.
  """
  params = model.init(key, example, example, graph=graph)['params']
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    opt_state=optimizer.init(params),
  )


def make_init(
  model: morning.Morning,
  optimizer: optax.GradientTransformation,
  example: accounts_lib.AccountTable,
  mesh: Mesh,
  *,
  graph: Any = None,
  fsdp: bool = False,
) -> tuple[Callable[..., TrainState], TrainState]:
  """Prepares a state that is born sharded.

  Args:
    model: the model.
    optimizer: the optimizer.
    example: a table from whose shapes the model is initialised.
    mesh: the mesh.
    graph: the attribute graph, where the model takes it; shapes are enough.
    fsdp: whether weight matrices shard over `data` too.

  Returns:
    A jitted function from a key, and the graph if there is one, to the initial
    state, and the state's ShapeDtypeStructs with their shardings.
  """
  boxed = functools.partial(initial_state, model, optimizer, example)
  shapes = jax.eval_shape(boxed, jax.random.key(0), graph)
  shardings = sharding.state_shardings(shapes, mesh, fsdp=fsdp)
  abstract = jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    nn.unbox(shapes),
    shardings,
  )
  init = jax.jit(
    lambda key, graph=None: nn.unbox(boxed(key, graph)), out_shardings=shardings
  )
  return init, abstract
