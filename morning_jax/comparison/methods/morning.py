"""Trains a recipe of MORNING in memory, and scores a fold's held-out brands.

The step is that of `training.train`, without validation brands; what is missing
are checkpoints, scalars and evaluations in between. One compiled program serves
all folds: what they train on is padded to like sizes, and what differs between
them is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import functools
import json
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.comparison.methods import interface
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import input_spec
from morning_jax.core import random_streams
from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.evaluation import encode as encode_lib
from morning_jax.losses import pairwise
from morning_jax.model import factory
from morning_jax.model import morning
from morning_jax.training import config_check
from morning_jax.training import device_data
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import step as step_lib
from morning_jax.training import step_inputs

_PROGRAMS = 8  # compiled ones in memory, each of another recipe


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
  positives = device_data.padded_positives(
    _padded_size(int(data.num_positives)), 1
  )
  brands = _padded_size(len(data.brand_row_B))
  candidates = _padded_size(len(data.candidate_row_M))
  return dataclasses.replace(
    data,
    lists=dataclasses.replace(
      lists,
      start=_pad(lists.start, brands + 1, int(lists.start[-1])),
      candidate_P=_pad(lists.candidate_P, positives),
      rest_rank_P=_pad(lists.rest_rank_P, positives),
      search_steps=-(-lists.search_steps // 4) * 4,
    ),
    brand_row_B=_pad(data.brand_row_B, brands),
    category_B=_pad(data.category_B, brands, -1),
    candidate_row_M=_pad(data.candidate_row_M, candidates),
    brand_P=_pad(data.brand_P, positives),
    candidate_P=_pad(data.candidate_P, positives),
  )


@dataclasses.dataclass(frozen=True)
class _Program:
  """What is compiled once for a recipe and what takes part in it.

  Attributes:
    model: the module.
    run_steps: of `step.make_run_steps`.
    encode: of `encode.make_encode`.
    init: (key, graph) -> the state before the first step.
  """

  model: morning.Morning
  run_steps: Callable[..., Any]
  encode: Callable[..., Any]
  init: Callable[..., step_lib.TrainState]


@functools.lru_cache(maxsize=1)
def _mesh() -> Mesh:
  """Returns a mesh of one device: folds are the parallelism here."""
  return sharding.make_mesh(data=1, model=1, devices=jax.devices()[:1])


@functools.lru_cache(maxsize=_PROGRAMS)
def _program(config_json: str, spec_json: str) -> _Program:
  """Compiles a recipe.

  Args:
    config_json: the recipe, without its seed.
    spec_json: what takes part.

  Returns:
    The program.
  """
  config = ml_collections.ConfigDict(json.loads(config_json))
  spec = input_spec.InputSpec.from_json(json.loads(spec_json))
  model = factory.build(config.model, spec)
  optimizer = optimizer_lib.make_optimizer(config.optimizer)
  example = factory.example_table(spec)

  @jax.jit
  def init(key: jax.Array, graph: Any) -> step_lib.TrainState:
    boxed = step_lib.initial_state(model, optimizer, example, key, graph)
    state: step_lib.TrainState = nn.unbox(boxed)
    return state

  return _Program(
    model=model,
    run_steps=step_lib.make_run_steps(config, model, optimizer),
    encode=encode_lib.make_encode(model),
    init=init,
  )


def _scores(
  scorer: encode_lib.Scorer, params: Any, task: interface.Task
) -> np.ndarray:
  """Scores a task's held-out brands; rows are padded as in training."""

  def encode(
    rows: accounts_lib.AccountRows, role: str
  ) -> morning.Representations:
    padded = accounts_lib.AccountRows(np.resize(rows, _padded_size(len(rows))))
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
  config_check.check(config)
  recipe = config.copy_and_resolve_references()
  spec, _ = dataset_lib.resolve_inputs(task.dataset, recipe.model)
  recipe.seed = 0  # no part of the program
  program = _program(
    recipe.to_json(sort_keys=True), json.dumps(spec.to_json(), sort_keys=True)
  )
  recipe.seed = task.seed
  fitted = preprocessing.fit(
    spec,
    task.dataset,
    task.train,
    whitening=recipe.model.whitening,
    seed=task.seed,
  )
  graph = preprocessing.graph_of(fitted)
  table = preprocessing.account_table(spec, fitted, task.dataset)
  mesh = _mesh()
  scorer = encode_lib.Scorer(
    program.model,
    table,
    mesh,
    batch_size=recipe.evaluation.batch_size,
    graph=graph,
    encode=program.encode,
  )
  plan = optimizer_lib.plan(recipe, len(task.train.brand_P))
  inputs_of = step_inputs.make_step_inputs(
    recipe,
    plan,
    capacity=_padded_size(plan.num_steps),
  )
  scored = []
  with jax.set_mesh(mesh):
    data = _pad_data(device_data.put_data(task.train, table, mesh, graph=graph))
    key = random_streams.key(task.seed, random_streams.Stream.PARAMETERS)
    state = program.init(key, data.graph)
    step = 0
    for epoch in epochs or (recipe.train.epochs,):
      stop = min(epoch * plan.steps_per_epoch, plan.num_steps)
      state, _ = program.run_steps(state, data, inputs_of(step, stop))
      step = stop
      scored.append(_scores(scorer, state.params, task))
  return scored
