"""Rows of a sharded table, each sent to the device that wants it and no other.

Every device tells all which rows it wants (a few bytes each), so that all know
who sends what to whom; then each sends its own rows straight to those who want
them. What travels is what is wanted, not the whole batch to every device. A
device holds as many rows for another as are likely to be wanted of it; where
more are, the exchange takes further rounds, so that memory stays bounded
whatever is wanted.
"""

from __future__ import annotations

import math
from typing import Any

import flax.struct
import jax
from jax import numpy as jnp
from jax.sharding import PartitionSpec

from morning_jax.core import sharding

# The compiler for TPUs refuses a ragged all-to-all on slices of v5e of more
# chips ("not supported in limited ICI routing settings"; 4x4 compiles, 8x8
# does not): there, as on other devices, messages have one length.
_MOST_RAGGED = 16


@flax.struct.dataclass
class _Plan:
  """Who sends which rows to whom.

  Attributes:
    wanted_NxM: the rows that each of N devices wants, sorted by their owner.
    count_NxN: [d, o] how many device d wants of device o.
    start_NxN: where in `wanted_NxM[d]` those of o begin.
    place_M: where this device's rows stand in its own sorted list.
  """

  wanted_NxM: jax.Array
  count_NxN: jax.Array
  start_NxN: jax.Array
  place_M: jax.Array


def take_rows(table: jax.Array, rows: jax.Array) -> jax.Array:
  """Gathers rows of an array that is sharded over `data`.

  Called under jit. Without `jax.set_mesh`, or where one device has all rows,
  it is a plain gather.

  Args:
    table: [A, ...], rows that the `data` axis divides.
    rows: integer [P, ...], rows in 0..A-1.

  Returns:
    [P, ..., ...]; P is sharded over `data`.
  """
  mesh = jax.sharding.get_abstract_mesh()
  size = 1 if mesh.empty else mesh.shape[sharding.DATA]
  if size == 1:
    return table[rows]
  own = PartitionSpec(sharding.DATA)
  # Rows that the devices do not divide are made up for by others.
  padded = jnp.pad(rows, ((0, -len(rows) % size), *((0, 0),) * (rows.ndim - 1)))

  def of_device(own_rows: jax.Array, rows: jax.Array) -> jax.Array:
    shape = own_rows.shape[1:]
    flat = own_rows.reshape(len(own_rows), -1)
    got = fetch(flat, rows.ravel(), axis=sharding.DATA)
    return got.reshape(*rows.shape, *shape)

  taken = jax.shard_map(
    of_device, in_specs=(own, own), out_specs=own, check_vma=False
  )(table, padded)
  return taken[: len(rows)]


def fetch(own_AxW: jax.Array, row_M: jax.Array, *, axis: str) -> jax.Array:
  """Fetches rows from the devices that have them; under `shard_map`.

  Args:
    own_AxW: this device's rows.
    row_M: rows of the whole table, as many on every device.
    axis: the mesh axis over which the table's rows are sharded.

  Returns:
    [M, W].
  """
  size = jax.lax.axis_size(axis)
  own_rows, count = len(own_AxW), len(row_M)
  if size == 1:
    return own_AxW[row_M]
  plan = _plan(row_M, own_rows, axis)
  # Rows for one device: the expected number, and six standard deviations.
  mean = count / size
  slots = min(count, math.ceil(mean + 6 * math.sqrt(mean)) + 2)
  me = jax.lax.axis_index(axis)
  first = me * own_rows

  def rows_of_round(begin: jax.Array) -> jax.Array:
    slot_NxS = plan.start_NxN[:, me, None] + begin + jnp.arange(slots)
    wanted_NxS = jnp.take_along_axis(
      plan.wanted_NxM, jnp.minimum(slot_NxS, count - 1), axis=1
    )
    row_NS = jnp.clip(wanted_NxS - first, 0, own_rows - 1).ravel()
    return own_AxW[row_NS]

  def one_round(carry: tuple[jax.Array, jax.Array]) -> Any:
    begin, got = carry
    sent = rows_of_round(begin)
    if size > _MOST_RAGGED:
      return begin + slots, send_padded(sent, got, begin)
    got = jax.lax.platform_dependent(
      sent, got, begin, tpu=send_ragged, default=send_padded
    )
    return begin + slots, got

  def left(wanted: jax.Array, begin: jax.Array) -> jax.Array:
    return jnp.clip(wanted - begin, 0, slots)

  def send_ragged(
    sent: jax.Array, got: jax.Array, begin: jax.Array
  ) -> jax.Array:
    return jax.lax.ragged_all_to_all(
      sent,
      got,
      jnp.arange(size, dtype=jnp.int32) * slots,
      left(plan.count_NxN[:, me], begin),
      jnp.minimum(plan.start_NxN[:, me] + begin, count),
      left(plan.count_NxN[me], begin),
      axis_name=axis,
    )

  def send_padded(
    sent: jax.Array, got: jax.Array, begin: jax.Array
  ) -> jax.Array:
    received = jax.lax.all_to_all(sent, axis, 0, 0, tiled=True)
    owner_M = plan.wanted_NxM[me] // own_rows
    slot_M = jnp.arange(count) - plan.start_NxN[me, owner_M] - begin
    now_M = (slot_M >= 0) & (slot_M < slots)
    place_M = owner_M * slots + jnp.clip(slot_M, 0, slots - 1)
    return jnp.where(now_M[:, None], received[place_M], got)

  most = jnp.max(plan.count_NxN)
  _, got = jax.lax.while_loop(
    lambda carry: carry[0] < most,
    one_round,
    (jnp.int32(0), jnp.zeros((count, *own_AxW.shape[1:]), own_AxW.dtype)),
  )
  return got[plan.place_M]


def _plan(row_M: jax.Array, own_rows: int, axis: str) -> _Plan:
  size = jax.lax.axis_size(axis)
  wanted_NxM = jax.lax.all_gather(row_M.astype(jnp.int32), axis)
  # Owners have rows one after another: sorted by row is sorted by owner.
  wanted_NxM = jnp.sort(wanted_NxM, axis=1)
  count_NxN = jnp.sum(
    (wanted_NxM // own_rows)[:, :, None] == jnp.arange(size),
    axis=1,
    dtype=jnp.int32,
  )
  number_M = jnp.arange(len(row_M))
  _, order_M = jax.lax.sort((row_M, number_M), num_keys=2)
  _, place_M = jax.lax.sort((order_M, number_M), num_keys=1)
  return _Plan(
    wanted_NxM=wanted_NxM,
    count_NxN=count_NxN,
    start_NxN=jnp.cumsum(count_NxN, axis=1) - count_NxN,
    place_M=place_M,
  )
