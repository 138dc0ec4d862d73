"""Which attributes each account has, on the host and as the device needs it.

`AccountAttributes` keeps the lists flat, as in a CSR matrix, 4 bytes an index
and 4 a weight. Rows gathered from it are padded to the longest list
(`HeldAttributes`); the pooling reads them in slices. Training gathers all rows
once: they go to the device with the accounts' features, sharded like them, and
the longest list sets the width of every row.
"""

from __future__ import annotations

import dataclasses

import flax.struct
import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors

# Attributes of an account that the pooling takes at a time.
_POOL_SLICE = 16


@flax.struct.dataclass
class HeldAttributes:
  """The attributes of a batch of accounts.

  Attributes:
    index: int32 [rows, width], nodes; 0 where there is none.
    weight: float32 [rows, width]; 0 where there is no attribute.
  """

  index: accounts_lib.Array
  weight: accounts_lib.Array


@dataclasses.dataclass(frozen=True)
class AccountAttributes:
  """The attribute lists of all A accounts, flat, on the host.

  Attributes:
    start: int32 [A], where an account's list begins.
    count: int32 [A], how long it is.
    index: int32 [n], nodes, the lists one after the other.
    weight: float32 [n], what each counts in its account's mean.
    width: the longest list, at least 1.
  """

  start: np.ndarray
  count: np.ndarray
  index: np.ndarray
  weight: np.ndarray
  width: int

  def __getitem__(self, rows: np.ndarray | slice) -> HeldAttributes:
    """Gathers the lists of account rows (int [rows], or a slice), as NumPy."""
    place = np.arange(self.width, dtype=np.int32)
    held = place < self.count[rows][:, None]
    slot = np.where(held, self.start[rows][:, None] + place, 0)
    return HeldAttributes(
      index=np.where(held, self.index[slot], np.int32(0)),
      weight=np.where(held, self.weight[slot], np.float32(0)),
    )


def account_attributes(
  attributes: accounts_lib.Attributes,
  num_accounts: int,
  *,
  weight_V: np.ndarray | None = None,
) -> AccountAttributes:
  """Sorts the (account, attribute) pairs into one list an account.

  Args:
    attributes: who holds what.
    num_accounts: A; may exceed the accounts that there are, for padding rows.
    weight_V: what each attribute counts in the mean of an account; ones by
      default. Positive.

  Returns:
    The lists.

  Raises:
    UserError: a weight is not a positive finite number.
  """
  if weight_V is None:
    weight_V = np.ones(len(attributes.names_V))
  if not (np.isfinite(weight_V) & (weight_V > 0)).all():
    raise errors.UserError('attribute weights must be positive and finite')
  order = np.lexsort((attributes.held, attributes.holder))
  index = attributes.held[order]
  count_A = np.bincount(attributes.holder, minlength=num_accounts)
  # One slot more, so that there is something to gather where all lists are
  # empty.
  return AccountAttributes(
    start=(np.cumsum(count_A) - count_A).astype(np.int32),
    count=count_A.astype(np.int32),
    index=np.append(index, 0).astype(np.int32),
    weight=np.append(weight_V[index], 0).astype(np.float32),
    width=max(1, int(count_A.max(initial=0))),
  )


def match_by_name(
  attributes: accounts_lib.Attributes, names_V: np.ndarray
) -> tuple[accounts_lib.Attributes, list[str]]:
  """Renumbers a data set's attributes as a model knows them, by their names.

  Args:
    attributes: of any data set.
    names_V: the names of the model's nodes, in order.

  Returns:
    The account lists in the model's numbers, without a graph, and the names
    that the model does not know, which are left out of the lists.
  """
  known: dict[str, int] = {}
  for row, name in enumerate(names_V.tolist()):
    known.setdefault(name, row)
  node = np.array(
    [known.get(n, -1) for n in attributes.names_V.tolist()], np.int64
  )
  held = node[attributes.held]
  pairs = np.unique(np.stack([attributes.holder, held])[:, held >= 0], axis=1)
  matched = dataclasses.replace(
    attributes,
    names_V=names_V,
    ids_V=names_V,
    holder=pairs[0],
    held=pairs[1],
    edges_Ex2=None,
    weight_E=None,
  )
  return matched, attributes.names_V[node < 0].tolist()


def mean_of_held(
  vectors_VxD: jax.Array, held: HeldAttributes
) -> tuple[jax.Array, jax.Array]:
  """Returns the weighted mean of each account's vectors, and who has any.

  The lists are taken a few attributes at a time, so that memory is bounded by
  rows x D however long the longest list is.

  Args:
    vectors_VxD: node vectors.
    held: index and weight, [rows, width] each.

  Returns:
    mean [rows, D], 0 for an account without attributes, and bool [rows].
  """
  vectors_VxD = jnp.asarray(vectors_VxD)
  rows, width = held.index.shape
  more = -width % _POOL_SLICE

  def slices(x: jax.Array) -> jax.Array:
    x = jnp.pad(x, ((0, 0), (0, more)))
    return x.reshape(rows, -1, _POOL_SLICE).swapaxes(0, 1)

  def add(
    total: jax.Array, part: tuple[jax.Array, jax.Array]
  ) -> tuple[jax.Array, None]:
    index, weight = part
    return total + (weight[:, :, None] * vectors_VxD[index]).sum(axis=1), None

  zero = jnp.zeros((rows, vectors_VxD.shape[1]), jnp.float32)
  total, _ = jax.lax.scan(add, zero, (slices(held.index), slices(held.weight)))
  weight = held.weight.sum(axis=1)
  mean = total / jnp.where(weight > 0, weight, 1.0)[:, None]
  return mean.astype(vectors_VxD.dtype), weight > 0
