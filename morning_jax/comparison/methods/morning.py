"""Trains a recipe of MORNING in memory, and scores a fold's held-out brands.

The recipe, its batches and its draws are those of `train.train` without
validation brands; what is missing are checkpoints, scalars and evaluations in
between. One compiled program serves all folds: what differs between them (the
positives, their order, the learning rates, the number of steps) is padded and
passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import json
from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.comparison.methods import interface
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.data import fitted as fitted_lib
from morning_jax.data import pipeline
from morning_jax.evaluation import encode as encode_lib
from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.model import factory
from morning_jax.model import morning
from morning_jax.training import device_data
from morning_jax.training import loss_fn
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import sampler
from morning_jax.training import step as step_lib

_PROGRAMS = 8  # kept compiled, each of another recipe


def _padded_size(size: int) -> int:
  """Rounds a size up, so that folds of about the same size share it."""
  step = 1 << max(size.bit_length() - 2, 0)
  return -(-size // step) * step


def _pad(array: Any, size: int, fill: int = 0) -> Any:
  """Appends entries to a vector up to a size."""
  array = np.asarray(array)
  return np.concatenate([array, np.full(size - len(array), fill, array.dtype)])


def _pad_data(data: device_data.TrainingData) -> device_data.TrainingData:
  """Pads what a fold trains on; no step reads what is appended."""
  lists = jax.device_get(data.lists)
  positives = _padded_size(len(data.brand_P))
  brands = _padded_size(len(data.brand_row_B))
  candidates = _padded_size(len(data.candidate_row_M))
  steps = -(-lists.search_steps // 4) * 4
  return dataclasses.replace(
    data,
    lists=negative_sampling.PositiveLists(
      start=_pad(lists.start, brands + 1, int(lists.start[-1])),
      candidate_P=_pad(lists.candidate_P, positives),
      rest_rank_P=_pad(lists.rest_rank_P, positives),
      num_candidates=0,  # passed in, see `_plan`
      search_steps=steps,
    ),
    brand_row_B=_pad(data.brand_row_B, brands),
    category_B=_pad(data.category_B, brands, -1),
    candidate_row_M=_pad(data.candidate_row_M, candidates),
    brand_P=_pad(data.brand_P, positives),
    candidate_P=_pad(data.candidate_P, positives),
  )


@dataclasses.dataclass(frozen=True)
class _Program:
  """What is compiled once for a recipe and the features it takes.

  Attributes:
    config: the recipe.
    model: the module.
    train: (state, data, plan) -> the state at the plan's stop.
    encode: of `encode.make_encode`.
    init: (key, graph) -> the state before the first step.
  """

  config: ml_collections.ConfigDict
  model: morning.Morning
  train: Callable[..., step_lib.TrainState]
  encode: Callable[..., Any]
  init: Callable[[jax.Array, Any], step_lib.TrainState]


@functools.lru_cache(maxsize=1)
def _mesh() -> Mesh:
  """Returns a mesh of one device: folds are the parallelism here."""
  return sharding.make_mesh(data=1, model=1, devices=jax.devices()[:1])


@functools.lru_cache(maxsize=_PROGRAMS)
def _program(config_json: str, sizes: tuple[tuple[str, int], ...]) -> _Program:
  """Compiles a recipe.

  Args:
    config_json: the recipe, without its seed.
    sizes: the features that the data has.

  Returns:
    The program.
  """
  config = ml_collections.ConfigDict(json.loads(config_json))
  available = dict(sizes)
  perspectives, _ = factory.choose_perspectives(config.model, available)
  model = factory.build(config.model, perspectives, available)
  loss = loss_fn.of_positives(config, loss_fn.make_loss(config))
  batch_size = config.train.batch_size

  @functools.partial(jax.jit, donate_argnums=0)
  def train(
    state: step_lib.TrainState,
    data: device_data.TrainingData,
    plan: Mapping[str, Any],
  ) -> step_lib.TrainState:
    optimizer = optimizer_lib.make_optimizer(
      config.optimizer, lambda step: plan['learning_rate_S'][step]
    )
    fold = dataclasses.replace(
      data,
      lists=dataclasses.replace(
        data.lists, num_candidates=plan['num_candidates']
      ),
    )
    order_ExP, steps_per_epoch = plan['order_ExP'], plan['steps_per_epoch']

    def one_step(
      _: jax.Array, state: step_lib.TrainState
    ) -> step_lib.TrainState:
      place = (state.step % steps_per_epoch) * batch_size
      places = (place + jnp.arange(batch_size)) % plan['num_positives']
      positives = order_ExP[state.step // steps_per_epoch, places]
      key = jax.random.fold_in(plan['step_key'], state.step)

      def of_batch(params: Any) -> pairwise.Parts:
        return loss(model, params, fold, positives, key)

      return step_lib.update(of_batch, optimizer, state)[0]

    trained: step_lib.TrainState = jax.lax.fori_loop(
      state.step, plan['stop'], one_step, state
    )
    return trained

  # The learning rate takes no part in the initial state.
  any_rate = optimizer_lib.make_optimizer(config.optimizer, lambda step: 0.0)
  example = factory.example_table(perspectives, available)

  @jax.jit
  def init(key: jax.Array, graph: Any) -> step_lib.TrainState:
    boxed = step_lib.initial_state(model, any_rate, example, key, graph)
    state: step_lib.TrainState = nn.unbox(boxed)
    return state

  return _Program(
    config=config,
    model=model,
    train=train,
    encode=encode_lib.make_encode(model),
    init=init,
  )


@functools.partial(jax.jit, static_argnames=('config', 'num_positives'))
def _orders(
  config: ml_collections.FrozenConfigDict,
  key: jax.Array,
  epoch_E: jax.Array,
  *,
  num_positives: int,
) -> jax.Array:
  """Returns the order of the positives in each epoch, [E, P]."""
  return jax.vmap(
    lambda epoch: sampler.order_of_epoch(config, key, epoch, num_positives)
  )(epoch_E)


def _scores(
  scorer: encode_lib.Scorer, params: Any, task: interface.Task
) -> np.ndarray:
  """Scores a task's held-out brands; rows are padded as in training."""

  def encode(rows: np.ndarray, role: str) -> morning.Representations:
    padded = np.resize(rows, _padded_size(len(rows)))
    return scorer.encode(params, padded, role=role)

  brand_row_B, candidate_row_M = (
    task.test.brand_row_B,
    task.test.candidate_row_M,
  )
  total = pairwise.join(
    morning.scores_of_all(
      encode(brand_row_B, 'brand'), encode(candidate_row_M, 'influencer')
    )
  )
  return np.asarray(total)[: len(brand_row_B), : len(candidate_row_M)]


