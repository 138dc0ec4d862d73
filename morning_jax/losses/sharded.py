"""The all-pairs loss over many devices: a grid of them, or a ring.

No device ever holds the score matrix, [B, B], but a block of it with its mask
and logits at a time. On a grid a device computes one block of [B / a, B / b] in
chunks, and sends least; on a ring n blocks of [B / n, B / n], and holds least
(see `grid_logsumexp` and `ring_logsumexp`).
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from morning_jax.losses import blocks
from morning_jax.losses import grid_logsumexp
from morning_jax.losses import known_pairs
from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.losses import ring_logsumexp
from morning_jax.losses.blocks import Representations

LAYOUTS = ('auto', 'grid', 'ring')
# Most bytes of a device for what a grid gathers, and its gradients: 2 GiB.
_GATHERED = 1 << 31


def axes_of(mesh: Mesh | AbstractMesh) -> tuple[str, ...]:
  """Returns the mesh axes whose devices share the loss.

  All of them, so that no device repeats another's block; none where there is
  one device.
  """
  return () if mesh.empty or mesh.size == 1 else tuple(mesh.axis_names)


def grid_of(axes: tuple[str, ...], num_devices: int) -> grid_logsumexp.Grid:
  """Lays devices out as close to a square as their number allows."""
  height = next(
    h for h in range(math.isqrt(num_devices), 0, -1) if not num_devices % h
  )
  return grid_logsumexp.Grid(axes, height, num_devices // height)


def choose(
  layout: str, num_devices: int, batch_size: int, width: int, dtype: Any = None
) -> str:
  """Chooses between grid and ring.

  A grid of a x b devices sends (a + b - 2) / n of the batch's representations
  forward, and of their gradients backward; a ring sends (n - 1) / n of the
  influencers' twice, and of their gradients. The grid sends less whatever the
  sizes, but holds B / a + B / b representations and their gradients, the ring
  2 B / n.

  Args:
    layout: one of `LAYOUTS`; 'auto' chooses the grid where a device can hold
      what it gathers, in 2 GiB.
    num_devices: n.
    batch_size: B.
    width: of a representation, over all perspectives.
    dtype: type in which representations travel; None for float32.

  Returns:
    'grid' or 'ring'.
  """
  if layout != 'auto':
    return layout
  grid = grid_of((), num_devices)
  rows = batch_size // grid.height + batch_size // grid.width
  bytes_each = jnp.dtype(dtype or jnp.float32).itemsize + 4
  return 'grid' if rows * width * bytes_each <= _GATHERED else 'ring'


def num_blocks(layout: str, num_devices: int, batch_size: int) -> int:
  """Returns how many blocks, or chunks of one, a device computes in turn.

  Args:
    layout: 'grid' or 'ring'.
    num_devices: n.
    batch_size: B.
  """
  if layout == 'ring':
    return num_devices
  grid = grid_of((), num_devices)
  rows = -(-batch_size // num_devices)
  return grid_logsumexp.num_chunks(rows * grid.width, rows * grid.height)


def _pad(x: jax.Array, rows: int, fill: Any = 0) -> jax.Array:
  """Appends rows up to a number."""
  more = ((0, rows - len(x)), *((0, 0),) * (x.ndim - 1))
  return jnp.pad(x, more, constant_values=fill)


def all_pairs_sharded(
  brand: Representations,
  influencer: Representations,
  lists: negative_sampling.PositiveLists,
  brand_B: jax.Array,
  candidate_B: jax.Array,
  *,
  axes: tuple[str, ...],
  margins: Mapping[str, float],
  hinge_weight: float,
  temperature: float,
  valid_B: jax.Array | None = None,
  category_B: jax.Array | None = None,
  category_weight: float = 0.0,
  dtype: Any = None,
  layout: str = 'auto',
  unroll: int = 1,
  mesh: Mesh | None = None,
) -> pairwise.Parts:
  """Computes `pairwise.all_pairs` with the batch's rows spread over devices.

  Value and gradients are those of `pairwise.all_pairs` on the whole batch, up
  to rounding. Differentiate from outside, as with any function.

  Args:
    brand: perspective -> float32 [B, D] representations; row i belongs to the
      batch's i-th positive.
    influencer: perspective -> float32 [B, D], of the same positives. An
      influencer or a brand may be in several rows.
    lists: the positives of each brand; known ones are masked.
    brand_B: brand of each row.
    candidate_B: influencer of each row.
    axes: mesh axes whose devices take part, n together. Where n does not
      divide B, padded rows make up for it. Lists are sharded over the first.
    margins: perspective -> margin of its pairwise hinge.
    hinge_weight: weight of the hinges; 0 leaves them out.
    temperature: divides F inside the softmaxes.
    valid_B: bool, False in padded rows: they count neither as pairs nor as
      anyone's negatives. Their indices must be in range and their
      representations finite. None where there is no padding.
    category_B: int, category of each row's brand; below 0 where unknown.
    category_weight: weight of the softmax within categories; 0 leaves it out.
    dtype: type to which the factors of products are rounded: representations,
      which travel so, and in the backward pass gradients of scores. Products
      add up in float32; sums and softmaxes are float32. None for none.
    layout: one of `LAYOUTS`, see `choose`.
    unroll: blocks, or chunks of one, in one loop body.
    mesh: the mesh; that of `jax.set_mesh` if None.

  Returns:
    The parts of `pairwise.all_pairs`.
  """
  options = blocks.Options(
    axes=axes,
    margins=tuple((k, float(margins[k])) for k in brand if hinge_weight),
    temperature=float(temperature),
    dtype=dtype,
    unroll=unroll,
    within_category=bool(category_weight),
  )
  if valid_B is None:
    valid_B = jnp.ones(brand_B.shape, bool)
  if category_B is None:
    category_B = jnp.full(brand_B.shape, -1)
  devices = (mesh or jax.sharding.get_abstract_mesh()).shape
  size = math.prod(devices[a] for a in axes)
  rows = -(-len(brand_B) // size) * size
  width = sum(x.shape[-1] for x in brand.values())
  layout = choose(layout, size, rows, width, dtype)
  grid = grid_of(axes, size) if layout == 'grid' else None
  brand, influencer, brand_B, candidate_B = jax.tree.map(
    lambda x: _pad(x, rows), (brand, influencer, brand_B, candidate_B)
  )
  valid_B, category_B = _pad(valid_B, rows, False), _pad(category_B, rows, -1)
  known = _known_words(
    lists, brand_B, candidate_B, axes=axes, grid=grid, mesh=mesh
  )

  def of_device(
    brand: Representations,
    influencer: Representations,
    words: jax.Array,
    valid_R: jax.Array,
    category_R: jax.Array,
  ) -> pairwise.Parts:
    # Rounded, with the gradient of the unrounded.
    brand, influencer = jax.tree.map(
      lambda x: x + jax.lax.stop_gradient(blocks.rounded(x, dtype) - x),
      (brand, influencer),
    )
    own = {k: jnp.sum(brand[k] * influencer[k], axis=-1) for k in brand}
    own_score_R = pairwise.join(own)
    if not hinge_weight:
      # F alone is needed: one product, of the joined representations.
      brand, influencer = (
        {'all': jnp.concatenate([x[k] for k in own], axis=-1)}
        for x in (brand, influencer)
      )
      own = {'all': own_score_R}
    if grid is not None:
      of_grid = grid_logsumexp.GridRows(words, valid_R, category_R)
      sums = grid_logsumexp.sums(options, grid, brand, influencer, own, of_grid)
    else:
      of_ring = ring_logsumexp.RingRows(words, valid_R, category_R)
      sums = ring_logsumexp.sums(options, brand, influencer, own, of_ring)

    def add(x_R: jax.Array) -> jax.Array:
      return jax.lax.psum(jnp.sum(x_R), axes)

    num_valid = jnp.maximum(add(valid_R.astype(jnp.float32)), 1.0)
    own_logit_R = own_score_R / temperature

    def softmax(logsumexp_R: jax.Array) -> jax.Array:
      return add((logsumexp_R - own_logit_R) * valid_R) / num_valid

    parts = {
      'softmax_influencers': softmax(sums.row_R),
      'softmax_brands': softmax(sums.column_R),
    }
    if category_weight:
      parts['softmax_category'] = category_weight * softmax(sums.category_R)
    num_negatives = jnp.maximum(add(sums.negatives_R), 1.0)
    for k, hinge_R in sums.hinge.items():
      parts[f'hinge_{k}'] = hinge_weight * add(hinge_R) / num_negatives
    return parts

  spread = PartitionSpec(axes)
  return jax.shard_map(
    of_device,
    mesh=mesh,
    in_specs=spread,
    out_specs=PartitionSpec(),
    # Collectives of groups can't be checked.
    check_vma=grid is None,
  )(brand, influencer, known, valid_B, category_B)


def _known_words(
  lists: negative_sampling.PositiveLists,
  brand_B: jax.Array,
  candidate_B: jax.Array,
  *,
  axes: tuple[str, ...],
  grid: grid_logsumexp.Grid | None,
  mesh: Mesh | None,
) -> jax.Array:
  """Finds every block's known pairs; see `known_pairs.find`."""
  size = (mesh or jax.sharding.get_abstract_mesh()).shape[axes[0]]
  listed_P = lists.candidate_P
  whole = -(-max(len(listed_P), 1) // (size * negative_sampling.LINE))
  listed_P = _pad(listed_P, whole * size * negative_sampling.LINE)

  def of_device(
    start: jax.Array,
    listed_P: jax.Array,
    brand_M: jax.Array,
    candidate_M: jax.Array,
  ) -> jax.Array:
    if grid is not None:
      columns = grid.of_influencers(candidate_M)
    else:
      columns = jax.lax.all_gather(candidate_M, axes, tiled=True)
    return known_pairs.find(
      dataclasses.replace(lists, start=start, candidate_P=listed_P),
      brand_M,
      columns,
      lists_axis=axes[0],
      axes=axes,
      to_block=(lambda x: x) if grid is None else grid.of_brands,
    )

  spread = PartitionSpec(axes)
  return jax.shard_map(
    of_device,
    mesh=mesh,
    in_specs=(PartitionSpec(), PartitionSpec(axes[0]), spread, spread),
    out_specs=spread,
    check_vma=False,
  )(lists.start, listed_P, brand_B, candidate_B)
