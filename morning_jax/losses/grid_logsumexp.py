"""A grid of devices: log-sum-exps and hinges of all pairs of a batch.

Device (i, j) of a grid of a x b scores the brands of all devices (i, *) against
the influencers of all devices (*, j), so that every pair is in one block. Each
device gathers b devices' brands and a devices' influencers, n = a b, and in the
backward pass adds up as many gradients: what it sends grows with B / sqrt(n),
where a ring sends every influencer past every device. A block is computed in
chunks of columns; the backward pass computes each chunk again.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import flax.struct
import jax
from jax import numpy as jnp

from morning_jax.losses import blocks
from morning_jax.losses import known_pairs
from morning_jax.losses import pairwise
from morning_jax.losses.blocks import Representations

# Most scores of a chunk: 256 MiB of float32.
_CHUNK = 1 << 26


@dataclasses.dataclass(frozen=True)
class Grid:
  """Devices in rows and columns, in the order of the mesh, row by row.

  Attributes:
    axes: mesh axes whose devices take part.
    height: number of rows, a.
    width: number of columns, b.
  """

  axes: tuple[str, ...]
  height: int
  width: int

  @property
  def rows(self) -> list[list[int]]:
    """The devices of each row."""
    return [
      [i * self.width + j for j in range(self.width)]
      for i in range(self.height)
    ]

  @property
  def columns(self) -> list[list[int]]:
    """The devices of each column."""
    return [list(column) for column in zip(*self.rows, strict=True)]

  def place(self) -> tuple[jax.Array, jax.Array]:
    """Returns in which row and which column this device is."""
    index = jax.lax.axis_index(self.axes)
    return index // self.width, index % self.width

  def gather(self, tree: Any, groups: list[list[int]]) -> Any:
    """Joins the rows of arrays of the devices of this one's group."""
    return jax.tree.map(
      lambda x: jax.lax.all_gather(
        x, self.axes, axis_index_groups=groups, tiled=True
      ),
      tree,
    )

  def scatter_sums(self, tree: Any, groups: list[list[int]]) -> Any:
    """Adds arrays up over a group; each device gets its own rows."""
    return jax.tree.map(
      lambda x: jax.lax.psum_scatter(
        x,
        self.axes,
        axis_index_groups=groups,
        scatter_dimension=0,
        tiled=True,
      ),
      tree,
    )

  def of_brands(self, tree: Any) -> Any:
    """Makes the rows of this device's block of those of its devices."""
    return self.gather(tree, self.rows)

  def of_influencers(self, tree: Any) -> Any:
    """Makes the columns of this device's block of those of its devices."""
    return self.gather(tree, self.columns)


@flax.struct.dataclass
class GridRows:
  """What is known of a device's own rows, and of its block.

  Attributes:
    word_CxW: known pairs of the block (`known_pairs.find`).
    valid_M: which own rows are no padding.
    category_M: category of each own row's brand.
  """

  word_CxW: jax.Array
  valid_M: jax.Array
  category_M: jax.Array


@flax.struct.dataclass
class _Side:
  """The rows, or the columns, of a block."""

  number: jax.Array  # of the pair in the batch
  valid: jax.Array
  category: jax.Array


def _sides(rows: GridRows, grid: Grid) -> tuple[_Side, _Side]:
  count = len(rows.valid_M)
  own = _Side(
    number=jax.lax.axis_index(grid.axes) * count + jnp.arange(count),
    valid=rows.valid_M,
    category=rows.category_M,
  )
  return grid.of_brands(own), grid.of_influencers(own)


