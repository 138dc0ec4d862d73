"""The best of rows of scores, on device; of equal scores the first comes first.

A selection sorts, which costs more a score than it takes to find a maximum. So
scores are put into groups that lie side by side, and of them only the k groups
with the highest maxima are sorted. Exact, ties included: before a score that is
in none of these groups come k others, the maxima of the groups.
"""

from __future__ import annotations

import jax
from jax import numpy as jnp


def group_size(count: int, k: int) -> int:
  """Returns how many scores a group has: a power of two that divides `count`.

  Args:
    count: scores of a row.
    k: how many of them are wanted.

  Returns:
    The size by which the groups' maxima and the scores of k groups are about as
    many; 1 where sorting all of them is as cheap.
  """
  size = 1
  while count % (2 * size) == 0 and count // size > 2 * k * size:
    size *= 2
  return size


def groups(score_BxM: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
  """Puts scores into groups.

  Args:
    score_BxM: scores without NaN, and with one zero (no -0).
    size: of a group, which divides M.

  Returns:
    Scores [B, G, S] and the groups' maxima [B, G].
  """
  num_rows, count = score_BxM.shape
  score_BxGxS = score_BxM.reshape(num_rows, count // size, size)
  return score_BxGxS, score_BxGxS.max(axis=2)


def in_groups(
  score_BxGxS: jax.Array, highest_BxG: jax.Array, num_groups: int
) -> tuple[jax.Array, jax.Array]:
  """Takes all scores of the groups with the highest maxima.

  Args:
    score_BxGxS: scores in groups.
    highest_BxG: the groups' maxima.
    num_groups: how many groups of each row, at most G.

  Returns:
    Scores [B, F] of F = num_groups * S columns, lower columns first, and the
    columns, int32.
  """
  num_rows, _, size = score_BxGxS.shape
  _, group_BxC = jax.lax.top_k(highest_BxG, num_groups)
  group_BxC = jnp.sort(group_BxC, axis=1)
  score_BxCxS = jnp.take_along_axis(
    score_BxGxS, group_BxC[:, :, None], axis=1, mode='promise_in_bounds'
  )
  column_BxCxS = group_BxC[:, :, None] * size + jnp.arange(size)
  shape = (num_rows, num_groups * size)
  return score_BxCxS.reshape(shape), column_BxCxS.reshape(shape)


def best_of_groups(
  score_BxGxS: jax.Array, highest_BxG: jax.Array, k: int
) -> tuple[jax.Array, jax.Array]:
  """Finds the k highest scores of each row, given in groups; see `best`."""
  num_rows, num_groups, size = score_BxGxS.shape
  if size == 1:
    return jax.lax.top_k(score_BxGxS.reshape(num_rows, num_groups), k)
  score_BxF, column_BxF = in_groups(
    score_BxGxS, highest_BxG, min(k, num_groups)
  )
  found_Bxk, place_Bxk = jax.lax.top_k(score_BxF, k)
  return found_Bxk, jnp.take_along_axis(column_BxF, place_Bxk, axis=1)


def best(score_BxM: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
  """Finds the k highest scores of each row.

  Args:
    score_BxM: scores without NaN, and with one zero (no -0).
    k: how many, at most M.

  Returns:
    Scores [B, k], highest first, and their columns int32 [B, k]; of equal
    scores the lower column first.
  """
  size = group_size(score_BxM.shape[1], k)
  return best_of_groups(*groups(score_BxM, size), k)


def without(
  score_BxM: jax.Array, skip_BxP: jax.Array, first: jax.Array
) -> jax.Array:
  """Returns scores in which some rows of the catalogue can't be found.

  Args:
    score_BxM: scores of consecutive rows of a catalogue.
    skip_BxP: for each brand, rows that are left out; -1 for none.
    first: the row of the first column.

  Returns:
    The scores, -inf where a row is left out.
  """
  count = score_BxM.shape[1]
  column_BxP = skip_BxP - first
  # A negative column would count from the end.
  column_BxP = jnp.where(column_BxP < 0, count, column_BxP)
  brand_Bx1 = jnp.arange(len(score_BxM))[:, None]
  return score_BxM.at[brand_Bx1, column_BxP].set(-jnp.inf, mode='drop')
