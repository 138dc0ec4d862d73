"""What is compiled for a recipe, once for all the folds of a data set."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
import json
from typing import Any

import jax
from jax.sharding import Mesh
import ml_collections

from morning_jax.core import input_spec
from morning_jax.evaluation import encode as encode_lib
from morning_jax.model import factory
from morning_jax.model import morning
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import step as step_lib


@dataclasses.dataclass(frozen=True)
class Programs:
  """The jitted functions of a recipe and of what takes part in it.

  Attributes:
    model: the module.
    init: (key, graph) -> the state before the first step.
    abstract_state: the state's ShapeDtypeStructs with their shardings.
    run_steps: of `step.make_run_steps`.
    encode: of `encode.make_encode`.
  """

  model: morning.Morning
  init: Callable[..., step_lib.TrainState]
  abstract_state: step_lib.TrainState
  run_steps: Callable[..., Any]
  encode: Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class _Key:
  """What the programs depend on.

  Attributes:
    recipe: the configuration without its seed and fold, as JSON.
    spec: what takes part, as JSON.
    mesh: the mesh.
    graph: leaves and structure of the attribute graph's shapes.
    config: the configuration that `recipe` was made of.
    input_spec: what `spec` was made of.
  """

  recipe: str
  spec: str
  mesh: Mesh
  graph: tuple[Any, Any]
  config: ml_collections.ConfigDict = dataclasses.field(compare=False)
  input_spec: input_spec.InputSpec = dataclasses.field(compare=False)


class Kept:
  """The programs of the recipes that were asked for most recently."""

  def __init__(self, most: int = 1):
    """Keeps none yet.

    Args:
      most: recipes whose programs stay in memory.
    """
    self._make = functools.lru_cache(maxsize=most)(_make)

  def of(
    self,
    config: ml_collections.ConfigDict,
    spec: input_spec.InputSpec,
    mesh: Mesh,
    *,
    graph: Any = None,
  ) -> Programs:
    """Returns the programs of a recipe.

    Runs that differ in their seed or their fold alone share them; each is
    compiled once for all data whose arrays have the same sizes (see
    `device_data.padded_size`).

    Args:
      config: the whole configuration, checked.
      spec: what takes part in the model.
      mesh: the mesh.
      graph: the attribute graph, where the model takes it; shapes are enough.

    Returns:
      The programs.
    """
    recipe = config.copy_and_resolve_references()
    recipe.seed = 0
    recipe.data.fold = -1
    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda: graph))
    return self._make(
      _Key(
        recipe=recipe.to_json(sort_keys=True),
        spec=json.dumps(spec.to_json(), sort_keys=True),
        mesh=mesh,
        graph=(tuple(leaves), structure),
        config=recipe,
        input_spec=spec,
      )
    )


def _make(key: _Key) -> Programs:
  config, mesh = key.config, key.mesh
  leaves, structure = key.graph
  model = factory.build(config.model, key.input_spec)
  optimizer = optimizer_lib.make_optimizer(config.optimizer)
  init, abstract_state = step_lib.make_init(
    model,
    optimizer,
    factory.example_table(key.input_spec),
    mesh,
    graph=jax.tree.unflatten(structure, leaves),
    fsdp=config.mesh.fsdp,
  )
  return Programs(
    model=model,
    init=init,
    abstract_state=abstract_state,
    run_steps=step_lib.make_run_steps(
      config,
      model,
      optimizer,
      state_shardings=jax.tree.map(lambda x: x.sharding, abstract_state),
    ),
    encode=encode_lib.make_encode(model),
  )
