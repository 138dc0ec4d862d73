"""The best of a catalogue so far, to which blocks of scores are added in order.

Once k are found, a row enters only with a score above the last of them: an
equal one comes later in the catalogue, and of equal scores the lower row comes
first. So a block's scores are compared by the maxima of groups with that
threshold, and only groups above it are looked into. After n rows, a block of r
more has k r / n of them on average for rows in random order; where a block has
more than there is room for, as in the first blocks or a sorted catalogue, all
of its groups take part (`selection.best`). Nothing is dropped in either case.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
from jax import numpy as jnp

from morning_jax.recommend import selection

# Rooms for groups above the threshold, of each brand: the smallest that is
# enough for all brands is taken.
_ROOMS = (8, 32)


class TopK(NamedTuple):
  """The best of a catalogue for each brand, best first.

  A row whose score is NaN or -inf can't be compared and is never among them.
  Where fewer than k rows can be, the list ends in scores -inf and rows -1.

  Attributes:
    scores: float32 [B, k].
    rows: int32 [B, k] rows of the catalogue, each at most once; or -1.
  """

  scores: Any
  rows: Any


def scores(brand_BxD: jax.Array, influencer_MxD: jax.Array) -> jax.Array:
  """Returns inner products in float32 [B, M], comparable all of them.

  Args:
    brand_BxD: encoded brands.
    influencer_MxD: encoded influencers, float32 or bfloat16.

  Returns:
    Products of full precision: of either zero +0, of NaN -inf, as `top_k`
    takes -0 and 0 for different scores and NaN for the highest of all.
  """
  score_BxM = jnp.matmul(
    brand_BxD.astype(jnp.float32),
    influencer_MxD.astype(jnp.float32).T,
    precision=jax.lax.Precision.HIGHEST,
  )
  score_BxM = jnp.where(score_BxM == 0, 0.0, score_BxM)
  return jnp.where(jnp.isnan(score_BxM), -jnp.inf, score_BxM)


def nothing(num_brands: int, k: int) -> TopK:
  """Returns lists without a row, which stay before rows of score -inf."""
  return TopK(
    jnp.full((num_brands, k), -jnp.inf),
    jnp.full((num_brands, k), -1, jnp.int32),
  )


def of_lists(score_BxL: jax.Array, row_BxL: jax.Array, k: int) -> TopK:
  """Takes the best of lists that are side by side, lower rows first.

  Args:
    score_BxL: scores, comparable.
    row_BxL: int32, their rows of the catalogue.
    k: how many, at most L.
  """
  score_Bxk, place_Bxk = jax.lax.top_k(score_BxL, k)
  return TopK(score_Bxk, jnp.take_along_axis(row_BxL, place_Bxk, axis=1))


def take_in(
  best: TopK, score_BxM: jax.Array, first: jax.Array, *, approximate: bool
) -> TopK:
  """Adds the scores of the next rows of a catalogue.

  Args:
    best: of the rows before.
    score_BxM: see `scores`.
    first: int32, the catalogue's row of the first column; above all of `best`.
    approximate: whether to take `jax.lax.approx_max_k` in place of an exact
      selection.
  """
  k = best.rows.shape[1]
  count = score_BxM.shape[1]
  if approximate:
    found = jax.lax.approx_max_k(score_BxM, min(k, count))
    return _joined(best, *found, first)
  grouped_BxGxS, highest_BxG = selection.groups(
    score_BxM, selection.group_size(count, k)
  )
  above_BxG = highest_BxG > best.scores[:, -1:]
  most = above_BxG.sum(axis=1).max()
  rooms = [room for room in _ROOMS if room < min(k, highest_BxG.shape[1])]

  def of_groups(room: int) -> TopK:
    columns = selection.in_groups(grouped_BxGxS, highest_BxG, room)
    return _joined(best, *columns, first)

  def of_all() -> TopK:
    columns = selection.best_of_groups(
      grouped_BxGxS, highest_BxG, min(k, count)
    )
    return _joined(best, *columns, first)

  return jax.lax.switch(
    (most > jnp.array([0, *rooms])).sum(),
    [
      lambda: best,
      *(lambda room=room: of_groups(room) for room in rooms),
      of_all,
    ],
  )


def _joined(
  best: TopK, score_BxF: jax.Array, column_BxF: jax.Array, first: jax.Array
) -> TopK:
  return of_lists(
    jnp.concatenate([best.scores, score_BxF], axis=1),
    jnp.concatenate([best.rows, column_BxF + first], axis=1),
    best.rows.shape[1],
  )
