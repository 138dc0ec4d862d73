"""The account table of features that are not in memory.

Rows are read and transformed when they are asked for, each time anew.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from morning_jax.core import accounts as accounts_lib


class LazyTable:
  """An AccountTable whose rows are made when they are gathered.

  Several threads may ask for rows.

  Attributes:
    row_bytes: length of a row, transformed.
  """

  def __init__(
    self,
    rows_of: Callable[[np.ndarray], accounts_lib.AccountTable],
    num_rows: int,
  ):
    """Prepares; reads one row to know how long it is.

    Args:
      rows_of: makes rows of the table (`preprocessing.account_rows`).
      num_rows: accounts, at least 1.
    """
    self._rows_of, self._num_rows = rows_of, num_rows
    one = rows_of(np.zeros(1, np.int64))
    self.row_bytes = sum(x.nbytes for x in jax.tree.leaves(one))

  def __len__(self) -> int:
    return self._num_rows

  def __getitem__(self, rows: np.ndarray) -> accounts_lib.AccountTable:
    """Makes rows, repeated ones once.

    Args:
      rows: int [n], in any order.

    Returns:
      Their features, NumPy arrays.
    """
    distinct, place = np.unique(rows, return_inverse=True)
    if len(distinct) == len(rows) and (distinct == rows).all():
      return self._rows_of(distinct)
    return jax.tree.map(
      lambda x: x.take(place, axis=0), self._rows_of(distinct)
    )

  def read(self, rows: np.ndarray) -> accounts_lib.AccountTable:
    """Makes distinct, ascending rows; otherwise as `[]`."""
    return self._rows_of(rows)
