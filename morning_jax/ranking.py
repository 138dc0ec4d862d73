"""Top-k of a catalogue of encoded influencers by inner product.

Ranking for a brand is maximum inner product search (SPEC section 6). The search
is exact: float32 products of full precision, and of equal scores the lower row
comes first, whatever the blocks or shards. Memory is bounded by a block: a
catalogue may be a memory-mapped file that is larger than memory
(`catalogue.open_catalogue`).
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from morning_jax import sharding

_BLOCK_BYTES = 1 << 28
# On a CPU, a larger block is memory fresh from the system, page by page, which
# takes longer than the product; smaller ones are reused.
_BLOCK_BYTES_CPU = 1 << 24


class TopK(NamedTuple):
  """The best of a catalogue for each brand, best first.

  Attributes:
    scores: float32 [B, k].
    rows: int32 [B, k] rows of the catalogue.
  """

  scores: Any
  rows: Any


def _scores(brand_BxD: jax.Array, influencer_MxD: jax.Array) -> jax.Array:
  score_BxM = jnp.matmul(
    brand_BxD.astype(jnp.float32),
    influencer_MxD.astype(jnp.float32).T,
    precision=jax.lax.Precision.HIGHEST,
  )
  # -0 and 0 are equal scores, yet not to top_k.
  return jnp.where(score_BxM == 0, 0.0, score_BxM)


def _best(score_BxM: jax.Array, k: int, *, approximate: bool) -> TopK:
  if approximate:
    return TopK(*jax.lax.approx_max_k(score_BxM, k))
  return TopK(*jax.lax.top_k(score_BxM, k))


def _of_lists(scores: jax.Array, rows: jax.Array, k: int) -> TopK:
  """Merges lists that stand side by side, lower rows first."""
  best = _best(scores, k, approximate=False)
  return TopK(best.scores, jnp.take_along_axis(rows, best.rows, axis=1))


@functools.partial(jax.jit, static_argnames='approximate', donate_argnums=0)
def _take_in(
  best: TopK,
  brand_BxD: jax.Array,
  block_MxD: jax.Array,
  first: jax.Array,
  *,
  approximate: bool,
) -> TopK:
  """Merges a block of the catalogue into the best so far."""
  k = best.rows.shape[1]
  score_BxM = _scores(brand_BxD, block_MxD)
  found = _best(score_BxM, min(k, len(block_MxD)), approximate=approximate)
  return _of_lists(
    jnp.concatenate([best.scores, found.scores], axis=1),
    jnp.concatenate([best.rows, found.rows + first], axis=1),
    k,
  )


def _check(brand_BxD: Any, catalogue_MxD: Any, k: int, num_rows: int) -> None:
  if brand_BxD.ndim != 2 or brand_BxD.shape[1] != catalogue_MxD.shape[1]:
    raise ValueError(
      f'brands {brand_BxD.shape} and catalogue {catalogue_MxD.shape} differ in'
      ' their last dimension'
    )
  if not 1 <= k <= num_rows:
    raise ValueError(f'k={k} is not in 1..{num_rows}, the catalogue')


def top_k(
  brand_BxD: Any,
  catalogue_MxD: Any,
  *,
  k: int,
  block_rows: int | None = None,
  approximate: bool = False,
) -> TopK:
  """Finds the k influencers with the highest inner products, block by block.

  Args:
    brand_BxD: encoded brands.
    catalogue_MxD: encoded influencers, on the host (memory-mapped or not) or
      on device; float32 or bfloat16.
    k: how many, at most M.
    block_rows: rows of the catalogue at a time; about 256 MiB if None, and
      16 MiB on a CPU.
    approximate: whether to take `jax.lax.approx_max_k` within a block, faster
      on TPUs; its recall is 0.95 in expectation.

  Returns:
    NumPy arrays.

  Raises:
    ValueError: sizes that don't fit together, or k is out of range.
  """
  num_rows = len(catalogue_MxD)
  _check(brand_BxD, catalogue_MxD, k, num_rows)
  brand_BxD = jnp.asarray(brand_BxD, jnp.float32)
  num_brands, width = brand_BxD.shape
  if block_rows is None:
    on_cpu = jax.default_backend() == 'cpu'
    block_bytes = _BLOCK_BYTES_CPU if on_cpu else _BLOCK_BYTES
    block_rows = max(1024, block_bytes // (4 * (width + num_brands)))
  best = TopK(
    jnp.full((num_brands, k), -jnp.inf), jnp.zeros((num_brands, k), jnp.int32)
  )
  for first in range(0, num_rows, block_rows):
    block_MxD = jnp.asarray(catalogue_MxD[first : first + block_rows])
    best = _take_in(
      best, brand_BxD, block_MxD, jnp.int32(first), approximate=approximate
    )
    # One block at a time: dispatch must not run ahead of memory.
    jax.block_until_ready(best)
  return TopK(*jax.device_get(best))


def top_k_sharded(
  brand_BxD: jax.Array,
  catalogue_MxD: jax.Array,
  *,
  k: int,
  num_rows: int,
  mesh: Mesh,
  approximate: bool = False,
) -> TopK:
  """Finds the k best of a catalogue whose rows are sharded over `data`.

  Each device takes the best of its own rows; only those are exchanged.

  Args:
    brand_BxD: encoded brands.
    catalogue_MxD: encoded influencers, as `sharding.put_rows` puts them.
    k: how many, at most `num_rows`.
    num_rows: rows of the catalogue without padding.
    mesh: the mesh.
    approximate: see `top_k`.

  Returns:
    Arrays on device, replicated.

  Raises:
    ValueError: sizes that don't fit together, or k is out of range.
  """
  _check(brand_BxD, catalogue_MxD, k, num_rows)
  axis = sharding.DATA
  per_device = len(catalogue_MxD) // mesh.shape[axis]

  def of_device(brand_BxD: jax.Array, own_MxD: jax.Array) -> TopK:
    first = jax.lax.axis_index(axis) * per_device
    row_M = first + jnp.arange(per_device)
    score_BxM = jnp.where(
      row_M < num_rows, _scores(brand_BxD, own_MxD), -jnp.inf
    )
    found = _best(score_BxM, min(k, per_device), approximate=approximate)
    # Shard by shard, so that lower rows come first.
    gather = functools.partial(
      jax.lax.all_gather, axis_name=axis, axis=1, tiled=True
    )
    return _of_lists(gather(found.scores), gather(found.rows + first), k)

  search = jax.shard_map(
    of_device,
    mesh=mesh,
    in_specs=(PartitionSpec(), PartitionSpec(axis)),
    out_specs=PartitionSpec(),
    # Equal on all devices after the gather, which can't be inferred.
    check_vma=False,
  )
  return jax.jit(search)(brand_BxD, catalogue_MxD)
