"""One turn of the ring: log-sum-exps and hinges of all pairs of a batch.

Every device keeps its brands and passes its influencers to its neighbour, n
times around, and scores one block, [B/n, B/n], at each stop. Blocks are not
stored: the forward pass carries running log-sum-exps (a row's stays, a column's
travels with its influencers), the backward pass goes around once more and
recomputes each block from them, while an influencer's gradient travels with it.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

import flax.struct
import jax
from jax import numpy as jnp

from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.losses import ring_exchange

Representations = Mapping[str, jax.Array]  # perspective -> [rows, D]


# For callers that know it by its former place.
product = pairwise.product


@dataclasses.dataclass(frozen=True)
class Options:
  """What is fixed when a ring is compiled."""

  axes: tuple[str, ...]
  margins: tuple[tuple[str, float], ...]  # empty: no hinges
  temperature: float
  dtype: Any
  unroll: int
  within_category: bool = False


@flax.struct.dataclass
class RingRows:
  """Which accounts the rows and the columns of a device's first block are."""

  lists: negative_sampling.PositiveLists
  brand_R: jax.Array
  candidate_R: jax.Array
  valid_R: jax.Array
  category_R: jax.Array


@flax.struct.dataclass
class Sums:
  """What a device's brands and influencers add to the loss.

  Attributes:
    row_R: log-sum-exp of each brand's logits, its own influencer's included.
    column_R: the same of each influencer, over brands.
    category_R: as `row_R`, over the influencers of the brand's category; of
      the own pair alone where that is not asked for.
    hinge: perspective -> [R] sums of a brand's hinges.
    negatives_R: number of unmasked pairs of each brand.
  """

  row_R: jax.Array
  column_R: jax.Array
  category_R: jax.Array
  hinge: Mapping[str, jax.Array]
  negatives_R: jax.Array


