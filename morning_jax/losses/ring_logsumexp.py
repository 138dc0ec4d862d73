"""One turn of the ring: log-sum-exps and hinges of all pairs of a batch.

Every device keeps its brands and passes its influencers to its neighbour, n
times around, and scores one block, [B/n, B/n], at each stop. Blocks are not
stored: the forward pass carries running log-sum-exps (a row's stays, a column's
travels with its influencers), the backward pass goes around once more and
recomputes each block from them, while an influencer's gradient travels with it.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.struct
import jax
from jax import numpy as jnp

from morning_jax.losses import blocks
from morning_jax.losses import known_pairs
from morning_jax.losses import pairwise
from morning_jax.losses import ring_exchange
from morning_jax.losses.blocks import Representations


@flax.struct.dataclass
class RingRows:
  """What is known of the rows and the columns of a device's first block.

  Attributes:
    word_BxW: known pairs of this device's brands with the influencers of all
      devices, one device after another (`known_pairs.find`).
    valid_R: which are no padding.
    category_R: category of each row's brand.
  """

  word_BxW: jax.Array
  valid_R: jax.Array
  category_R: jax.Array


def _masks(
  rows: RingRows, valid_R: jax.Array, stop: jax.Array, axes: tuple[str, ...]
) -> blocks.Masks:
  """Tells what the pairs of a block are.

  Args:
    rows: of the device itself.
    valid_R: which of the influencers that are here are no padding.
    stop: stops behind; at stop 0 a device has its own influencers.
    axes: the mesh axes whose devices form the ring.
  """
  count = len(valid_R)
  # Whose influencers are here.
  source = (jax.lax.axis_index(axes) - stop) % jax.lax.axis_size(axes)
  word_RxW = jax.lax.dynamic_slice_in_dim(rows.word_BxW, source * count, count)
  return blocks.masks(
    jnp.eye(count, dtype=bool) & (stop == 0),
    known_pairs.known(word_RxW, count),
    rows.valid_R,
    valid_R,
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def sums(
  options: blocks.Options,
  brand: Representations,
  influencer: Representations,
  own: pairwise.Scores,
  rows: RingRows,
) -> blocks.Sums:
  """Goes around the ring once; runs on each device, under `shard_map`.

  Args:
    options: what is fixed.
    brand: perspective -> [R, D].
    influencer: perspective -> [R, D], of the same pairs.
    own: perspective -> [R] scores of those pairs.
    rows: who they are.

  Returns:
    The sums; their gradients take the ring as well.
  """
  brand, influencer = blocks.rounded((brand, influencer), options.dtype)

  def body(carry: Any, stop: jax.Array) -> Any:
    here, column, row, category, hinge, count_R = carry
    influencer, valid_R, category_R = here
    # Sent while this block is computed.
    arriving = ring_exchange.pass_on(here, options.axes)
    of_block = _masks(rows, valid_R, stop, options.axes)
    scores = blocks.scores(brand, influencer)
    logit_RxR = blocks.logits(scores, of_block.kept_RxC, options)
    row = blocks.add_up(row, logit_RxR, axis=1)
    column = blocks.add_up(column, logit_RxR, axis=0)
    if options.within_category:
      within_RxR = blocks.within_category(
        logit_RxR, of_block.own_RxC, rows.category_R, category_R
      )
      category = blocks.add_up(category, within_RxR, axis=1)
    more = blocks.hinges(scores, own, of_block.negative_RxC, options)
    hinge = {k: hinge[k] + more[k] for k in hinge}
    count_R += of_block.negative_RxC.sum(1, dtype=jnp.float32)
    column = ring_exchange.pass_on(column, options.axes)
    return arriving, column, row, category, hinge, count_R

  zero_R = ring_exchange.zeros(rows.valid_R, options.axes)
  # Below every score, yet finite: the first maximum is never inf - inf.
  empty = (zero_R + jnp.finfo(jnp.float32).min, zero_R)
  _, column, row, category, hinge, count_R = ring_exchange.around(
    body,
    (
      (influencer, rows.valid_R, rows.category_R),
      empty,
      empty,
      empty,
      {k: zero_R for k, _ in options.margins},
      zero_R,
    ),
    options.axes,
    unroll=options.unroll,
  )
  return blocks.Sums(
    row_R=row[0] + jnp.log(row[1]),
    column_R=column[0] + jnp.log(column[1]),
    category_R=category[0] + jnp.log(category[1])
    if options.within_category
    else pairwise.join(own) / options.temperature,
    hinge=hinge,
    negatives_R=count_R,
  )


def _forward(
  options: blocks.Options,
  brand: Representations,
  influencer: Representations,
  own: pairwise.Scores,
  rows: RingRows,
) -> tuple[blocks.Sums, Any]:
  out = sums(options, brand, influencer, own, rows)
  kept = out.row_R, out.column_R, out.category_R
  return out, (brand, influencer, own, rows, kept)


def _backward(
  options: blocks.Options, residuals: Any, grads: blocks.Sums
) -> tuple[Any, Any, Any, None]:
  """Goes around once more; an influencer's gradient travels with it."""
  brand, influencer, own, rows, (row_R, column_R, within_R) = residuals
  brand, influencer = blocks.rounded((brand, influencer), options.dtype)

  def body(carry: Any, stop: jax.Array) -> Any:
    here, to_influencer, to_brand, to_own = carry
    influencer, valid_R, category_R, column_R, column_grad_R = here
    arriving = ring_exchange.pass_on(here, options.axes)
    to_scores, more = blocks.score_gradients(
      blocks.scores(brand, influencer),
      own,
      _masks(rows, valid_R, stop, options.axes),
      options,
      row=(row_R, grads.row_R),
      column=(column_R, column_grad_R),
      category=(within_R, grads.category_R, rows.category_R, category_R),
      hinge=grads.hinge,
    )
    to_own = to_own | {k: to_own[k] + v for k, v in more.items()}
    for k, to_score_RxR in blocks.rounded(to_scores, options.dtype).items():
      to_brand = to_brand | {
        k: to_brand[k] + pairwise.product(to_score_RxR, influencer[k].T)
      }
      to_influencer = to_influencer | {
        k: to_influencer[k] + pairwise.product(to_score_RxR.T, brand[k].T)
      }
    to_influencer = ring_exchange.pass_on(to_influencer, options.axes)
    return arriving, to_influencer, to_brand, to_own

  _, to_influencer, to_brand, to_own = ring_exchange.around(
    body,
    (
      (
        influencer,
        rows.valid_R,
        rows.category_R,
        column_R,
        grads.column_R,
      ),
      ring_exchange.zeros(influencer, options.axes),
      ring_exchange.zeros(brand, options.axes),
      ring_exchange.zeros(own, options.axes),
    ),
    options.axes,
    unroll=options.unroll,
  )
  return to_brand, to_influencer, to_own, None


sums.defvjp(_forward, _backward)