def _lay_out(
  config: ml_collections.ConfigDict, num_positives: int, num_candidates: int
) -> tuple[dict[str, Any], optimizer_lib.Plan]:
  """Lays out a whole run: orders, learning rates, keys.

  Returns:
    What the program reads, and the plan of the steps.
  """
  plan = optimizer_lib.plan(config, num_positives)
  order_key, step_key = sampler.seed_keys(config)
  orders = _orders(
    ml_collections.FrozenConfigDict({'train': config.train.to_dict()}),
    order_key,
    jnp.arange(config.train.epochs),
    num_positives=num_positives,
  )
  extra = _padded_size(num_positives) - num_positives
  step_S = jnp.arange(_padded_size(plan.num_steps))
  return (
    {
      'order_ExP': np.pad(np.asarray(orders), ((0, 0), (0, extra))),
      'learning_rate_S': jnp.broadcast_to(
        jnp.asarray(jax.vmap(plan.schedule)(step_S), jnp.float32), step_S.shape
      ),
      'step_key': step_key,
      'steps_per_epoch': np.int32(plan.steps_per_epoch),
      'num_positives': np.int32(num_positives),
      'num_candidates': np.int32(num_candidates),
    },
    plan,
  )


def train_and_score(
  config: ml_collections.ConfigDict,
  task: interface.Task,
  *,
  epochs: Sequence[int] = (),
) -> list[np.ndarray]:
  """Trains on a task's training brands and scores its held-out ones.

  Args:
    config: the recipe; its seed is the task's.
    task: what to train on and what to score.
    epochs: after which epochs to score, ascending; empty for the last one.

  Returns:
    float32 [B, M] scores after each of the epochs.

  Raises:
    UserError: the recipe can't be used with the data.
  """
  recipe = config.copy_and_resolve_references()
  recipe.seed = 0  # no part of the program
  available = pipeline.available(task.dataset)
  program = _program(
    recipe.to_json(sort_keys=True), tuple(sorted(available.items()))
  )
  recipe.seed = task.seed
  perspectives, _ = factory.choose_perspectives(recipe.model, available)
  features = factory.feature_sizes(perspectives, available)
  kinds = factory.transform_kinds(recipe.model, perspectives)
  fitted = fitted_lib.fit_inputs(
    recipe, task.dataset, task.train, kinds, features
  )
  graph = fitted_lib.graph_of(fitted)
  names: list[str] = []
  if accounts_lib.ATTRIBUTE_LIST in features:
    assert task.dataset.attributes is not None
    names = task.dataset.attributes.names_V.tolist()
  table = pipeline.account_table(
    task.dataset, kinds, fitted, attribute_names=names
  )
  scorer = encode_lib.Scorer(
    program.model,
    table,
    _mesh(),
    batch_size=recipe.evaluation.batch_size,
    graph=graph,
    encode=program.encode,
  )
  inputs, plan = _lay_out(
    recipe, len(task.train.brand_P), len(task.train.candidate_row_M)
  )
  scored = []
  with jax.set_mesh(_mesh()):
    data = _pad_data(
      device_data.put_data(task.train, table, _mesh(), graph=graph)
    )
    key = jax.random.fold_in(jax.random.key(task.seed), 0)
    state = program.init(key, data.graph)
    for epoch in epochs or (recipe.train.epochs,):
      stop = min(epoch * plan.steps_per_epoch, plan.num_steps)
      state = program.train(state, data, {**inputs, 'stop': np.int32(stop)})
      scored.append(_scores(scorer, state.params, task))
  return scored
