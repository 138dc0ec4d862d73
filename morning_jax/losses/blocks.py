"""A block of the score matrix: what the ring and the grid do with one.

A block's rows are brands and its columns influencers; a row's log-sum-exp and a
column's are put together from those of blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

import flax.struct
import jax
from jax import numpy as jnp

from morning_jax.losses import pairwise

Representations = Mapping[str, jax.Array]  # perspective -> [rows, D]


@dataclasses.dataclass(frozen=True)
class Options:
  """What is fixed when a loss over many devices is compiled.

  Attributes:
    axes: mesh axes whose devices take part.
    margins: perspective and margin of each hinge; empty: no hinges.
    temperature: divides F inside the softmaxes.
    dtype: type of the factors of products.
    unroll: blocks, or chunks of one, in one loop body.
    within_category: whether there is a softmax within categories.
  """

  axes: tuple[str, ...]
  margins: tuple[tuple[str, float], ...]
  temperature: float
  dtype: Any
  unroll: int
  within_category: bool = False


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


@flax.struct.dataclass
class Masks:
  """What the pairs of a block are.

  Attributes:
    own_RxC: the pairs of the batch itself.
    negative_RxC: neither own nor known, and no padding.
  """

  own_RxC: jax.Array
  negative_RxC: jax.Array

  @property
  def kept_RxC(self) -> jax.Array:
    """Which pairs have a logit."""
    # Its own pair stays with a padded row too: its log-sum-exp is finite.
    return self.negative_RxC | self.own_RxC


def masks(
  own_RxC: jax.Array,
  known_RxC: jax.Array,
  valid_R: jax.Array,
  valid_C: jax.Array,
) -> Masks:
  """Tells what the pairs of a block are.

  Args:
    own_RxC: the pairs of the batch itself.
    known_RxC: the known positives.
    valid_R: which rows are no padding.
    valid_C: which columns are no padding.
  """
  return Masks(
    own_RxC=own_RxC,
    negative_RxC=~known_RxC & ~own_RxC & valid_R[:, None] & valid_C[None, :],
  )


def rounded(tree: Any, dtype: Any) -> Any:
  """Casts arrays for products; `dtype` None leaves them."""
  return jax.tree.map(lambda x: x.astype(dtype or x.dtype), tree)


def scores(
  brand: Representations, influencer: Representations
) -> pairwise.Scores:
  """Returns perspective -> [R, C]."""
  return {k: pairwise.product(brand[k], influencer[k]) for k in brand}


def logits(
  of_pairs: pairwise.Scores, kept_RxC: jax.Array, options: Options
) -> jax.Array:
  """Returns [R, C], -inf where a pair is masked."""
  return jnp.where(
    kept_RxC, pairwise.join(of_pairs) / options.temperature, -jnp.inf
  )


def within_category(
  logit_RxC: jax.Array,
  own_RxC: jax.Array,
  category_R: jax.Array,
  category_C: jax.Array,
) -> jax.Array:
  """Keeps the logits of one category, and of the own pairs."""
  same_RxC = pairwise.same_category(category_R, category_C)
  return jnp.where(same_RxC | own_RxC, logit_RxC, -jnp.inf)


def add_up(
  running: tuple[jax.Array, jax.Array], logit_RxC: jax.Array, *, axis: int
) -> tuple[jax.Array, jax.Array]:
  """Takes a block into running log-sum-exps, top + log(total)."""
  top, total = running
  new_top = jnp.maximum(top, logit_RxC.max(axis))
  shifted = jnp.exp(logit_RxC - jnp.expand_dims(new_top, axis))
  return new_top, total * jnp.exp(top - new_top) + shifted.sum(axis)


def hinges(
  of_pairs: pairwise.Scores,
  own: pairwise.Scores,
  negative_RxC: jax.Array,
  options: Options,
) -> dict[str, jax.Array]:
  """Returns perspective -> [R] sums of the rows' hinges."""
  found = {}
  for k, margin in options.margins:
    hinge_RxC = jnp.maximum(of_pairs[k] - own[k][:, None] + margin, 0.0)
    found[k] = jnp.where(negative_RxC, hinge_RxC, 0.0).sum(1)
  return found


def score_gradients(
  of_pairs: pairwise.Scores,
  own: pairwise.Scores,
  of_block: Masks,
  options: Options,
  *,
  row: tuple[jax.Array, jax.Array],
  column: tuple[jax.Array, jax.Array],
  category: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
  hinge: Mapping[str, jax.Array],
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
  """Computes the gradient of a loss by the scores of a block.

  Args:
    of_pairs: perspective -> [R, C] scores.
    own: perspective -> [R] scores of the rows' own pairs.
    of_block: what the pairs are.
    options: what is fixed.
    row: log-sum-exp of each row, over all blocks, and the gradient by it.
    column: the same of each column.
    category: the same of each row within its category; the categories of rows
      and of columns.
    hinge: perspective -> [R] gradient by the sum of a row's hinges.

  Returns:
    Perspective -> [R, C] gradient by the scores; and perspective -> [R], of
    those with hinges, gradient by the own scores.
  """
  logit_RxC = logits(of_pairs, of_block.kept_RxC, options)
  # d logsumexp = softmax.
  to_logit_RxC = (
    jnp.exp(logit_RxC - row[0][:, None]) * row[1][:, None]
    + jnp.exp(logit_RxC - column[0][None, :]) * column[1][None, :]
  )
  if options.within_category:
    within_R, grad_R, category_R, category_C = category
    within_RxC = within_category(
      logit_RxC, of_block.own_RxC, category_R, category_C
    )
    to_logit_RxC += jnp.exp(within_RxC - within_R[:, None]) * grad_R[:, None]
  to_logit_RxC /= options.temperature
  margins = dict(options.margins)
  to_scores, to_own = {}, {}
  for k, score_RxC in of_pairs.items():
    to_scores[k] = to_logit_RxC
    if k in margins:
      active_RxC = of_block.negative_RxC & (
        score_RxC - own[k][:, None] + margins[k] > 0
      )
      push_RxC = jnp.where(active_RxC, hinge[k][:, None], 0.0)
      to_scores[k] = to_logit_RxC + push_RxC
      to_own[k] = -push_RxC.sum(1)
  return to_scores, to_own
