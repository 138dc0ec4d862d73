"""A ring of devices: how arrays travel once around it, under `shard_map`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import numpy as jnp


def pass_on(tree: Any, axes: tuple[str, ...]) -> Any:
  """Sends a device's arrays to the next device of the ring.

  Args:
    tree: pytree of arrays.
    axes: the mesh axes whose devices form the ring.

  Returns:
    The arrays of the device before.
  """
  size = jax.lax.axis_size(axes)
  to_next = [(i, (i + 1) % size) for i in range(size)]
  return jax.tree.map(lambda x: jax.lax.ppermute(x, axes, to_next), tree)


def zeros(tree: Any, axes: tuple[str, ...]) -> Any:
  """Makes float32 zeros for a loop that makes them differ between devices."""
  return jax.tree.map(
    lambda x: jax.lax.pcast(
      jnp.zeros(x.shape, jnp.float32), axes, to='varying'
    ),
    tree,
  )


def around(
  body: Callable[[Any, jax.Array], Any],
  carry: Any,
  axes: tuple[str, ...],
  *,
  unroll: int,
) -> Any:
  """Runs a function once for each device of the ring.

  Args:
    body: (carry, stop) -> carry; stop counts from 0.
    carry: where it starts.
    axes: the mesh axes whose devices form the ring.
    unroll: stops in one loop body.

  Returns:
    The last carry.
  """
  size = jax.lax.axis_size(axes)
  carry, _ = jax.lax.scan(
    lambda c, stop: (body(c, stop), None),
    carry,
    jnp.arange(size),
    unroll=min(unroll, size),
  )
  return carry
