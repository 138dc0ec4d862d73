"""Which attributes each account has, as the device needs it.

The lists stay flat, as in a CSR matrix: memory is 4 bytes a (account,
attribute) pair, with or without one account that has hundreds. A padded
[accounts, longest list] table would let that one account set the size of all
rows; pooling every account at each step would cost accounts x features instead
of batch x features. A batch gathers its own padded block, [rows, longest
list], and the pooling walks over that block in slices.
"""

from __future__ import annotations

import dataclasses

import flax.struct
import jax
from jax import numpy as jnp
import numpy as np

from morning_jax import accounts as accounts_lib
from morning_jax import errors


@flax.struct.dataclass
class HeldAttributes:
  """The attributes of a batch of accounts.

  Attributes:
    index: int32 [rows, width], nodes; 0 where there is none.
    weight: float32 [rows, width]; 0 where there is no attribute.
  """

  index: jax.Array
  weight: jax.Array


@flax.struct.dataclass
class AccountAttributes:
  """The attribute lists of all A accounts, flat.

  Attributes:
    start: int32 [A], where an account's list begins.
    count: int32 [A], how long it is.
    index: int32 [n], nodes, the lists one after the other.
    weight: float32 [n], what each counts in its account's mean.
    width: the longest list, at least 1.
  """

  start: jax.Array
  count: jax.Array
  index: jax.Array
  weight: jax.Array
  width: int = flax.struct.field(pytree_node=False)

  def __getitem__(self, rows: jax.Array | slice) -> HeldAttributes:
    """Gathers the lists of account rows (int [rows], or a slice)."""
    slot = self.start[rows][:, None] + jnp.arange(self.width, dtype=jnp.int32)
    held = jnp.arange(self.width) < self.count[rows][:, None]
    slot = jnp.where(held, slot, 0)
    return HeldAttributes(
      index=jnp.where(held, self.index[slot], 0),
      weight=jnp.where(held, self.weight[slot], 0.0),
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
    The lists, on the default device.

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
    start=jnp.asarray(np.cumsum(count_A) - count_A, jnp.int32),
    count=jnp.asarray(count_A, jnp.int32),
    index=jnp.asarray(np.append(index, 0), jnp.int32),
    weight=jnp.asarray(np.append(weight_V[index], 0), jnp.float32),
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
