"""What the benchmarks of training run: data, model, state and step."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from configs import morning as config_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib
from morning_jax.model import morning
from morning_jax.training import device_data
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import programs
from morning_jax.training import step as step_lib
from morning_jax.training import step_inputs


def load(bundle: str | None, *, quick: bool) -> accounts_lib.Dataset:
  """Loads a bundle, or makes the embedded world, the small one if quick."""
  if bundle:
    return bundle_lib.read_bundle(bundle)
  world = world_options.small() if quick else world_options.World()
  return world_lib.generate(world)


def recipe(variant: str, *, quick: bool = False) -> ml_collections.ConfigDict:
  """Returns a configuration for one device, the one whose rates are known.

  Its attribute perspective takes embeddings.

  Args:
    variant: of configs/morning.py.
    quick: whether to make every layer small.
  """
  config = config_lib.get_config(variant)
  config.model.attribute.encoder = 'embedding'
  config.mesh.data = 1
  if quick:
    for field in ('image_widths', 'text_widths', 'attribute_widths'):
      widths = config.model[field]
      config.model[field] = (16,) * len(widths)
  return config


@dataclasses.dataclass
class Workload:
  """A training run without a working folder.

  Attributes:
    config: the whole configuration.
    model: the model.
    data: what the step reads, on the mesh.
    table: features of all accounts, on the host.
    state: the initial state; `run` replaces it.
    mesh: the mesh.
    plan: how it is optimized.
    run_steps: `step.make_run_steps`.
  """

  config: ml_collections.ConfigDict
  model: morning.Morning
  data: device_data.TrainingData
  table: accounts_lib.AccountTable
  state: step_lib.TrainState
  mesh: Mesh
  plan: optimizer_lib.Plan
  run_steps: Any
  _taken: int = 0

  def run(self, length: int) -> dict[str, jax.Array]:
    """Takes a number of steps in one dispatch; returns each step's scalars."""
    inputs_of = step_inputs.make_step_inputs(
      self.config,
      self.plan,
      capacity=length,
    )
    with jax.set_mesh(self.mesh):
      self.state, scalars = self.run_steps(
        self.state, self.data, inputs_of(self._taken, self._taken + length)
      )
    self._taken += length
    return scalars


def prepare(
  config: ml_collections.ConfigDict, dataset: accounts_lib.Dataset
) -> Workload:
  """Builds everything that a step takes, as `train` does.

  Args:
    config: the whole configuration.
    dataset: the data; attribute lists are left aside.

  Returns:
    The workload, initialised.
  """
  dataset = dataclasses.replace(dataset, attributes=None)
  mesh = sharding.make_mesh(data=config.mesh.data, model=config.mesh.model)
  split, _ = dataset_lib.training_split(dataset)
  spec, _ = dataset_lib.resolve_inputs(dataset, config.model)
  fitted = preprocessing.fit(
    spec, dataset, split, whitening=config.model.whitening, seed=config.seed
  )
  table = preprocessing.account_table(spec, fitted, dataset)
  compiled = programs.Kept().of(config, spec, mesh)
  with jax.set_mesh(mesh):
    state = compiled.init(jax.random.key(config.seed))
  return Workload(
    config=config,
    model=compiled.model,
    data=device_data.put_data(split, table, mesh),
    table=table,
    state=state,
    mesh=mesh,
    plan=optimizer_lib.plan(config, len(split.brand_P)),
    run_steps=compiled.run_steps,
  )


def count(params: Any) -> int:
  """Counts the parameters."""
  return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(params))
