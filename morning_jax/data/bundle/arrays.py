"""The arrays of a bundle, checked block by block."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import feature_rows
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import npy_file

_CHECK_BYTES = 1 << 26  # of an array, checked at a time


def read_feature(
  path: pathlib.Path,
  accounts: accounts_lib.Accounts,
  *,
  topics: bool = False,
  mapped: bool = False,
) -> Any:
  """Reads and checks one feature array.

  Args:
    path: its file.
    accounts: the A accounts that its rows belong to.
    topics: whether it holds topic weights, which are not negative.
    mapped: whether numbers of another type stay on disk too, and are converted
      when they are read.

  Returns:
    float32 [A, F], mapped from the file where it is float32 there; or, mapped,
    what reads like it (`feature_rows.Converted`).

  Raises:
    BundleError: the file is no array of numbers, has another number of rows, or
      holds a value that is not finite (other than a whole row of NaN) or a
      negative topic weight.
  """
  array = npy_file.load_array(path)
  if len(array) != len(accounts):
    raise layout.BundleError(
      errors.in_file(
        path,
        f'has {len(array):,} rows, {layout.ACCOUNTS} has {len(accounts):,}'
        ' accounts; they must be as many',
      )
    )

  def mistake(row: int, what: str) -> layout.BundleError:
    role = accounts_lib.ROLES[accounts.roles[row]]
    account = errors.quoted(accounts.ids[row], limit=40)
    return layout.BundleError(
      errors.in_file(path, f'{role} {account}: {what}', row=row)
    )

  step = max(1, _CHECK_BYTES // (array.itemsize * array.shape[1]))
  # Numbers too large for float32 become infinite, which is refused.
  with np.errstate(all='ignore'):
    for start in range(0, len(array), step):
      block = np.asarray(array[start : start + step], np.float32)
      finite = np.isfinite(block)
      bad = ~finite.all(axis=1) & ~np.isnan(block).all(axis=1)
      if bad.any():
        row = int(bad.argmax())
        column = int((~finite[row]).argmax())
        what = 'NaN' if np.isnan(block[row, column]) else 'infinity'
        raise mistake(
          start + row,
          f'{what} in column {column}; only a whole row may be NaN, for an'
          ' account that lacks the feature',
        )
      if topics and (block < 0).any():
        row = int((block < 0).any(axis=1).argmax())
        column = int((block[row] < 0).argmax())
        raise mistake(
          start + row,
          f'topic weight {block[row, column]:g} in column {column} is negative',
        )
      feature_rows.release(array)
    if mapped and array.dtype != np.float32:
      return feature_rows.Converted(array)
    return np.asarray(array, np.float32)
