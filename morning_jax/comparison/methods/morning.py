"""Trains a recipe of MORNING in memory, and scores a fold's held-out brands.

The step is that of `training.train`, without validation brands; what is missing
are checkpoints, scalars and evaluations in between. One compiled program serves
all folds: what they train on is padded to like sizes, and what differs between
them is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import Any

import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.comparison.methods import interface
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import random_streams
from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.evaluation import encode as encode_lib
from morning_jax.losses import pairwise
from morning_jax.model import morning
from morning_jax.training import config_check
from morning_jax.training import device_data
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import programs as programs_lib
from morning_jax.training import step_inputs

_PROGRAMS = programs_lib.Kept(8)  # of several recipes


def _padded_size(size: int) -> int:
  """Rounds rows up, so that folds share a program.

  By a quarter at most, where `device_data.padded_size` may double: every one
  of these rows is computed.
  """
  step = 1 << max(size.bit_length() - 2, 0)
  return -(-size // step) * step


@functools.lru_cache(maxsize=1)
def _mesh() -> Mesh:
  """Returns a mesh of one device: folds are the parallelism here."""
  return sharding.make_mesh(data=1, model=1, devices=jax.devices()[:1])


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
  program = _PROGRAMS.of(recipe, spec, mesh, graph=graph)
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
    capacity=device_data.padded_size(plan.num_steps),
  )
  scored = []
  with jax.set_mesh(mesh):
    data = device_data.put_data(task.train, table, mesh, graph=graph)
    key = random_streams.key(task.seed, random_streams.Stream.PARAMETERS)
    state = program.init(key, data.graph)
    step = 0
    for epoch in epochs or (recipe.train.epochs,):
      stop = min(epoch * plan.steps_per_epoch, plan.num_steps)
      state, _ = program.run_steps(state, data, inputs_of(step, stop))
      step = stop
      scored.append(_scores(scorer, state.params, task))
  return scored
