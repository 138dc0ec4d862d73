"""Encodes accounts, each once and in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import functools
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.model import morning


def make_encode(model: morning.Morning) -> Callable[..., Any]:
  """Compiles the encoding of accounts of one role, once for all tables.

  Args:
    model: the model.

  Returns:
    A jitted function of (variables, accounts, graph, role), which returns
    perspective -> [accounts, D].
  """

  def encode(
    variables: Mapping[str, Any],
    accounts: accounts_lib.AccountTable,
    graph: Any,
    role: str,
  ) -> Any:
    # Accelerators would round the factors of float32 products: that makes ties.
    with jax.default_matmul_precision('highest'):
      return model.apply(
        variables, accounts, role=role, graph=graph, method='encode'
      )

  return jax.jit(encode, static_argnames='role')


@functools.partial(jax.jit, static_argnames='rows')
def _join(
  blocks: list[dict[str, jax.Array]], rows: int
) -> dict[str, jax.Array]:
  """Puts blocks one below the other; what fills the last one up goes."""
  return jax.tree.map(lambda *x: jnp.concatenate(x)[:rows], *blocks)


class TableEncoder:
  """Encodes accounts of any table, a block of one size at a time."""

  def __init__(
    self,
    model: morning.Morning,
    mesh: Mesh,
    *,
    batch_size: int,
    graph: Any = None,
    encode: Callable[..., Any] | None = None,
  ):
    """Prepares to encode.

    Args:
      model: the model.
      mesh: where to compute.
      batch_size: accounts encoded at a time.
      graph: the attribute graph, where the model takes it.
      encode: what `make_encode` returned for the model; made if None.
    """
    self._graph = sharding.put_large(graph, mesh)
    self._mesh = mesh
    axis = mesh.shape[sharding.DATA]
    self._batch_size = -(-max(batch_size, 1) // axis) * axis
    self._encode = encode or make_encode(model)

  def encode(
    self,
    params: Any,
    table: accounts_lib.Rows,
    rows: np.ndarray,
    *,
    role: str,
  ) -> dict[str, jax.Array]:
    """Encodes accounts of one role.

    Args:
      params: the model's parameters.
      table: features of accounts, on the host or its disk.
      rows: which of its rows.
      role: 'brand' or 'influencer'.

    Returns:
      Perspective -> [rows, D].
    """
    blocks = []
    for start in range(0, len(rows), self._batch_size):
      block = rows[start : start + self._batch_size]
      # The last block is padded, so that one program encodes all.
      padded = np.resize(block, self._batch_size)
      if isinstance(table, accounts_lib.AccountTable):
        batch = sharding.put_rows(table[padded], self._mesh)
      else:
        batch = sharding.put_read_rows(table.__getitem__, padded, self._mesh)
      encoded = self._encode({'params': params}, batch, self._graph, role)
      blocks.append(encoded)
    return _join(blocks, len(rows))


class Scorer:
  """Encodes accounts of one data set.

  Memory is bounded: accounts are encoded `batch_size` at a time.
  """

  def __init__(
    self,
    model: morning.Morning,
    table: accounts_lib.Rows,
    mesh: Mesh,
    *,
    batch_size: int,
    graph: Any = None,
    encode: Callable[..., Any] | None = None,
  ):
    """Prepares to score.

    Args:
      model: the model.
      table: features of all accounts, on the host.
      mesh: where to compute.
      batch_size: accounts encoded at a time.
      graph: the attribute graph, where the model takes it.
      encode: what `make_encode` returned for the model; made if None.
    """
    self._table = table
    self._encoder = TableEncoder(
      model, mesh, batch_size=batch_size, graph=graph, encode=encode
    )

  def encode(
    self, params: Any, rows: accounts_lib.AccountRows, *, role: str
  ) -> dict[str, jax.Array]:
    """Encodes accounts of one role.

    Args:
      params: the model's parameters.
      rows: account rows.
      role: 'brand' or 'influencer'.

    Returns:
      Perspective -> [rows, D].
    """
    return self._encoder.encode(params, self._table, rows, role=role)
