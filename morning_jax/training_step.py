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
import numpy as np
import optax

from morning_jax import accounts as accounts_lib
from morning_jax import errors
from morning_jax import losses
from morning_jax import negatives
from morning_jax import ring
from morning_jax import ring_sums
from morning_jax import sharding
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
    table: features of all accounts, rows sharded over `data`.
    lists: the positives of each brand.
    brand_row_B: account row of each training brand.
    candidate_row_M: account row of each training influencer.
    brand_P: brand of each positive.
    candidate_P: influencer of each positive.
    graph: the attribute graph, where the model takes it.
  """

  table: accounts_lib.AccountTable
  lists: negatives.PositiveLists
  brand_row_B: jax.Array
  candidate_row_M: jax.Array
  brand_P: jax.Array
  candidate_P: jax.Array
  graph: Any = None


def put_data(
  split: splits.Split,
  table: accounts_lib.AccountTable,
  mesh: Mesh,
  *,
  graph: Any = None,
) -> TrainingData:
  """Puts a training split and its accounts on the mesh.

  Args:
    split: what is trained on.
    table: features of all accounts, on the host.
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
    table=sharding.put_rows(table, mesh),
    lists=jax.tree.map(put, lists),
    brand_row_B=put(split.brand_row_B),
    candidate_row_M=put(split.candidate_row_M),
    brand_P=put(split.brand_P),
    candidate_P=put(split.candidate_P),
    graph=sharding.put_large(graph, mesh),
  )


def make_loss(
  config: ml_collections.ConfigDict, *, ring_unroll: int = 1
) -> Callable[..., losses.Parts]:
  """Makes the loss of a batch from the `loss` and `train` configuration.

  Args:
    config: the whole configuration.
    ring_unroll: blocks of scores in one loop body, where devices form a ring.

  Returns:
    A function of (model, params, data, positives of the batch, key) that
    returns the loss parts.

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
  if loss.temperature <= 0:
    raise errors.UserError('config.loss.temperature must be above 0')

  def of_batch(
    model: morning.Morning,
    params: Any,
    data: TrainingData,
    positive_P: jax.Array,
    key: jax.Array,
  ) -> losses.Parts:
    negative_key, dropout_key = jax.random.split(key)
    brand_P = data.brand_P[positive_P]
    candidate_P = data.candidate_P[positive_P]
    influencers = candidate_P
    if loss.kind == 'triplet':
      negative_PxN = negatives.draw(
        negative_key, data.lists, brand_P, count=config.train.negatives
      )
      influencers = jnp.concatenate([candidate_P, negative_PxN.ravel()])

    def gather(rows: jax.Array) -> accounts_lib.AccountTable:
      return jax.tree.map(sharding.shard_rows, data.table[rows])

    brand, influencer = model.apply(
      {'params': params},
      gather(data.brand_row_B[brand_P]),
      gather(data.candidate_row_M[influencers]),
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
      axes := ring.choose_axes(
        jax.sharding.get_abstract_mesh(), len(positive_P)
      )
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


def split_seed(seed: int) -> tuple[jax.Array, jax.Array]:
  """Returns the keys of the epochs' orders and of the steps' draws."""
  order_key, step_key = jax.random.split(jax.random.key(seed))
  return order_key, step_key


def order_of_epoch(
  key: jax.Array, epoch: jax.Array, *, num_positives: int, shuffle: bool
) -> jax.Array:
  """Returns the order in which an epoch takes the positives, [P]."""
  if not shuffle:
    return jnp.arange(num_positives)
  return jax.random.permutation(jax.random.fold_in(key, epoch), num_positives)


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
    A jitted function of (state, data, length=S) that donates the state and
    returns the state S steps on, and scalars of each step, [S]. Call it under
    `jax.set_mesh`.
  """
  loss = make_loss(config)
  order_key, step_key = split_seed(config.seed)
  batch_size = config.train.batch_size

  @functools.partial(
    jax.jit,
    static_argnames='length',
    donate_argnums=0,
    out_shardings=(state_shardings, sharding.replicated(mesh)),
  )
  def run_steps(
    state: TrainState, data: TrainingData, *, length: int
  ) -> tuple[TrainState, losses.Parts]:
    num_positives = len(data.brand_P)
    first_epoch = state.step // steps_per_epoch
    epochs = first_epoch + jnp.arange(-(-length // steps_per_epoch) + 1)

    order_of = functools.partial(
      order_of_epoch,
      order_key,
      num_positives=num_positives,
      shuffle=config.train.shuffle,
    )
    order_ExP = jax.vmap(order_of)(epochs)

    def one_step(state: TrainState, _: None) -> tuple[TrainState, losses.Parts]:
      place = (state.step % steps_per_epoch) * batch_size
      places = (place + jnp.arange(batch_size)) % num_positives
      positives = order_ExP[state.step // steps_per_epoch - first_epoch, places]
      key = jax.random.fold_in(step_key, state.step)
      return update(
        lambda params: loss(model, params, data, positives, key),
        optimizer,
        state,
      )

    return jax.lax.scan(one_step, state, None, length=length)

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
