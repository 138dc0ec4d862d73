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
from morning_jax.checkpoint import meta as meta_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import input_spec
from morning_jax.core import multihost
from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.model import factory
from morning_jax.model import morning


@dataclasses.dataclass(frozen=True)
class Trained:
  """A model as a checkpoint has it.

  Attributes:
    config: the configuration it was trained with.
    spec: what takes part.
    model: the module.
    params: the parameters, on the mesh.
    fitted: what was fitted to the training accounts, on the host.
    step: the training step that the parameters are of.
    mesh: the mesh.
    data_fingerprint: of the data that it was trained on.
  """

  config: ml_collections.ConfigDict
  spec: input_spec.InputSpec
  model: morning.Morning
  params: Any
  fitted: preprocessing.Fitted
  step: int
  mesh: Mesh
  data_fingerprint: str


def check_there(workdir: str | os.PathLike[str]) -> None:
  """Checks that a working folder has a checkpoint, without reading it.

  Raises:
    UserError: there is no folder, or no checkpoint in it.
  """
  if not pathlib.Path(workdir).is_dir():
    raise errors.UserError(f'--workdir={workdir}: no such folder')
  checkpoint_lib.Checkpoints(workdir, read_only=True).check_any()


def restore(workdir: str | os.PathLike[str]) -> Trained:
  """Restores the best checkpoint of a working folder, or the newest.

  Args:
    workdir: the folder that training wrote.

  Returns:
    The model, its parameters on this machine's devices.

  Raises:
    UserError: no usable checkpoint.
  """
  check_there(workdir)
  mesh = sharding.make_mesh()
  parts: dict[str, Any] = {}

  def targets(stored: Mapping[str, Any]) -> dict[str, Any]:
    meta = meta_lib.CheckpointMeta.from_json(stored)
    try:
      config = ml_collections.ConfigDict(meta.config)
      model = factory.build(config.model, meta.spec)
    except (KeyError, AttributeError, TypeError) as e:
      raise checkpoint_lib.CheckpointError(
        f'{workdir}: was trained by another version of this software; its'
        f' metadata lacks {" ".join(str(e).split())}'
      ) from None
    parts.update(
      config=config,
      spec=meta.spec,
      model=model,
      data_fingerprint=meta.data_fingerprint,
    )
    fitted = checksums.shapes(stored, 'fitted', sharding.replicated(mesh))
    table = factory.example_table(meta.spec)
    boxed = jax.eval_shape(
      model.init,
      jax.random.key(0),
      table,
      table,
      graph=preprocessing.graph_of(fitted),
    )
    shardings = sharding.state_shardings(boxed, mesh)
    return {
      'params': jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        nn.unbox(boxed),
        shardings,
      )['params'],
      **({'fitted': fitted} if fitted else {}),
    }

  checkpoints = checkpoint_lib.Checkpoints(workdir, read_only=True)
  restored = checkpoints.restore(targets, prefer_best=True)
  return Trained(
    **parts,
    params=restored.items['params'],
    fitted=multihost.fetch(restored.items.get('fitted', {})),
    step=restored.step,
    mesh=mesh,
  )


def own_data(trained: Trained) -> accounts_lib.Dataset:
  """Loads the data that a model was trained on, with the splits of its run.

  Args:
    trained: the model.

  Returns:
    The data set.

  Raises:
    UserError: it can't be read, or has changed since.
  """
  dataset = dataset_lib.load(trained.config.data)
  if dataset_lib.fingerprint(dataset) != trained.data_fingerprint:
    raise errors.UserError(
      f'{dataset.name}: the data has changed since the model was trained;'
      ' name it with --bundle to use it as it is now'
    )
  return dataset_lib.assign_splits(dataset, trained.config)


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
  if not trained.spec.takes_attribute_lists:
    raise errors.UserError(
      f'--workdir={workdir}: its model has no attribute graph; train with'
      ' --config.model.attribute.encoder=gcn'
    )
  vectors = trained.model.apply(
    {'params': trained.params},
    preprocessing.graph_of(trained.fitted),
    method='node_vectors',
  )
  names = list(trained.spec.attribute_names)
  return names, np.asarray(vectors, np.float32)[: len(names)]
