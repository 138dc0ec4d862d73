"""Models as checkpoints have them."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
import pathlib
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.checkpoint import checksums
from morning_jax.checkpoint import manager as checkpoint_lib
from morning_jax.core import errors
from morning_jax.core import sharding
from morning_jax.data import fitted as fitted_lib
from morning_jax.data import transforms
from morning_jax.model import factory
from morning_jax.model import morning


@dataclasses.dataclass(frozen=True)
class Trained:
  """A model as a checkpoint has it.

  Attributes:
    config: the configuration it was trained with.
    model: the module.
    perspectives: what takes part.
    feature_sizes: feature -> size, of what takes part.
    params: the parameters.
    kinds: feature -> kind of transform.
    fitted: feature -> what its transform was fitted to; the attribute graph.
    attribute_names: names of the graph's nodes, in order.
    step: the step that they stand at.
    mesh: the mesh that they lie on.
    data_fingerprint: of the data that it was trained on.
  """

  config: ml_collections.ConfigDict
  model: morning.Morning
  perspectives: factory.Perspectives
  feature_sizes: dict[str, int]
  params: Any
  kinds: dict[str, str]
  fitted: dict[str, transforms.Fitted]
  attribute_names: list[str]
  step: int
  mesh: Mesh
  data_fingerprint: str


def restore(workdir: str | os.PathLike[str]) -> Trained:
  """Restores the best checkpoint of a working folder, or the newest.

  Args:
    workdir: the folder that training wrote.

  Returns:
    The model, its parameters on this machine's devices.

  Raises:
    UserError: no usable checkpoint.
  """
  mesh = sharding.make_mesh()
  parts: dict[str, Any] = {}

  def targets(meta: Mapping[str, Any]) -> dict[str, Any]:
    config = ml_collections.ConfigDict(meta['config'])
    try:
      model = factory.build(
        config.model, meta['perspectives'], meta['features']
      )
    except (KeyError, AttributeError) as e:
      raise checkpoint_lib.CheckpointError(
        f'{workdir}: was trained by another version of this software; its'
        f' configuration lacks {" ".join(str(e).split())}'
      ) from None
    table = factory.example_table(meta['perspectives'], meta['features'])
    fitted = checksums.shapes(meta, 'fitted', sharding.replicated(mesh))
    boxed = jax.eval_shape(
      model.init,
      jax.random.key(0),
      table,
      table,
      graph=fitted_lib.graph_of(fitted),
    )
    shardings = sharding.state_shardings(boxed, mesh)
    kinds = factory.transform_kinds(config.model, meta['perspectives'])
    parts.update(config=config, model=model, kinds=kinds)
    return {
      'params': jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        nn.unbox(boxed),
        shardings,
      )['params'],
      **({'fitted': fitted} if fitted else {}),
    }

  if not pathlib.Path(workdir).is_dir():
    raise errors.UserError(f'--workdir={workdir}: no such folder')
  checkpoints = checkpoint_lib.Checkpoints(workdir, read_only=True)
  restored = checkpoints.restore(targets, prefer_best=True)
  return Trained(
    **parts,
    perspectives=restored.meta['perspectives'],
    feature_sizes=restored.meta['features'],
    params=restored.items['params'],
    fitted=jax.device_get(restored.items.get('fitted', {})),
    attribute_names=restored.meta['attribute_names'],
    step=restored.step,
    mesh=mesh,
    data_fingerprint=restored.meta['data_fingerprint'],
  )


def node_vectors(
  workdir: str | os.PathLike[str],
) -> tuple[list[str], np.ndarray]:
  """Encodes the attribute graph with a working folder's best checkpoint.

  Args:
    workdir: the folder that training wrote.

  Returns:
    The attributes' names, and their vectors float32 [V, D].

  Raises:
    UserError: no usable checkpoint, or its model takes no attribute lists.
  """
  trained = restore(workdir)
  if fitted_lib.GRAPH not in trained.fitted:
    raise errors.UserError(
      f'--workdir={workdir}: its model has no attribute graph; train with'
      ' --config.model.attribute.encoder=gcn'
    )
  vectors = trained.model.apply(
    {'params': trained.params},
    fitted_lib.graph_of(trained.fitted),
    method='node_vectors',
  )
  names = trained.attribute_names
  return names, np.asarray(vectors, np.float32)[: len(names)]
