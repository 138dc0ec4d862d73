"""Which pairs of a batch are known positives, found once a step, as bits.

Every device looks up the positives of the brands in its block of scores, finds
by one sort which of them are among the block's influencers, and sets a bit for
each. That costs what the lists are long, not what the block is large, and a
block's bits are a thirty-second of its scores: forward and backward pass read
them as often as they like.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax import numpy as jnp

from morning_jax.core import row_exchange
from morning_jax.losses import negative_sampling

_BITS = 32
_AT_ONCE = 4096  # pairs that are written down at a time


def find(
  lists: negative_sampling.PositiveLists,
  brand_M: jax.Array,
  candidate_C: jax.Array,
  *,
  lists_axis: str,
  axes: tuple[str, ...],
  to_block: Callable[[jax.Array], jax.Array],
) -> jax.Array:
  """Finds the known pairs of this device's block; under `shard_map`.

  Args:
    lists: the positives of each brand; of `candidate_P` this device's share.
    brand_M: brands of this device's own rows.
    candidate_C: influencers of the block's columns.
    lists_axis: mesh axis over which the lists are sharded.
    axes: all mesh axes.
    to_block: makes the rows of the block, [R, ...], of rows of its devices,
      [M, ...].

  Returns:
    uint32 [C, ceil(R / 32)]: bit r % 32 of word r // 32 of column c tells
    whether row r and column c are a positive. See `known`.
  """
  line = negative_sampling.LINE
  lines_LxE = lists.candidate_P.reshape(-1, line)
  last_line = len(lines_LxE) * jax.lax.axis_size(lists_axis) - 1
  start_M, stop_M = lists.start[brand_M], lists.start[brand_M + 1]
  first_M = start_M // line
  count_M = jnp.where(stop_M > start_M, (stop_M - 1) // line + 1 - first_M, 0)
  # All devices take part in every exchange.
  most = jax.lax.pmax(jnp.max(count_M), axes)
  sorted_C, place_C = _sorted(candidate_C)
  num_rows = jax.eval_shape(to_block, brand_M).shape[0]
  num_words = -(-num_rows // _BITS)

  def add_lines(carry: tuple[jax.Array, jax.Array]) -> tuple:
    i, words = carry
    line_M = jnp.minimum(first_M + i, last_line)
    entry_MxE = row_exchange.fetch(lines_LxE, line_M, axis=lists_axis)
    number_MxE = line_M[:, None] * line + jnp.arange(line)
    listed_MxE = (
      (number_MxE >= start_M[:, None])
      & (number_MxE < stop_M[:, None])
      & (i < count_M)[:, None]
    )
    entry_RxE = to_block(jnp.where(listed_MxE, entry_MxE, -1))
    return i + 1, _set_bits(words, entry_RxE, sorted_C)

  _, words = jax.lax.while_loop(
    lambda carry: carry[0] < most,
    add_lines,
    (jnp.int32(0), jnp.zeros((len(candidate_C), num_words), jnp.uint32)),
  )
  # An influencer in several columns had its bits set in the first.
  return words[place_C]


def known(word_CxW: jax.Array, num_rows: int) -> jax.Array:
  """Returns bool [R, C] of the columns' words."""
  shift = jnp.arange(_BITS, dtype=jnp.uint32)
  bit_WxBxC = (word_CxW.T[:, None, :] >> shift[None, :, None]) & 1
  return bit_WxBxC.reshape(-1, len(word_CxW))[:num_rows].astype(bool)


def _firsts(key: jax.Array) -> jax.Array:
  """Tells where in a sorted list another value begins."""
  return jnp.concatenate([jnp.ones(1, bool), key[1:] != key[:-1]])


def _sorted(candidate_C: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Sorts; also tells where in it each one's first like stands."""
  number_C = jnp.arange(len(candidate_C))
  sorted_C, order_C = jax.lax.sort((candidate_C, number_C), num_keys=1)
  first_C = jax.lax.cummax(jnp.where(_firsts(sorted_C), number_C, 0))
  _, place_C = jax.lax.sort((order_C, first_C), num_keys=1)
  return sorted_C, place_C


def _set_bits(
  word_CxW: jax.Array, entry_RxE: jax.Array, sorted_C: jax.Array
) -> jax.Array:
  """Sets the bits of the entries that are among the columns.

  Args:
    word_CxW: the words so far, by the place in `sorted_C`.
    entry_RxE: influencers listed for each row, none twice in a row; below 0
      for none.
    sorted_C: influencers of the columns, ascending.

  Returns:
    The words.
  """
  num_rows, num_entries = entry_RxE.shape
  # Columns before the entries of the same influencer.
  tag = jnp.concatenate(
    [
      jnp.zeros(len(sorted_C), jnp.int32),
      jnp.repeat(jnp.arange(1, num_rows + 1, dtype=jnp.int32), num_entries),
    ]
  )
  key, tag = jax.lax.sort(
    (jnp.concatenate([sorted_C, entry_RxE.ravel()]), tag), num_keys=2
  )
  column = tag == 0
  first = column & _firsts(key)
  place = jax.lax.cummax(jnp.where(first, jnp.cumsum(column) - 1, -1))
  present = jax.lax.cummax(jnp.where(first, key, -1))
  found = ~column & (key >= 0) & (present == key)
  count = jnp.sum(found)
  _, place, row = jax.lax.sort(
    (1 - found.astype(jnp.int32), place, tag - 1), num_keys=1
  )
  place, row = (jnp.pad(x, (0, _AT_ONCE)) for x in (place, row))

  def add(carry: tuple[jax.Array, jax.Array]) -> tuple:
    begin, words = carry
    at, r = (
      jax.lax.dynamic_slice_in_dim(x, begin, _AT_ONCE) for x in (place, row)
    )
    at = jnp.where(begin + jnp.arange(_AT_ONCE) < count, at, len(words))
    bit = jnp.uint32(1) << (r % _BITS).astype(jnp.uint32)
    # No pair is listed twice, so that a sum of bits sets them.
    return begin + _AT_ONCE, words.at[at, r // _BITS].add(bit, mode='drop')

  _, word_CxW = jax.lax.while_loop(
    lambda carry: carry[0] < count, add, (jnp.int32(0), word_CxW)
  )
  return word_CxW
