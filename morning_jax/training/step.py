"""Steps of training, many in one dispatch, as a pure function of the state.

What a step draws is `fold_in(a stream of the seed, step)` and the order of an
epoch `fold_in(a stream of the seed, epoch)`, so that a run that was stopped and
resumed takes exactly the steps of one that was not.
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
from morning_jax.core.accounts import Array
from morning_jax.losses import pairwise
from morning_jax.model import morning
from morning_jax.training import device_data
from morning_jax.training import loss_fn
from morning_jax.training import sampler
from morning_jax.training import step_inputs


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
  *,
  learning_rate: Array,
) -> tuple[TrainState, pairwise.Parts]:
  """Takes one step down the gradient of a loss of the parameters.

  Args:
    loss: parameters -> loss parts.
    optimizer: turns gradients into directions (`optimizer.make_optimizer`).
    state: the state before.
    learning_rate: how far the step goes.

  Returns:
    The state after, and scalars: the loss parts, `loss`, `gradient_norm`.
  """

  def scalar(params: Any) -> tuple[jax.Array, pairwise.Parts]:
    parts = loss(params)
    return pairwise.total(parts), parts

  (value, parts), grads = jax.value_and_grad(scalar, has_aux=True)(state.params)
  directions, opt_state = optimizer.update(grads, state.opt_state, state.params)
  updates = jax.tree.map(lambda x: -learning_rate * x, directions)
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
  state_shardings: Any = None,
) -> Callable[..., tuple[TrainState, pairwise.Parts]]:
  """Compiles several steps into one dispatch.

  Sizes, counts and learning rates are arguments, so that one program runs
  dispatches of any number of steps, and folds of about the same size.

  Args:
    config: the whole configuration, checked.
    model: the model.
    optimizer: turns gradients into directions.
    state_shardings: how the state lies on the mesh; None leaves it to the
      compiler.

  Returns:
    A jitted function of (state, data, inputs, batches) that donates the state
    and returns the state `inputs.count` steps on, and scalars of each step,
    [S], zero behind the last one taken. `batches` are the batches of the steps
    that start at the state's, or None to gather them from `data.table`. Call
    it under `jax.set_mesh`.
  """
  of_batch = loss_fn.make_loss(config)

  def run_steps(
    state: TrainState,
    data: device_data.TrainingData,
    inputs: step_inputs.StepInputs,
    batches: accounts_lib.Batch | None = None,
  ) -> tuple[TrainState, pairwise.Parts]:
    keys = inputs.keys

    def batch_of(i: Array, step: jax.Array) -> accounts_lib.Batch:
      if batches is not None:
        batch: accounts_lib.Batch = jax.tree.map(lambda x: x[i], batches)
        return batch
      positive_P = sampler.positives_of_step(
        config,
        keys,
        step,
        steps_per_epoch=inputs.steps_per_epoch,
        num_positives=data.num_positives,
      )
      return device_data.gather(
        config,
        data,
        positive_P,
        jax.random.fold_in(keys.negatives, step),
      )

    def loss(i: Array, step: jax.Array, params: Any) -> pairwise.Parts:
      dropout_key = jax.random.fold_in(keys.dropout, step)
      return of_batch(model, params, data, batch_of(i, step), dropout_key)

    def one_step(
      i: jax.Array, carry: tuple[TrainState, pairwise.Parts]
    ) -> tuple[TrainState, pairwise.Parts]:
      state, scalars = carry
      state, values = update(
        functools.partial(loss, i, state.step),
        optimizer,
        state,
        learning_rate=inputs.learning_rate_S[i],
      )
      return state, {k: v.at[i].set(values[k]) for k, v in scalars.items()}

    parts = jax.eval_shape(loss, 0, state.step, state.params)
    zero_S = jnp.zeros(inputs.learning_rate_S.shape, jnp.float32)
    scalars = dict.fromkeys((*parts, 'loss', 'gradient_norm'), zero_S)
    return jax.lax.fori_loop(0, inputs.count, one_step, (state, scalars))

  if state_shardings is None:
    return jax.jit(run_steps, donate_argnums=0)
  mesh = state_shardings.step.mesh
  return jax.jit(
    run_steps,
    donate_argnums=0,
    out_shardings=(state_shardings, sharding.replicated(mesh)),
  )


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
