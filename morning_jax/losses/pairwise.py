"""Ranking losses (eq. 28-32), as pure functions of scores.

Scores come per perspective; `sum` over the perspectives is the score F. Each
loss returns its parts, which the caller adds up (`total`) and logs.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import operator
from typing import Any

import jax
from jax import numpy as jnp

Scores = Mapping[str, jax.Array]  # perspective -> scores
Parts = dict[str, jax.Array]  # loss part -> scalar

# A triplet counts as active where its hinge is over this (`release`).
_ACTIVE = 1e-16
# Added to the softmax inside the logarithm (`release`).
_FLOOR = 1e-16


def join(scores: Scores) -> jax.Array:
  """Adds the perspectives' scores up to F (eq. 19)."""
  return functools.reduce(operator.add, scores.values())


def total(parts: Parts) -> jax.Array:
  """Adds the parts up to the scalar that is minimised."""
  return sum(parts.values(), jnp.zeros(()))


def product(
  x_BxD: jax.Array, y_MxD: jax.Array, *, dtype: Any = None
) -> jax.Array:
  """Computes the inner product of every brand with every influencer.

  Products are added up in float32, whatever the type of the factors.

  Args:
    x_BxD: of the brands.
    y_MxD: of the influencers.
    dtype: type to which the factors are rounded before; None leaves them.

  Returns:
    float32 [B, M].
  """
  return jnp.matmul(
    x_BxD.astype(dtype or x_BxD.dtype),
    y_MxD.astype(dtype or y_MxD.dtype).T,
    preferred_element_type=jnp.float32,
  )


def l1_norm(params: Mapping) -> jax.Array:
  """Sums |w| over all weight matrices, not over biases or vectors."""
  return sum(
    (
      jnp.sum(jnp.abs(leaf))
      for path, leaf in jax.tree_util.tree_leaves_with_path(params)
      if path[-1].key == 'kernel'
    ),
    jnp.zeros(()),
  )


def l2_penalty(params: Mapping) -> jax.Array:
  """Sums w^2 over weight matrices, and half of it over the inputs' gains."""
  weight = {'kernel': 1.0, 'gain': 0.5}
  return sum(
    (
      weight[path[-1].key] * jnp.sum(jnp.square(leaf))
      for path, leaf in jax.tree_util.tree_leaves_with_path(params)
      if path[-1].key in weight
    ),
    jnp.zeros(()),
  )


def triplet(
  positive: Scores,
  negative: Scores,
  *,
  margins: Mapping[str, float],
  variant: str,
  score_weights: Mapping[str, float],
) -> Parts:
  """Computes hinge and cross entropy of triplets (eq. 28-32).

  Args:
    positive: perspective -> [P] scores of positives.
    negative: perspective -> [P, N] scores of the negatives drawn for them.
    margins: perspective -> margin of its hinge.
    variant: 'paper': hinges are averaged over all triplets; 'release': over
      those that violate the margin, and the softmax in the logarithm has a
      floor of 1e-16, as the authors' program has it.
    score_weights: perspective -> weight of its mean score, positives and
      negatives alike, as an extra signed term; empty for none.

  Returns:
    `hinge_<perspective>`, `cross_entropy` and, with weights,
    `score_regularization`.
  """
  parts: Parts = {}
  for k in positive:
    hinge_PxN = jnp.maximum(
      negative[k] - positive[k][:, None] + margins[k], 0.0
    )
    if variant == 'release':
      active = jnp.sum(hinge_PxN > _ACTIVE)
      parts[f'hinge_{k}'] = jnp.sum(hinge_PxN) / (active + _ACTIVE)
    else:
      parts[f'hinge_{k}'] = jnp.mean(hinge_PxN)
  gap_PxN = join(negative) - join(positive)[:, None]
  if variant == 'release':
    cross_entropy_PxN = -jnp.log(jax.nn.sigmoid(-gap_PxN) + _FLOOR)
  else:
    cross_entropy_PxN = jax.nn.softplus(gap_PxN)
  parts['cross_entropy'] = jnp.mean(cross_entropy_PxN)
  if score_weights:
    parts['score_regularization'] = join(
      {
        k: score_weights[k] * (jnp.mean(positive[k]) + jnp.mean(negative[k]))
        for k in positive
      }
    )
  return parts


def same_category(category_B: jax.Array, category_M: jax.Array) -> jax.Array:
  """Tells which pairs are of one known category, bool [B, M]."""
  return (category_B[:, None] == category_M[None, :]) & (
    category_B[:, None] >= 0
  )


def all_pairs(
  scores: Scores,
  known_BxB: jax.Array,
  *,
  margins: Mapping[str, float],
  hinge_weight: float,
  temperature: float,
  category_B: jax.Array | None = None,
  category_weight: float = 0.0,
) -> Parts:
  """Computes losses of every brand of a batch against every influencer.

  Row i and column i of the scores belong to the batch's i-th positive. Other
  known positives are masked, so that no cooperation counts as a negative.

  Args:
    scores: perspective -> [B, B].
    known_BxB: bool, True where the pair is a known positive; its diagonal is
      True.
    margins: perspective -> margin of its pairwise hinge.
    hinge_weight: weight of the hinges; 0 leaves them out.
    temperature: divides F inside the softmaxes.
    category_B: int, category of each row's brand; below 0 where unknown. An
      influencer counts as of the category of the brand in its row.
    category_weight: weight of the softmax within categories; 0 leaves it out.

  Returns:
    `softmax_influencers` (brand to influencers), `softmax_brands` (influencer
    to brands) and, with a weight, `softmax_category` (brand to influencers of
    its category) and `hinge_<perspective>`, averaged over the unmasked pairs.
  """
  own_BxB = jnp.eye(len(known_BxB), dtype=bool)
  masked_BxB = known_BxB & ~own_BxB
  logit_BxB = jnp.where(masked_BxB, -jnp.inf, join(scores) / temperature)
  own_B = jnp.diagonal(logit_BxB)
  parts: Parts = {
    'softmax_influencers': jnp.mean(
      jax.nn.logsumexp(logit_BxB, axis=1) - own_B
    ),
    'softmax_brands': jnp.mean(jax.nn.logsumexp(logit_BxB, axis=0) - own_B),
  }
  if category_weight:
    assert category_B is not None
    same_BxB = same_category(category_B, category_B) | own_BxB
    within_BxB = jnp.where(same_BxB, logit_BxB, -jnp.inf)
    parts['softmax_category'] = category_weight * jnp.mean(
      jax.nn.logsumexp(within_BxB, axis=1) - own_B
    )
  if hinge_weight:
    negative_BxB = ~known_BxB
    count = jnp.maximum(jnp.sum(negative_BxB), 1)
    for k, score_BxB in scores.items():
      hinge_BxB = jnp.maximum(
        score_BxB - jnp.diagonal(score_BxB)[:, None] + margins[k], 0.0
      )
      parts[f'hinge_{k}'] = (
        hinge_weight * jnp.sum(jnp.where(negative_BxB, hinge_BxB, 0.0)) / count
      )
  return parts
