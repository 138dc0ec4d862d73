"""Steps of training, many in one dispatch, as a pure function of the state.

Randomness is `fold_in(seed key, step)` and the order of an epoch is
`fold_in(seed key, epoch)`, so that a run that was stopped and resumed takes
exactly the steps of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import flax.linen as nn
import flax.struct
import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections
import numpy as np
import optax

from morning_jax import accounts as accounts_lib
from morning_jax import errors
from morning_jax import losses
from morning_jax import negatives
from morning_jax import ring
from morning_jax import ring_sums
from morning_jax import sharding
from morning_jax import step_indices
from morning_jax.data import splits
from morning_jax.model import morning

# Weights of the mean scores in the released program's extra term.
_SCORE_WEIGHTS = {'content': 0.01, 'audience': 0.02, 'attribute': 0.01}


@flax.struct.dataclass
class TrainState:
  """All that a step changes."""

  step: jax.Array
  params: Any
  opt_state: optax.OptState


@flax.struct.dataclass
class TrainingData:
  """All that a step reads, on device.

  Attributes:
    table: features of all accounts, rows sharded over `data`; None where the
      host brings each batch's.
    lists: the positives of each brand.
    brand_row_B: account row of each training brand.
    candidate_row_M: account row of each training influencer.
    brand_P: brand of each positive.
    candidate_P: influencer of each positive.
    category_B: category of each training brand; -1 where unknown.
    graph: the attribute graph, where the model takes it.
  """

  table: accounts_lib.AccountTable | None
  lists: negatives.PositiveLists
  brand_row_B: jax.Array
  candidate_row_M: jax.Array
  brand_P: jax.Array
  candidate_P: jax.Array
  category_B: jax.Array
  graph: Any = None


def put_data(
  split: splits.Split,
  table: accounts_lib.Rows,
  mesh: Mesh,
  *,
  graph: Any = None,
) -> TrainingData:
  """Puts a training split and its accounts on the mesh.

  Args:
    split: what is trained on.
    table: features of all accounts; put on device if it is an AccountTable.
    mesh: the mesh.
    graph: the attribute graph, where the model takes it.

  Returns:
    The data on device.
  """
  replicated = sharding.replicated(mesh)
  lists = negatives.make_positive_lists(
    split.brand_P,
    split.candidate_P,
    num_brands=len(split.brand_row_B),
    num_candidates=len(split.candidate_row_M),
  )

  def put(x: np.ndarray) -> jax.Array:
    return sharding.put(x.astype(np.int32), replicated)

  return TrainingData(
    table=sharding.put_rows(table, mesh)
    if isinstance(table, accounts_lib.AccountTable)
    else None,
    lists=jax.tree.map(put, lists),
    brand_row_B=put(split.brand_row_B),
    candidate_row_M=put(split.candidate_row_M),
    brand_P=put(split.brand_P),
    candidate_P=put(split.candidate_P),
    category_B=put(split.category_B),
    graph=sharding.put_large(graph, mesh),
  )


def gather(
  config: ml_collections.ConfigDict,
  data: TrainingData,
  positive_P: jax.Array,
  negative_key: jax.Array,
) -> accounts_lib.Batch:
  """Gathers a batch's accounts from the table on device.

  Args:
    config: the whole configuration.
    data: what lies on device.
    positive_P: the positives of the batch.
    negative_key: what negatives are drawn with.

  Returns:
    The batch.
  """
  indices = step_indices.of_positives(
    config,
    data.lists,
    data.brand_P[positive_P],
    data.candidate_P[positive_P],
    negative_key,
  )
  assert data.table is not None
  return accounts_lib.Batch(
    brand_P=indices.brand_P,
    candidate_P=indices.candidate_P,
    brands=_shard(data.table[data.brand_row_B[indices.brand_P]]),
    influencers=_shard(data.table[data.candidate_row_M[indices.influencers]]),
  )


def _shard(rows: accounts_lib.AccountTable) -> accounts_lib.AccountTable:
  return jax.tree.map(sharding.shard_rows, rows)


def make_loss(
  config: ml_collections.ConfigDict, *, ring_unroll: int = 1
) -> Callable[..., losses.Parts]:
  """Makes the loss of positives whose accounts lie on device.

  Args:
    config: the whole configuration.
    ring_unroll: blocks of scores in one loop body, where devices form a ring.

  Returns:
    A function of (model, params, data, positives of the batch, key) that
    returns the loss parts.

  Raises:
    UserError: the loss is unknown, or a number is out of range.
  """
  of_batch = make_batch_loss(config, ring_unroll=ring_unroll)

  def of_positives(
    model: morning.Morning,
    params: Any,
    data: TrainingData,
    positive_P: jax.Array,
    key: jax.Array,
  ) -> losses.Parts:
    negative_key, dropout_key = step_indices.step_keys(key)
    batch = gather(config, data, positive_P, negative_key)
    return of_batch(model, params, data, batch, dropout_key)

  return of_positives


def make_batch_loss(
  config: ml_collections.ConfigDict, *, ring_unroll: int = 1
) -> Callable[..., losses.Parts]:
  """Makes the loss of a batch from the `loss` and `train` configuration.

  Args:
    config: the whole configuration.
    ring_unroll: blocks of scores in one loop body, where devices form a ring.

  Returns:
    A function of (model, params, data, batch, dropout key) that returns the
    loss parts.

  Raises:
    UserError: the loss is unknown, or a number is out of range.
  """
  loss = config.loss
  margins = loss.margins.to_dict()
  if loss.variant not in ('paper', 'release'):
    raise errors.UserError(
      f'config.loss.variant={loss.variant!r} is neither paper nor release'
    )
  if loss.kind not in ('triplet', 'all_pairs'):
    raise errors.UserError(
      f'config.loss.kind={loss.kind!r} is neither triplet nor all_pairs'
    )
  if loss.sharding not in ('ring', 'none'):
    raise errors.UserError(
      f'config.loss.sharding={loss.sharding!r} is neither ring nor none'
    )
  if loss.dtype not in ('float32', 'bfloat16'):
    raise errors.UserError(
      f'config.loss.dtype={loss.dtype!r} is neither float32 nor bfloat16'
    )
  if config.train.negatives < 1:
    raise errors.UserError('config.train.negatives must be at least 1')
  if loss.category_weight < 0:
    raise errors.UserError('config.loss.category_weight must not be below 0')
  if loss.temperature <= 0:
    raise errors.UserError('config.loss.temperature must be above 0')

  def of_batch(
    model: morning.Morning,
    params: Any,
    data: TrainingData,
    batch: accounts_lib.Batch,
    dropout_key: jax.Array,
  ) -> losses.Parts:
    brand_P, candidate_P = batch.brand_P, batch.candidate_P
    brand, influencer = model.apply(
      {'params': params},
      batch.brands,
      batch.influencers,
      graph=data.graph,
      train=True,
      rngs={'dropout': dropout_key},
    )
    if loss.kind == 'triplet':
      count = len(brand_P)
      parts = losses.triplet(
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
    elif loss.sharding == 'ring' and (
      axes := ring.choose_axes(jax.sharding.get_abstract_mesh(), len(brand_P))
    ):
      parts = ring.all_pairs_sharded(
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
        unroll=ring_unroll,
      )
    else:
      dtype = jnp.dtype(loss.dtype)
      parts = losses.all_pairs(
        {
          k: ring_sums.product(brand[k], influencer[k], dtype=dtype)
          for k in brand
        },
        negatives.is_positive(
          data.lists, brand_P[:, None], candidate_P[None, :]
        ),
        margins=margins,
        hinge_weight=loss.hinge_weight,
        temperature=loss.temperature,
        category_B=data.category_B[brand_P],
        category_weight=loss.category_weight,
      )
    if loss.l1:
      parts['l1'] = loss.l1 * losses.l1_norm(params)
    if loss.l2:
      parts['l2'] = loss.l2 * losses.l2_penalty(params)
    return parts

  return of_batch


def update(
  loss: Callable[[Any], losses.Parts],
  optimizer: optax.GradientTransformation,
  state: TrainState,
) -> tuple[TrainState, losses.Parts]:
  """Takes one step down the gradient of a loss of the parameters.

  Args:
    loss: parameters -> loss parts.
    optimizer: turns gradients into updates.
    state: the state before.

  Returns:
    The state after, and scalars: the loss parts, `loss`, `gradient_norm`.
  """

  def scalar(params: Any) -> tuple[jax.Array, losses.Parts]:
    parts = loss(params)
    return losses.total(parts), parts

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
) -> Callable[..., tuple[TrainState, losses.Parts]]:
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
  of_batch = make_batch_loss(config)
  order_key, step_key = step_indices.seed_keys(config)

  @functools.partial(
    jax.jit,
    static_argnames='length',
    donate_argnums=0,
    out_shardings=(state_shardings, sharding.replicated(mesh)),
  )
  def run_steps(
    state: TrainState,
    data: TrainingData,
    batches: accounts_lib.Batch | None = None,
    *,
    length: int,
  ) -> tuple[TrainState, losses.Parts]:
    num_positives = len(data.brand_P)
    first_epoch = state.step // steps_per_epoch
    epochs = first_epoch + jnp.arange(-(-length // steps_per_epoch) + 1)
    if batches is None:
      order_ExP = jax.vmap(
        lambda epoch: step_indices.order_of_epoch(
          config, order_key, epoch, num_positives
        )
      )(epochs)

    def one_step(
      state: TrainState, batch: accounts_lib.Batch | None
    ) -> tuple[TrainState, losses.Parts]:
      if batch is None:
        places = step_indices.places_of_step(
          config,
          state.step,
          steps_per_epoch=steps_per_epoch,
          num_positives=num_positives,
        )
        epoch = state.step // steps_per_epoch - first_epoch
        positives = order_ExP[epoch, places]
      key = jax.random.fold_in(step_key, state.step)
      negative_key, dropout_key = step_indices.step_keys(key)
      if batch is None:
        batch = gather(config, data, positives, negative_key)
      else:
        batch = dataclasses.replace(
          batch,
          brands=_shard(batch.brands),
          influencers=_shard(batch.influencers),
        )
      return update(
        lambda params: of_batch(model, params, data, batch, dropout_key),
        optimizer,
        state,
      )

    return jax.lax.scan(one_step, state, batches, length=length)

  return run_steps


def make_init(
  model: morning.Morning,
  optimizer: optax.GradientTransformation,
  example: accounts_lib.AccountTable,
  mesh: Mesh,
  *,
  graph: Any = None,
  fsdp: bool = False,
) -> tuple[Callable[[jax.Array], TrainState], TrainState]:
  """Prepares a state that is born sharded.

  Args:
    model: the model.
    optimizer: the optimizer.
    example: a table from whose shapes the model is initialised.
    mesh: the mesh.
    graph: the attribute graph, where the model takes it.
    fsdp: whether weight matrices shard over `data` too.

  Returns:
    A jitted function from a key to the initial state, and the state's
    ShapeDtypeStructs with their shardings.
  """

  def boxed(key: jax.Array) -> TrainState:
    params = model.init(key, example, example, graph=graph)['params']
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=optimizer.init(params),
    )

  shapes = jax.eval_shape(boxed, jax.random.key(0))
  shardings = sharding.state_shardings(shapes, mesh, fsdp=fsdp)
  abstract = jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    nn.unbox(shapes),
    shardings,
  )
  init = jax.jit(lambda key: nn.unbox(boxed(key)), out_shardings=shardings)
  return init, abstract
