"""From what pictures show to the features of accounts (eq. 4-6)."""

from __future__ import annotations

from collections.abc import Sequence
import functools

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.features.images import encoder as encoder_lib

_ACCOUNTS = 32  # of one call
_PICTURES = 16  # of each account, of one call


def aggregate(
  vectors_NxF: np.ndarray,
  posts: Sequence[Sequence[Sequence[int]]],
  groups: Sequence[encoder_lib.Group],
  *,
  threshold: float,
) -> np.ndarray:
  """Sums what pictures show over the posts of accounts.

  A class counts in a picture with its probability where that is at least
  `threshold` (eq. 4). A post counts as the mean of its pictures, so that
  a post of ten pictures weighs as much as a post of one; eq. 5 sums the posts.
  Each group of classes is divided by its sum (eq. 6); a group in which nothing
  passed stays 0. Coordinates of an embedding are averaged over posts instead.

  Numbers are added one picture after the other by a program of one shape, so an
  account's features are the same bits whoever else is in the call.

  Args:
    vectors_NxF: float32, of N pictures.
    posts: of each account, of each of its posts, the rows of its pictures; a
      post without pictures does not count.
    groups: of the F numbers.
    threshold: from 0 to 1.

  Returns:
    float32 [A, F]; NaN for an account without any picture.
  """
  width = sum(group.size for group in groups)
  result_AxF = np.full((len(posts), width), np.nan, np.float32)
  shape = tuple((g.size, g.probabilities) for g in groups)
  for start in range(0, len(posts), _ACCOUNTS):
    some = posts[start : start + _ACCOUNTS]
    rows, weights = _lists(some)
    total = np.zeros((_ACCOUNTS, width), np.float32)
    for first in range(0, rows.shape[1], _PICTURES):
      columns = slice(first, first + _PICTURES)
      # Rows that fill up have weight 0.
      total = _add(
        total,
        vectors_NxF[rows[:, columns]],
        weights[:, columns],
        threshold=float(threshold),
        groups=shape,
      )
    count = np.array(
      [sum(bool(p) for p in account) for account in some], np.float32
    )
    seen = np.flatnonzero(count)
    if len(seen):
      count = np.resize(np.append(count, np.ones(_ACCOUNTS)), _ACCOUNTS)
      normalised = np.asarray(_normalise(total, count, groups=shape))
      result_AxF[start + seen] = normalised[seen]
  return result_AxF


def _lists(
  posts: Sequence[Sequence[Sequence[int]]],
) -> tuple[np.ndarray, np.ndarray]:
  """Returns rows, int [_ACCOUNTS, n], and the weights of them, float32."""
  rows = [[row for post in account for row in post] for account in posts]
  weights = [
    [1.0 / len(post) for post in account for _ in post] for account in posts
  ]
  longest = max(map(len, rows), default=0)
  longest = -(-longest // _PICTURES) * _PICTURES
  rows_Axn = np.zeros((_ACCOUNTS, longest), np.int64)
  weights_Axn = np.zeros((_ACCOUNTS, longest), np.float32)
  for i, (row, weight) in enumerate(zip(rows, weights, strict=True)):
    rows_Axn[i, : len(row)] = row
    weights_Axn[i, : len(row)] = weight
  return rows_Axn, weights_Axn


@functools.partial(jax.jit, static_argnames=('threshold', 'groups'))
def _add(
  total_AxF: accounts_lib.Array,
  vectors_AxnxF: accounts_lib.Array,
  weights_Axn: accounts_lib.Array,
  *,
  threshold: float,
  groups: tuple[tuple[int, bool], ...],
) -> jax.Array:
  classes_F = np.concatenate(
    [np.full(size, probabilities) for size, probabilities in groups]
  )

  def one(i: int, total: jax.Array) -> jax.Array:
    vectors = vectors_AxnxF[:, i]
    counts = (vectors >= threshold) | ~classes_F
    return total + weights_Axn[:, i, None] * jnp.where(counts, vectors, 0.0)

  return jax.lax.fori_loop(0, vectors_AxnxF.shape[1], one, total_AxF)


@functools.partial(jax.jit, static_argnames='groups')
def _normalise(
  total_AxF: accounts_lib.Array,
  posts_A: accounts_lib.Array,
  *,
  groups: tuple[tuple[int, bool], ...],
) -> jax.Array:
  parts, start = [], 0
  for size, probabilities in groups:
    part = total_AxF[:, start : start + size]
    start += size
    if probabilities:
      whole = part.sum(axis=1, keepdims=True)
      parts.append(part / jnp.where(whole > 0, whole, 1.0))
    else:
      parts.append(part / posts_A[:, None])
  return jnp.concatenate(parts, axis=1)