def _masks(
  rows: RingRows, candidate_R: jax.Array, valid_R: jax.Array, stop: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Returns which pairs of a block are negatives, and which are logits.

  Args:
    rows: the device's own rows.
    candidate_R: the influencers that are here at this stop.
    valid_R: which of them are no padding.
    stop: stops behind; at stop 0 a device has its own influencers.
  """
  own_RxR = jnp.eye(len(candidate_R), dtype=bool) & (stop == 0)
  known_RxR = negative_sampling.are_positive(
    rows.lists, rows.brand_R, candidate_R
  )
  negative_RxR = (
    ~known_RxR & ~own_RxR & rows.valid_R[:, None] & valid_R[None, :]
  )
  # Its own pair stays with a padded row too: its log-sum-exp is finite.
  return negative_RxR, negative_RxR | own_RxR


def _scores(
  brand: Representations, influencer: Representations
) -> pairwise.Scores:
  return {k: pairwise.product(brand[k], influencer[k]) for k in brand}


def rounded(tree: Any, dtype: Any) -> Any:
  """Casts arrays for products; `dtype` None leaves them."""
  return jax.tree.map(lambda x: x.astype(dtype or x.dtype), tree)


def _logits(
  scores: pairwise.Scores, kept_RxR: jax.Array, options: Options
) -> jax.Array:
  return jnp.where(
    kept_RxR, pairwise.join(scores) / options.temperature, -jnp.inf
  )


def _within_category(
  logit_RxR: jax.Array,
  rows: RingRows,
  category_R: jax.Array,
  stop: jax.Array,
) -> jax.Array:
  """Keeps the logits of one category, and of the own pairs."""
  own_RxR = jnp.eye(len(category_R), dtype=bool) & (stop == 0)
  same_RxR = pairwise.same_category(rows.category_R, category_R)
  return jnp.where(same_RxR | own_RxR, logit_RxR, -jnp.inf)


def _add_up(
  running: tuple[jax.Array, jax.Array], logit_RxR: jax.Array, *, axis: int
) -> tuple[jax.Array, jax.Array]:
  """Takes a block into running log-sum-exps, top + log(total)."""
  top, total = running
  new_top = jnp.maximum(top, logit_RxR.max(axis))
  shifted = jnp.exp(logit_RxR - jnp.expand_dims(new_top, axis))
  return new_top, total * jnp.exp(top - new_top) + shifted.sum(axis)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def sums(
  options: Options,
  brand: Representations,
  influencer: Representations,
  own: pairwise.Scores,
  rows: RingRows,
) -> Sums:
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
  brand, influencer = rounded((brand, influencer), options.dtype)

  def body(carry: Any, stop: jax.Array) -> Any:
    here, column, row, category, hinge, count_R = carry
    influencer, candidate_R, valid_R, category_R = here
    # Sent while this block is computed.
    arriving = ring_exchange.pass_on(here, options.axes)
    negative_RxR, kept_RxR = _masks(rows, candidate_R, valid_R, stop)
    scores = _scores(brand, influencer)
    logit_RxR = _logits(scores, kept_RxR, options)
    row = _add_up(row, logit_RxR, axis=1)
    column = _add_up(column, logit_RxR, axis=0)
    if options.within_category:
      within_RxR = _within_category(logit_RxR, rows, category_R, stop)
      category = _add_up(category, within_RxR, axis=1)
    for k, margin in options.margins:
      hinge_RxR = jnp.maximum(scores[k] - own[k][:, None] + margin, 0.0)
      hinge = hinge | {
        k: hinge[k] + jnp.where(negative_RxR, hinge_RxR, 0.0).sum(1)
      }
    count_R += negative_RxR.sum(1, dtype=jnp.float32)
    column = ring_exchange.pass_on(column, options.axes)
    return arriving, column, row, category, hinge, count_R

  zero_R = ring_exchange.zeros(rows.brand_R, options.axes)
  # Below every score, yet finite: the first maximum is never inf - inf.
  empty = (zero_R + jnp.finfo(jnp.float32).min, zero_R)
  _, column, row, category, hinge, count_R = ring_exchange.around(
    body,
    (
      (influencer, rows.candidate_R, rows.valid_R, rows.category_R),
      empty,
      empty,
      empty,
      {k: zero_R for k, _ in options.margins},
      zero_R,
    ),
    options.axes,
    unroll=options.unroll,
  )
  return Sums(
    row_R=row[0] + jnp.log(row[1]),
    column_R=column[0] + jnp.log(column[1]),
    category_R=category[0] + jnp.log(category[1])
    if options.within_category
    else pairwise.join(own) / options.temperature,
    hinge=hinge,
    negatives_R=count_R,
  )


def _forward(
  options: Options,
  brand: Representations,
  influencer: Representations,
  own: pairwise.Scores,
  rows: RingRows,
) -> tuple[Sums, Any]:
  out = sums(options, brand, influencer, own, rows)
  kept = out.row_R, out.column_R, out.category_R
  return out, (brand, influencer, own, rows, kept)


def _backward(
  options: Options, residuals: Any, grads: Sums
) -> tuple[Any, Any, Any, None]:
  """Goes around once more; an influencer's gradient travels with it."""
  brand, influencer, own, rows, (row_R, column_R, within_R) = residuals
  brand, influencer = rounded((brand, influencer), options.dtype)

  def body(carry: Any, stop: jax.Array) -> Any:
    here, to_influencer, to_brand, to_own = carry
    influencer, candidate_R, valid_R, category_R, column_R, column_grad_R = here
    arriving = ring_exchange.pass_on(here, options.axes)
    negative_RxR, kept_RxR = _masks(rows, candidate_R, valid_R, stop)
    scores = _scores(brand, influencer)
    logit_RxR = _logits(scores, kept_RxR, options)
    # d logsumexp = softmax.
    to_logit_RxR = (
      jnp.exp(logit_RxR - row_R[:, None]) * grads.row_R[:, None]
      + jnp.exp(logit_RxR - column_R[None, :]) * column_grad_R[None, :]
    )
    if options.within_category:
      within_RxR = _within_category(logit_RxR, rows, category_R, stop)
      to_logit_RxR += (
        jnp.exp(within_RxR - within_R[:, None]) * grads.category_R[:, None]
      )
    to_logit_RxR /= options.temperature
    margins = dict(options.margins)
    for k in brand:
      to_score_RxR = to_logit_RxR
      if k in margins:
        active_RxR = negative_RxR & (
          scores[k] - own[k][:, None] + margins[k] > 0
        )
        push_RxR = jnp.where(active_RxR, grads.hinge[k][:, None], 0.0)
        to_score_RxR = to_score_RxR + push_RxR
        to_own = to_own | {k: to_own[k] - push_RxR.sum(1)}
      to_score_RxR = to_score_RxR.astype(brand[k].dtype)
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
        rows.candidate_R,
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
