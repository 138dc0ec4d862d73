"""Rows of many arrays as rows of one, bit for bit.

A table of accounts is many arrays, some of them narrow. Joined to one, a row is
in one piece: it is gathered and sent at once, and where the hardware stores
arrays in tiles, none is padded to a tile or stored column by column, from which
rows could be gathered only after a copy of the whole.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import flax.struct
import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import numpy as np

from morning_jax.core import sharding
from morning_jax.core.accounts import Array

_LANES = 128  # numbers side by side in a tile of a TPU's memory


@dataclasses.dataclass(frozen=True)
class Layout:
  """What a row consists of.

  Attributes:
    structure: of the tree of arrays.
    leaves: type and shape, without the rows, of each array.
    width: 32-bit words of a row, padding included.
  """

  structure: Any
  leaves: tuple[tuple[str, tuple[int, ...]], ...]
  width: int


@flax.struct.dataclass
class PackedRows:
  """Arrays that share their rows, as one.

  Attributes:
    word_AxW: uint32 [A, W].
    layout: what a row consists of.
  """

  word_AxW: Array
  layout: Layout = flax.struct.field(pytree_node=False)

  def unpack(self) -> Any:
    """Returns the tree of arrays."""
    found, first = [], 0
    for dtype, shape in self.layout.leaves:
      count = math.prod(shape)
      part = jax.lax.slice_in_dim(self.word_AxW, first, first + count, axis=1)
      first += count
      if dtype == 'bool':
        part = part != 0
      else:
        part = jax.lax.bitcast_convert_type(part, jnp.dtype(dtype))
      found.append(part.reshape(len(part), *shape))
    return jax.tree.unflatten(self.layout.structure, found)


def layout_of(tree: Any, mesh: Mesh) -> Layout:
  """Describes the rows of a tree.

  Args:
    tree: pytree of arrays, or of their shapes, of float32, int32 or bool.
    mesh: where they go; on TPUs rows are padded to whole tiles.

  Raises:
    ValueError: an array is of another type.
  """
  leaves, structure = jax.tree.flatten(tree)
  kinds = tuple((str(np.dtype(x.dtype)), tuple(x.shape[1:])) for x in leaves)
  for dtype, _ in kinds:
    if dtype not in ('float32', 'int32', 'bool'):
      raise ValueError(f'rows of {dtype} can not be packed')
  lanes = _LANES if mesh.devices.flat[0].platform == 'tpu' else 1
  words = sum(math.prod(shape) for _, shape in kinds)
  return Layout(structure, kinds, max(1, -(-words // lanes)) * lanes)


def put(tree: Any, mesh: Mesh) -> PackedRows:
  """Packs host arrays and puts them on the mesh, rows sharded over `data`.

  Args:
    tree: pytree of NumPy arrays that share their number of rows.
    mesh: the mesh.

  Returns:
    The packed rows; padded as `sharding.put_rows` pads.
  """
  layout = layout_of(tree, mesh)
  leaves = jax.tree.leaves(tree)
  word_AxW = np.zeros((len(leaves[0]), layout.width), np.uint32)
  first = 0
  for x in leaves:
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    part = word_AxW[:, first : first + flat.shape[1]]
    first += flat.shape[1]
    if flat.dtype == bool:
      part[:] = flat
    else:
      part[:] = flat.view(np.uint32)
  return PackedRows(sharding.put_rows(word_AxW, mesh), layout)