def num_chunks(num_rows: int, num_columns: int) -> int:
  """Returns into how many chunks of columns a block is cut."""
  fewest = -(-num_rows * num_columns // _CHUNK)
  return next(n for n in range(fewest, num_columns + 1) if num_columns % n == 0)


def _in_chunks(tree: Any, chunks: int) -> Any:
  return jax.tree.map(
    lambda x: x.reshape(chunks, len(x) // chunks, *x.shape[1:]), tree
  )


def _masks(brands: _Side, columns: _Side, word_CxW: jax.Array) -> blocks.Masks:
  return blocks.masks(
    brands.number[:, None] == columns.number[None, :],
    known_pairs.known(word_CxW, len(brands.number)),
    brands.valid,
    columns.valid,
  )


def _over_group(
  grid: Grid,
  parts: tuple[jax.Array, jax.Array],
  groups: list[list[int]],
) -> jax.Array:
  """Joins running log-sum-exps of the blocks of a group."""
  top, total = jax.lax.all_gather(
    parts, grid.axes, axis_index_groups=groups, tiled=False
  )
  most = top.max(0)
  return most + jnp.log(jnp.sum(total * jnp.exp(top - most), axis=0))


def _block_sums(
  options: blocks.Options,
  grid: Grid,
  brand: Representations,
  influencer: Representations,
  own: pairwise.Scores,
  sides: tuple[_Side, _Side],
  word_CxW: jax.Array,
) -> tuple[Any, ...]:
  """Sums of this device's block; rows and columns as in `blocks.Sums`."""
  brands, columns = sides
  chunks = num_chunks(len(brands.number), len(columns.number))
  zero_R = jnp.zeros(len(brands.number))
  # Below every score, yet finite: the first maximum is never inf - inf.
  empty = (zero_R + jnp.finfo(jnp.float32).min, zero_R)

  def body(carry: Any, chunk: Any) -> Any:
    row, category, hinge, count_R = carry
    influencer, side, word_CxW = chunk
    of_block = _masks(brands, side, word_CxW)
    scores = blocks.scores(brand, influencer)
    logit_RxC = blocks.logits(scores, of_block.kept_RxC, options)
    row = blocks.add_up(row, logit_RxC, axis=1)
    zero_C = jnp.zeros(len(side.number))
    start = (zero_C + jnp.finfo(jnp.float32).min, zero_C)
    column = blocks.add_up(start, logit_RxC, axis=0)
    if options.within_category:
      within_RxC = blocks.within_category(
        logit_RxC, of_block.own_RxC, brands.category, side.category
      )
      category = blocks.add_up(category, within_RxC, axis=1)
    more = blocks.hinges(scores, own, of_block.negative_RxC, options)
    hinge = {k: hinge[k] + more[k] for k in hinge}
    count_R += of_block.negative_RxC.sum(1, dtype=jnp.float32)
    return (row, category, hinge, count_R), column

  (row, category, hinge, count_R), column = jax.lax.scan(
    body,
    (empty, empty, {k: zero_R for k, _ in options.margins}, zero_R),
    _in_chunks((influencer, columns, word_CxW), chunks),
    unroll=min(options.unroll, chunks),
  )
  column = jax.tree.map(lambda x: x.reshape(-1), column)
  row_R = _over_group(grid, row, grid.rows)
  column_C = _over_group(grid, column, grid.columns)
  category_R = (
    _over_group(grid, category, grid.rows) if options.within_category else row_R
  )
  return row_R, column_C, category_R, hinge, count_R


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def sums(
  options: blocks.Options,
  grid: Grid,
  brand: Representations,
  influencer: Representations,
  own: pairwise.Scores,
  rows: GridRows,
) -> blocks.Sums:
  """Computes this device's block; runs on each device, under `shard_map`.

  Args:
    options: what is fixed.
    grid: how the devices are laid out.
    brand: perspective -> [M, D], of this device's own rows.
    influencer: perspective -> [M, D], of the same pairs.
    own: perspective -> [M] scores of those pairs.
    rows: who they are.

  Returns:
    The sums of the own rows; their gradients take the grid as well.
  """
  return _forward(options, grid, brand, influencer, own, rows)[0]


def _forward(
  options: blocks.Options,
  grid: Grid,
  brand: Representations,
  influencer: Representations,
  own: pairwise.Scores,
  rows: GridRows,
) -> tuple[blocks.Sums, Any]:
  count = len(rows.valid_M)
  brand, influencer = blocks.rounded((brand, influencer), options.dtype)
  brand, influencer = grid.of_brands(brand), grid.of_influencers(influencer)
  own_R = grid.of_brands({k: own[k] for k, _ in options.margins})
  row_R, column_C, category_R, hinge, count_R = _block_sums(
    options,
    grid,
    brand,
    influencer,
    own_R,
    _sides(rows, grid),
    rows.word_CxW,
  )
  i, j = grid.place()

  def mine(x: jax.Array, place: jax.Array) -> jax.Array:
    return jax.lax.dynamic_slice_in_dim(x, place * count, count)

  hinge, count_M = grid.scatter_sums((hinge, count_R), grid.rows)
  found = blocks.Sums(
    row_R=mine(row_R, j),
    column_R=mine(column_C, i),
    category_R=mine(category_R, j)
    if options.within_category
    else pairwise.join(own) / options.temperature,
    hinge=hinge,
    negatives_R=count_M,
  )
  kept = (row_R, column_C, category_R)
  return found, (brand, influencer, own, own_R, rows, kept)


def _backward(
  options: blocks.Options, grid: Grid, residuals: Any, grads: blocks.Sums
) -> tuple[Any, Any, Any, None]:
  """Computes each chunk again, and sends gradients to whose rows they are."""
  brand, influencer, own, own_R, rows, kept = residuals
  row_R, column_C, within_R = kept
  brands, columns = _sides(rows, grid)
  to_row, to_within, to_hinge = grid.of_brands(
    (grads.row_R, grads.category_R, dict(grads.hinge))
  )
  to_column = grid.of_influencers(grads.column_R)

  def body(carry: Any, chunk: Any) -> Any:
    to_brand, to_own = carry
    influencer, side, word_CxW, column_C, to_column_C = chunk
    to_scores, more = blocks.score_gradients(
      blocks.scores(brand, influencer),
      own_R,
      _masks(brands, side, word_CxW),
      options,
      row=(row_R, to_row),
      column=(column_C, to_column_C),
      category=(within_R, to_within, brands.category, side.category),
      hinge=to_hinge,
    )
    to_own = {k: to_own[k] + more[k] for k in to_own}
    to_influencer = {}
    for k, to_score_RxC in blocks.rounded(to_scores, options.dtype).items():
      to_brand = to_brand | {
        k: to_brand[k] + pairwise.product(to_score_RxC, influencer[k].T)
      }
      to_influencer[k] = pairwise.product(to_score_RxC.T, brand[k].T)
    return (to_brand, to_own), to_influencer

  chunks = num_chunks(len(brands.number), len(columns.number))
  (to_brand, to_own), to_influencer = jax.lax.scan(
    body,
    (
      jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), brand),
      jax.tree.map(jnp.zeros_like, own_R),
    ),
    _in_chunks(
      (influencer, columns, rows.word_CxW, column_C, to_column), chunks
    ),
    unroll=min(options.unroll, chunks),
  )
  to_influencer = jax.tree.map(
    lambda x: x.reshape(-1, x.shape[-1]), to_influencer
  )
  to_brand, to_own = grid.scatter_sums((to_brand, to_own), grid.rows)
  to_influencer = grid.scatter_sums(to_influencer, grid.columns)
  to_own = {k: to_own.get(k, jnp.zeros_like(v)) for k, v in own.items()}
  if not options.within_category:
    to_own = {
      k: v + grads.category_R / options.temperature for k, v in to_own.items()
    }
  return to_brand, to_influencer, to_own, None


sums.defvjp(_forward, _backward)
