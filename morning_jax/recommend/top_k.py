"""Top-k of a catalogue of encoded influencers by inner product.

Ranking for a brand is maximum inner product search (SPEC section 6). The search
is exact: float32 products of full precision, and of equal scores the lower row
comes first, whatever the blocks or shards. Memory is bounded by a block, on
each device where the catalogue is sharded: a catalogue may be a memory-mapped
file that is larger than memory (`index.open_index`).
"""

from __future__ import annotations

import functools
from typing import Any

import jax
from jax import numpy as jnp

from morning_jax.recommend import host_blocks
from morning_jax.recommend import running_best
from morning_jax.recommend import selection

_BLOCK_BYTES = 1 << 28
# On a CPU, a larger block is memory fresh from the system, page by page, which
# takes longer than the product; smaller ones are reused.
_BLOCK_BYTES_CPU = 1 << 24
# Scores that a CPU chooses from at once, of several blocks: to choose from many
# takes less time.
_SCORE_BYTES_CPU = 1 << 24
EVEN = 128  # rows of which a block is a multiple, if it is larger

TopK = running_best.TopK


@functools.partial(
  jax.jit, static_argnames=('ahead', 'width'), donate_argnums=0
)
def _put_scores(
  score_BxM: jax.Array,
  brand_BxD: jax.Array,
  numbers: jax.Array,
  column: jax.Array,
  *,
  ahead: int,
  width: int,
) -> jax.Array:
  """Writes the scores of a block from a column on."""
  block_RxD = host_blocks.rows_of(numbers, ahead, width)
  score_BxR = running_best.scores(brand_BxD, block_RxD)
  return jax.lax.dynamic_update_slice(score_BxM, score_BxR, (0, column))


@functools.partial(jax.jit, static_argnames='approximate', donate_argnums=0)
def _take_in(
  best: TopK,
  score_BxM: jax.Array,
  first: jax.Array,
  skip_BxP: jax.Array | None,
  *,
  approximate: bool,
) -> TopK:
  if skip_BxP is not None:
    score_BxM = selection.without(score_BxM, skip_BxP, first)
  return running_best.take_in(best, score_BxM, first, approximate=approximate)


def rows_of_block(num_brands: int, width: int, platform: str) -> int:
  """Returns how many rows of a catalogue a device takes at a time.

  Args:
    num_brands: brands that are searched for.
    width: of a representation.
    platform: of the device.
  """
  block_bytes = _BLOCK_BYTES_CPU if platform == 'cpu' else _BLOCK_BYTES
  rows = max(1024, block_bytes // (4 * (width + num_brands)))
  return rows - rows % EVEN


def check(brand_BxD: Any, catalogue_MxD: Any, k: int, num_rows: int) -> None:
  """Checks that brands, a catalogue and k fit together.

  Raises:
    ValueError: they don't.
  """
  if brand_BxD.ndim != 2 or brand_BxD.shape[1] != catalogue_MxD.shape[1]:
    raise ValueError(
      f'brands {brand_BxD.shape} and catalogue {catalogue_MxD.shape} differ in'
      ' their last dimension'
    )
  if not 1 <= k <= num_rows:
    raise ValueError(f'k={k} is not in 1..{num_rows}, the catalogue')


def _held_rows(
  num_brands: int, rows: int, num_rows: int, block_rows: int | None
) -> int:
  """Returns of how many rows scores are held: of one block, or of several."""
  if block_rows is not None:
    return block_rows if block_rows < rows else block_rows // rows * rows
  if jax.default_backend() == 'cpu':
    rows *= max(1, _SCORE_BYTES_CPU // (4 * num_brands * rows))
  # Even, so that it divides into groups; nobody is in the columns beyond.
  return min(rows, -(-num_rows // EVEN) * EVEN)


def top_k(
  brand_BxD: Any,
  catalogue_MxD: Any,
  *,
  k: int,
  skip_BxP: Any = None,
  block_rows: int | None = None,
  approximate: bool = False,
) -> TopK:
  """Finds the k influencers with the highest inner products, block by block.

  Args:
    brand_BxD: encoded brands.
    catalogue_MxD: encoded influencers, on the host (memory-mapped or not) or
      on device; float32 or bfloat16.
    k: how many, at most M.
    skip_BxP: int32, for each brand rows that are not to be found; -1 for none.
    block_rows: rows of the catalogue that are chosen from at a time; if None,
      about 256 MiB of them, and on a CPU as many as have 16 MiB of scores.
    approximate: whether to take `jax.lax.approx_max_k` within a block, faster
      on TPUs; its recall is 0.95 in expectation.

  Returns:
    NumPy arrays.

  Raises:
    ValueError: sizes that don't fit together, or k is out of range.
  """
  num_rows = len(catalogue_MxD)
  check(brand_BxD, catalogue_MxD, k, num_rows)
  brand_BxD = jnp.asarray(brand_BxD, jnp.float32)
  num_brands, width = brand_BxD.shape
  rows = rows_of_block(num_brands, width, jax.default_backend())
  held = _held_rows(num_brands, rows, num_rows, block_rows)
  if skip_BxP is not None:
    skip_BxP = jnp.asarray(skip_BxP, jnp.int32)
  best = running_best.nothing(num_brands, k)
  score_BxM = None
  for block in host_blocks.blocks(catalogue_MxD, min(rows, held)):
    column = block.first % held
    if score_BxM is None or (column == 0 and num_rows - block.first < held):
      # Nobody is in columns that the last blocks do not fill.
      score_BxM = jnp.full((num_brands, held), -jnp.inf)
    score_BxM = _put_scores(
      score_BxM,
      brand_BxD,
      block.numbers,
      jnp.int32(column),
      ahead=block.ahead,
      width=width,
    )
    end = block.first + block.rows
    if end == num_rows or end % held == 0:
      best = _take_in(
        best,
        score_BxM,
        jnp.int32(block.first - column),
        skip_BxP,
        approximate=approximate,
      )
    # One block at a time: dispatch must not run ahead of memory.
    jax.block_until_ready((best, score_BxM))
  return TopK(*jax.device_get(best))
