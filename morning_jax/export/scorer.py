"""Writes a model as StableHLO, for those who score without this package.

Two programs, one for each role, turn what accounts show into vectors; a score
is the inner product of a brand's vector and an influencer's. The model's
transforms are part of the programs: they take the rows of a bundle as they are,
any number of them. Weights are arguments and not constants, since a compiler
would fold constants for a minute for every new number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import importlib.util
import os
import pathlib
from typing import Any

from flax import traverse_util
import jax
from jax import export as jax_export
from jax import numpy as jnp
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import multihost
from morning_jax.data import preprocessing
from morning_jax.evaluation import trained_model
from morning_jax.graph import account_attributes

PLATFORMS = ('cpu', 'tpu', 'cuda')
FORMAT = 1
ABOUT, WEIGHTS = 'model.json', 'weights.npz'
ATTRIBUTE_INDEX, ATTRIBUTE_WEIGHT = 'attribute_index', 'attribute_weight'

Weights = Mapping[str, jax.Array | np.ndarray]
_NODES = 'attribute_vectors'
_GRAPH = 'attribute/graph/'  # parameters of the nodes' vectors


def check_new(folder: str | os.PathLike[str]) -> None:
  """Checks, before the work, that a model can be written.

  Args:
    folder: where it is to go; it may exist if it is empty.

  Raises:
    UserError: something is there already, or flatbuffers is not installed.
  """
  path = pathlib.Path(folder)
  if os.path.lexists(path) and (
    not path.is_dir() or path.is_symlink() or any(path.iterdir())
  ):
    raise errors.UserError(
      errors.in_file(path, 'exists already; name a new folder')
    )
  if importlib.util.find_spec('flatbuffers') is None:
    raise errors.UserError(
      "exporting needs flatbuffers: pip install 'morning_jax[export]'"
    )


def write(
  trained: trained_model.Trained, folder: str | os.PathLike[str]
) -> dict[str, Any]:
  """Writes a model into a new folder, which appears complete or not at all.

  Args:
    trained: the model.
    folder: the folder; it may exist if it is empty.

  Returns:
    What its `model.json` says.

  Raises:
    UserError: flatbuffers is not installed, or the folder is there already.
    OSError: it can't be written.
  """
  check_new(folder)
  weights = weights_of(trained)
  programs = {
    role: _export(trained, weights, role) for role in accounts_lib.ROLES
  }
  about = describe(trained, programs)
  with files.new_folder(folder) as draft:
    for role, program in programs.items():
      content = bytes(program.serialize())
      (draft / about['programs'][role]).write_bytes(content)
    np.savez(draft / WEIGHTS, **weights)  # type: ignore[arg-type]
    files.write_json(draft / ABOUT, about)
    files.sync_tree(draft)
  return about


def weights_of(trained: trained_model.Trained) -> dict[str, np.ndarray]:
  """Returns all that a model computes with, by name.

  Parameters go by their paths. The vectors of the attributes' nodes are those
  after message passing, which no account changes.
  """
  flat = traverse_util.flatten_dict(trained.params, sep='/')
  if trained.spec.takes_attribute_lists:
    flat = {
      name: value
      for name, value in flat.items()
      if not name.startswith(_GRAPH) or name == f'{_GRAPH}unknown'
    }
  weights = {
    f'params/{k}': np.asarray(multihost.fetch(v)) for k, v in flat.items()
  }
  for feature in trained.spec.feature_sizes:
    for name, array in trained.fitted.get(feature, {}).items():
      weights[f'transform/{feature}/{name}'] = np.asarray(array)
  graph = preprocessing.graph_of(trained.fitted)
  if graph is not None:
    with jax.default_matmul_precision('highest'):
      nodes = trained.model.apply(
        {'params': trained.params}, graph, method='node_vectors'
      )
    weights[_NODES] = np.asarray(multihost.fetch(nodes))
  return weights


def describe(
  trained: trained_model.Trained, programs: Mapping[str, jax_export.Exported]
) -> dict[str, Any]:
  """Returns what a reader has to know, as plain JSON values."""
  spec = trained.spec
  inputs: list[dict[str, Any]] = [
    {
      'name': feature,
      'shape': ['rows', size],
      'dtype': 'float32',
      'absent': 'a row of NaN',
      'transform': spec.transforms[feature],
    }
    for feature, size in spec.feature_sizes.items()
  ]
  if spec.takes_attribute_lists:
    inputs += [
      {
        'name': ATTRIBUTE_INDEX,
        'shape': ['rows', '16 * n'],
        'dtype': 'int32',
        'absent': '0, with weight 0',
        'meaning': 'numbers of attribute_names',
      },
      {
        'name': ATTRIBUTE_WEIGHT,
        'shape': ['rows', '16 * n'],
        'dtype': 'float32',
        'absent': '0',
        'meaning': '1 for an attribute that the account has',
      },
    ]
  vector = next(iter(programs.values())).out_avals[0]
  return {
    'format': FORMAT,
    'inputs': inputs,
    'output': {
      'shape': ['rows', int(vector.shape[1])],
      'dtype': 'float32',
      'perspectives': list(spec.perspectives),
      'score': 'inner product of a brand and an influencer',
    },
    'attribute_names': list(spec.attribute_names),
    'programs': {role: f'{role}.stablehlo' for role in programs},
    'weights': WEIGHTS,
    'platforms': list(PLATFORMS),
    'jax': jax.__version__,
    'step': trained.step,
    'data_fingerprint': trained.data_fingerprint,
  }


def encoder(
  trained: trained_model.Trained, role: str
) -> Callable[[Weights, Mapping[str, Any]], jax.Array]:
  """Returns the function that is exported: (weights, inputs) -> [rows, D]."""
  spec = trained.spec
  order = [p for p in accounts_lib.PERSPECTIVES if p in spec.perspectives]

  def encode(weights: Weights, inputs: Mapping[str, Any]) -> jax.Array:
    flat = {
      k.removeprefix('params/'): v
      for k, v in weights.items()
      if k.startswith('params/')
    }
    features, present = {}, {}
    for feature, kind in spec.transforms.items():
      x = inputs[feature]
      present[feature] = ~jnp.isnan(x[:, 0])
      x = jnp.where(present[feature][:, None], x, 0)
      prefix = f'transform/{feature}/'
      fitted = {
        k.removeprefix(prefix): v
        for k, v in weights.items()
        if k.startswith(prefix)
      }
      x = _transform(kind, x, fitted)
      features[feature] = jnp.where(present[feature][:, None], x, 0)
    held = None
    if spec.takes_attribute_lists:
      held = account_attributes.HeldAttributes(
        index=inputs[ATTRIBUTE_INDEX], weight=inputs[ATTRIBUTE_WEIGHT]
      )
    found: Any = trained.model.apply(
      {'params': traverse_util.unflatten_dict(flat, sep='/')},
      accounts_lib.AccountTable(features=features, present=present, held=held),
      role=role,
      graph=weights.get(_NODES),
      method='encode',
    )
    return jnp.concatenate([found[p] for p in order], axis=1)

  def precise(weights: Weights, inputs: Mapping[str, Any]) -> jax.Array:
    with jax.default_matmul_precision('highest'):
      return encode(weights, inputs)

  return precise


def _transform(
  kind: str, x_AxF: jax.Array, fitted: Mapping[str, Any]
) -> jax.Array:
  """Does on device what `transforms.apply` does on the host."""
  if kind == 'none':
    return x_AxF
  if kind == 'hellinger':
    x = jnp.sign(x_AxF) * jnp.sqrt(jnp.abs(x_AxF))
  else:
    x = (x_AxF - fitted['mean']) @ fitted['basis']
  length = jnp.sqrt(jnp.square(x).sum(axis=1, keepdims=True))
  return x / jnp.where(length == 0, 1.0, length)


def _export(
  trained: trained_model.Trained, weights: Weights, role: str
) -> jax_export.Exported:
  rows, slices = jax_export.symbolic_shape('rows, slices')
  inputs = {
    feature: jax.ShapeDtypeStruct((rows, size), jnp.float32)
    for feature, size in trained.spec.feature_sizes.items()
  }
  if trained.spec.takes_attribute_lists:
    lists = (rows, 16 * slices)  # the pooling reads so many at a time
    inputs[ATTRIBUTE_INDEX] = jax.ShapeDtypeStruct(lists, jnp.int32)
    inputs[ATTRIBUTE_WEIGHT] = jax.ShapeDtypeStruct(lists, jnp.float32)
  shapes = {
    k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in weights.items()
  }
  return jax_export.export(
    jax.jit(encoder(trained, role)), platforms=PLATFORMS
  )(shapes, inputs)
