"""Mesh axes and shardings: how arrays are spread over devices, as data.

The mesh has two axes. Batches and account rows shard over `data`, layer widths
over `model`. `RULES` is the one table from the logical axis names that the
modules use to mesh axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import flax.linen as nn
import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
import numpy as np

from morning_jax.core import errors

DATA = 'data'
MODEL = 'model'

# Logical axis -> mesh axis. A dimension that the mesh axis doesn't divide is
# replicated (see `state_shardings`).
RULES: tuple[tuple[str, str | None], ...] = (
  ('row', DATA),  # accounts, brands, influencers
  ('vertex', DATA),  # nodes of the attribute graph, where there are many
  ('feature_in', None),
  ('feature_out', MODEL),
)

# What changes where parameters are fully sharded.
FSDP_RULES: dict[str, str | None] = {'feature_in': DATA}

# Below so many nodes or edges of the attribute graph, an array is replicated:
# the exchange would cost more than the memory is worth.
LARGE = 1 << 16

T = TypeVar('T')


def make_mesh(
  *,
  data: int = -1,
  model: int = 1,
  devices: Sequence[jax.Device] | None = None,
) -> Mesh:
  """Lays all devices out as a (data, model) mesh.

  Args:
    data: size of the data axis; -1 takes what `model` leaves.
    model: size of the model axis.
    devices: the devices; all of this machine if None.

  Returns:
    The mesh, with axes of type Auto.

  Raises:
    UserError: the sizes don't fit the number of devices.
  """
  devices = list(jax.devices() if devices is None else devices)
  if model < 1 or data == 0 or data < -1:
    raise errors.UserError(
      f'config.mesh: data={data}, model={model}; sizes are at least 1, and'
      ' data=-1 takes the devices that model leaves'
    )
  if data == -1:
    if len(devices) % model:
      raise errors.UserError(
        f'config.mesh.model={model} does not divide {len(devices)} devices'
      )
    data = len(devices) // model
  if data * model > len(devices):
    raise errors.UserError(
      f'config.mesh: data={data} x model={model} needs {data * model} devices,'
      f' there are {len(devices)}'
    )
  if jax.process_count() > 1 and data * model < jax.device_count():
    raise errors.UserError(
      f'config.mesh: data={data} x model={model} leaves devices idle; several'
      f' processes must use all {jax.device_count()}'
    )
  return jax.make_mesh(
    (data, model),
    (DATA, MODEL),
    axis_types=(AxisType.Auto,) * 2,
    devices=devices[: data * model],
  )


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding that puts a whole array on every device."""
  return NamedSharding(mesh, PartitionSpec())


def put(x: np.ndarray, sharding: NamedSharding) -> jax.Array:
  """Puts a host array on devices; each process copies only its own part."""
  if sharding.is_fully_addressable:
    return jax.device_put(x, sharding)
  return jax.make_array_from_callback(
    x.shape, sharding, lambda index: x[index], dtype=x.dtype
  )


def put_rows(tree: T, mesh: Mesh) -> T:
  """Puts arrays on the mesh with their rows sharded over `data`.

  Args:
    tree: pytree of arrays that share their number of rows.
    mesh: the mesh.

  Returns:
    The tree on device. Rows are padded with zeros to a multiple of the axis.
  """
  size = mesh.shape[DATA]
  sharding = NamedSharding(mesh, PartitionSpec(DATA))

  def put_one(x: np.ndarray) -> jax.Array:
    short = -len(x) % size
    if short:
      x = np.concatenate([x, np.zeros((short, *x.shape[1:]), x.dtype)])
    return put(x, sharding)

  return jax.tree.map(put_one, tree)


def put_read_rows(
  read: Callable[[np.ndarray], T], rows: np.ndarray, mesh: Mesh
) -> T:
  """Puts rows that are read for it on the mesh, sharded over `data`.

  A process reads the rows of its own devices alone.

  Args:
    read: makes a pytree of host arrays of some rows.
    rows: which rows; as many as a multiple of the axis.
    mesh: the mesh.

  Returns:
    The tree on device.
  """
  sharding = NamedSharding(mesh, PartitionSpec(DATA))
  where = sharding.addressable_devices_indices_map(rows.shape)
  shares = sorted({i[0].indices(len(rows))[:2] for i in where.values() if i})
  place, own = {}, 0
  for start, stop in shares:
    place[start] = own
    own += stop - start
  tree = read(np.concatenate([rows[start:stop] for start, stop in shares]))

  def join(x: np.ndarray) -> jax.Array:
    def share(index: Any) -> np.ndarray:
      start, stop, _ = index[0].indices(len(rows))
      return x[place[start] : place[start] + stop - start]

    return jax.make_array_from_callback(
      (len(rows), *x.shape[1:]), sharding, share, dtype=x.dtype
    )

  return jax.tree.map(join, tree)


def put_large(tree: T, mesh: Mesh) -> T:
  """Puts arrays on the mesh; rows shard over `data` where there are many.

  Args:
    tree: pytree of arrays, each with a number of rows of its own.
    mesh: the mesh.

  Returns:
    The tree on device. An array of fewer than `LARGE` rows, or of a number
    that the axis does not divide, is replicated.
  """
  return jax.tree.map(
    lambda x: put(np.asarray(x), of_large(len(x), mesh)), tree
  )


def of_large(num_rows: int, mesh: Mesh) -> NamedSharding:
  """Returns the sharding of an array by its number of rows, see `put_large`."""
  spread = num_rows >= LARGE and not num_rows % mesh.shape[DATA]
  return NamedSharding(mesh, PartitionSpec(DATA) if spread else PartitionSpec())


def shard_rows(x: jax.Array) -> jax.Array:
  """Constrains the rows of a batch to `data`; needs `jax.set_mesh`.

  Args:
    x: an array with one row an account.

  Returns:
    The array, left as it is without a mesh. Where the axis does not divide the
    rows, the last devices have fewer.
  """
  if jax.sharding.get_abstract_mesh().empty:
    return x
  return jax.lax.with_sharding_constraint(x, PartitionSpec(DATA))


def state_shardings(boxed: T, mesh: Mesh, *, fsdp: bool = False) -> T:
  """Returns the shardings of a state whose leaves name their logical axes.

  Args:
    boxed: pytree of ShapeDtypeStructs, with Linen's partitioning metadata
      where a leaf has logical axes (`jax.eval_shape` of an init).
    mesh: the mesh.
    fsdp: whether weight matrices, and with them what the optimizer keeps of
      them, shard over `data` too (fully sharded data parallelism).

  Returns:
    The unboxed tree of NamedShardings. A dimension that its mesh axis doesn't
    divide is replicated, as are the nodes of a graph that is not `LARGE`.
  """
  rules = dict(RULES) | (FSDP_RULES if fsdp else {})

  def fit(spec: PartitionSpec, leaf: jax.ShapeDtypeStruct) -> NamedSharding:
    axes: list[str | None] = []
    for size, name in zip(leaf.shape, spec, strict=False):
      axis = rules[name] if name else None
      small = name == 'vertex' and size < LARGE and not fsdp
      free = axis not in axes and not small
      axes.append(
        axis if axis and free and not size % mesh.shape[axis] else None
      )
    return NamedSharding(mesh, PartitionSpec(*axes))

  return jax.tree.map(
    fit,
    nn.get_partition_spec(boxed),
    nn.unbox(boxed),
    is_leaf=lambda x: isinstance(x, PartitionSpec),
  )
