"""The order of an epoch: a bijection, computed where it is needed.

Where a place of an epoch's order leads to is computed for that place alone, so
that a step costs the same whether there are a thousand pairs or a billion, and
no device or process holds an order. The bijection of 0..n-1 is a Feistel
network over a grid of a x b cells, a = ceil(sqrt(n)) and b = ceil(n / a), in
which either coordinate in turn is shifted by a hash of the other; cells beyond
n, fewer than a, are walked past along the network's own cycle (J. Black and
P. Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002). All is
integer arithmetic: the same on every backend.
"""

from __future__ import annotations

import jax
from jax import numpy as jnp

from morning_jax.core.accounts import Array

# Shifts of either coordinate, eight in all. Four in all would be enough for a
# permutation that can't be told from a random one if the hashes were random
# functions (M. Luby and C. Rackoff, SIAM J. Comput. 17, 1988).
_ROUNDS = 8
# The finalizer of MurmurHash3 (A. Appleby, public domain).
_MULTIPLIERS = (0x85EBCA6B, 0xC2B2AE35)
_LARGEST_ROOT_BIT = 15  # of sizes below 2^32


def _hash(x: jax.Array, key: jax.Array) -> jax.Array:
  """Mixes 32 bits with a key."""
  x = x ^ key
  for shift, multiplier in zip((16, 13), _MULTIPLIERS, strict=True):
    x = (x ^ (x >> shift)) * jnp.uint32(multiplier)
  return x ^ (x >> 16)


def _ceil_of_root(size: jax.Array) -> jax.Array:
  """Returns ceil(sqrt(size)), exactly, of an uint32 of at least 1."""
  root = jnp.uint32(0)
  for bit in range(_LARGEST_ROOT_BIT, -1, -1):
    larger = root | jnp.uint32(1 << bit)
    root = jnp.where(larger * larger <= size - 1, larger, root)
  # The largest number whose square is below the size, and one more.
  return root + 1


def shuffled(key: jax.Array, place: Array, size: Array) -> jax.Array:
  """Tells which item stands at each place of a shuffled order.

  Args:
    key: JAX key; every key is another order.
    place: integers in 0..size-1, any shape.
    size: how many items there are, 1 to 2^31 - 1.

  Returns:
    int32 items in 0..size-1. Over all places each occurs once.
  """
  size = jnp.asarray(size, jnp.uint32)
  rows = _ceil_of_root(size)
  columns = (size + rows - 1) // rows
  round_keys = jax.random.bits(key, (_ROUNDS,), jnp.uint32)

  def permute(cell: jax.Array) -> jax.Array:
    row, column = cell // columns, cell % columns
    for i in range(0, _ROUNDS, 2):
      row = (row + _hash(column, round_keys[i]) % rows) % rows
      column = (column + _hash(row, round_keys[i + 1]) % columns) % columns
    return row * columns + column

  cell = jax.lax.while_loop(
    lambda cell: jnp.any(cell >= size),
    lambda cell: jnp.where(cell >= size, permute(cell), cell),
    permute(jnp.asarray(place).astype(jnp.uint32)),
  )
  return cell.astype(jnp.int32)
