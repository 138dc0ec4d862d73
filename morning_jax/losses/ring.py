"""The all-pairs loss over many devices: a ring that passes influencers on.

No device ever holds more than one block of the score matrix, [B/n, B/n], with
its mask and logits, in the forward and in the backward pass: memory grows with
(B/n)^2 and with the representations of B/n accounts (see `ring_logsumexp`).
"""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.losses import ring_logsumexp
from morning_jax.losses.ring_logsumexp import Representations


def axes_of(mesh: Mesh | AbstractMesh) -> tuple[str, ...]:
  """Returns the mesh axes whose devices form the ring.

  All of them, so that no device repeats another's block; none where there is
  one device.
  """
  return () if mesh.empty or mesh.size == 1 else tuple(mesh.axis_names)


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
    axes: mesh axes whose devices form the ring, n together. Where n does not
      divide B, padded rows make up for it.
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
    unroll: blocks in one loop body.
    mesh: the mesh; that of `jax.set_mesh` if None.

  Returns:
    The parts of `pairwise.all_pairs`.
  """
  options = ring_logsumexp.Options(
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
  brand, influencer, brand_B, candidate_B = jax.tree.map(
    lambda x: _pad(x, rows), (brand, influencer, brand_B, candidate_B)
  )
  valid_B, category_B = _pad(valid_B, rows, False), _pad(category_B, rows, -1)

  def of_device(
    brand: Representations,
    influencer: Representations,
    lists: negative_sampling.PositiveLists,
    *of_rows: jax.Array,
  ) -> pairwise.Parts:
    own_rows = ring_logsumexp.RingRows(lists, *of_rows)
    # Rounded, with the gradient of the unrounded.
    brand, influencer = jax.tree.map(
      lambda x: x + jax.lax.stop_gradient(ring_logsumexp.rounded(x, dtype) - x),
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
    sums = ring_logsumexp.sums(options, brand, influencer, own, own_rows)

    def add(x_R: jax.Array) -> jax.Array:
      return jax.lax.psum(jnp.sum(x_R), axes)

    valid_R = own_rows.valid_R
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
    in_specs=(spread, spread, PartitionSpec(), *(spread,) * 4),
    out_specs=PartitionSpec(),
  )(brand, influencer, lists, brand_B, candidate_B, valid_B, category_B)
