"""Top-k of a catalogue whose rows are sharded over devices.

The same search as `top_k`: exact, and of equal scores the lower row comes
first, whatever the shards.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from morning_jax.core import sharding
from morning_jax.recommend import running_best
from morning_jax.recommend import selection
from morning_jax.recommend import top_k as top_k_lib


def top_k(
  brand_BxD: jax.Array,
  catalogue_MxD: jax.Array,
  *,
  k: int,
  num_rows: int,
  mesh: Mesh,
  skip_BxP: Any = None,
  block_rows: int | None = None,
  approximate: bool = False,
) -> running_best.TopK:
  """Finds the k best of a catalogue whose rows are sharded over `data`.

  Each device takes the best of its own rows, block by block; only those are
  exchanged. Another call with the same sizes compiles nothing.

  Args:
    brand_BxD: encoded brands.
    catalogue_MxD: encoded influencers, as `sharding.put_rows` puts them.
    k: how many, at most `num_rows`.
    num_rows: rows of the catalogue without padding.
    mesh: the mesh.
    skip_BxP: see `top_k.top_k`.
    block_rows: rows that a device takes at a time, see `top_k.top_k`.
    approximate: see `top_k.top_k`.

  Returns:
    Arrays on device, replicated.

  Raises:
    ValueError: sizes that don't fit together, or k is out of range.
  """
  top_k_lib.check(brand_BxD, catalogue_MxD, k, num_rows)
  if block_rows is None:
    num_brands, width = brand_BxD.shape
    platform = mesh.devices.flat[0].platform
    block_rows = top_k_lib.rows_of_block(num_brands, width, platform)
  return _search_shards(
    brand_BxD,
    catalogue_MxD,
    skip_BxP,
    k=k,
    num_rows=num_rows,
    mesh=mesh,
    block_rows=block_rows,
    approximate=approximate,
  )


def lower(
  brand_BxD: Any, catalogue_MxD: Any, *, k: int, num_rows: int, mesh: Mesh
) -> jax.stages.Lowered:
  """Lowers the search of `top_k`, of shapes; for devices of any kind.

  Args:
    brand_BxD: shape of the brands, with its sharding.
    catalogue_MxD: shape of the catalogue.
    k: how many, at most `num_rows`.
    num_rows: rows of the catalogue without padding.
    mesh: the mesh; its devices need not be attached.

  Returns:
    The program, to be compiled.
  """
  top_k_lib.check(brand_BxD, catalogue_MxD, k, num_rows)
  num_brands, width = brand_BxD.shape
  platform = mesh.devices.flat[0].platform
  return _search_shards.lower(
    brand_BxD,
    catalogue_MxD,
    k=k,
    num_rows=num_rows,
    mesh=mesh,
    block_rows=top_k_lib.rows_of_block(num_brands, width, platform),
    approximate=False,
  )


@functools.partial(
  jax.jit,
  static_argnames=('k', 'num_rows', 'mesh', 'block_rows', 'approximate'),
)
def _search_shards(
  brand_BxD: jax.Array,
  catalogue_MxD: jax.Array,
  skip_BxP: Any = None,
  *,
  k: int,
  num_rows: int,
  mesh: Mesh,
  block_rows: int,
  approximate: bool,
) -> running_best.TopK:
  axis = sharding.DATA

  def of_device(
    brand_BxD: jax.Array, own_MxD: jax.Array, *skip: jax.Array
  ) -> running_best.TopK:
    own_rows = len(own_MxD)
    size = min(block_rows, own_rows)
    if size > top_k_lib.EVEN:  # so that it divides into groups
      size -= size % top_k_lib.EVEN
    first_row = jax.lax.axis_index(axis) * own_rows

    def take_in(
      best: running_best.TopK, begin: jax.Array
    ) -> tuple[running_best.TopK, None]:
      # The last block begins earlier, to be as long as the others; the rows
      # before `begin` have been taken.
      start = jnp.minimum(begin, own_rows - size)
      # Tied to the loop: a CPU's compiler would widen all bfloat16 rows before.
      rows_MxD, start = jax.lax.optimization_barrier((own_MxD, start))
      block_MxD = jax.lax.dynamic_slice_in_dim(rows_MxD, start, size)
      own_row_M = start + jnp.arange(size)
      wanted_M = (own_row_M >= begin) & (first_row + own_row_M < num_rows)
      score_BxM = jnp.where(
        wanted_M, running_best.scores(brand_BxD, block_MxD), -jnp.inf
      )
      first = first_row + start
      for rows_BxP in skip:
        score_BxM = selection.without(score_BxM, rows_BxP, first)
      best = running_best.take_in(
        best, score_BxM, first, approximate=approximate
      )
      return best, None

    best, _ = jax.lax.scan(
      take_in,
      running_best.nothing(len(brand_BxD), k),
      jnp.arange(0, own_rows, size),
    )
    # Shard by shard, so that lower rows come first.
    gather = functools.partial(
      jax.lax.all_gather, axis_name=axis, axis=1, tiled=True
    )
    return running_best.of_lists(gather(best.scores), gather(best.rows), k)

  skip = () if skip_BxP is None else (skip_BxP,)
  search = jax.shard_map(
    of_device,
    mesh=mesh,
    in_specs=(
      PartitionSpec(),
      PartitionSpec(axis),
      *(PartitionSpec() for _ in skip),
    ),
    out_specs=PartitionSpec(),
    # Equal on all devices after the gather, which can't be inferred.
    check_vma=False,
  )
  return search(brand_BxD, catalogue_MxD, *skip)
