"""The arrays of a bundle: mapped into memory, and checked block by block."""

from __future__ import annotations

import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.bundle import layout

_CHECK_BYTES = 1 << 26  # of an array, checked at a time


def load_array(path: pathlib.Path) -> np.ndarray:
  """Memory-maps a `.npy` file of numbers; pickles are refused.

  Args:
    path: the file.

  Returns:
    A read-only array.

  Raises:
    BundleError: the file is pickled, truncated, no array, or not of numbers.
  """
  try:
    array = np.load(path, mmap_mode='r', allow_pickle=False)
  except ValueError as e:
    if 'pickle' in str(e) or 'Python objects' in str(e):
      why = 'holds pickled Python objects, which are never loaded'
    elif 'length' in str(e) or 'size' in str(e):
      why = 'is truncated: it ends before its last row'
    else:
      why = f'is not a readable .npy file ({e})'
    raise layout.BundleError(
      f'{path}: {why}; save it as a plain array'
    ) from None
  except (OSError, EOFError) as e:
    reason = getattr(e, 'strerror', None) or str(e)
    raise layout.BundleError(
      f'{path}: not a readable .npy file ({reason})'
    ) from None
  if not isinstance(array, np.ndarray) or array.dtype.kind not in 'fiu':
    kind = getattr(array, 'dtype', 'an archive')
    raise layout.BundleError(
      f'{path}: holds {kind}, not numbers; save it as float32'
    )
  return array


def _account_at(accounts: accounts_lib.Accounts, row: int) -> str:
  return f'{accounts_lib.ROLES[accounts.roles[row]]} {str(accounts.ids[row])!r}'


def check_feature(
  path: pathlib.Path,
  feature: str,
  array: np.ndarray,
  accounts: accounts_lib.Accounts,
) -> np.ndarray:
  """Checks one feature array.

  Args:
    path: its file, for messages.
    feature: its name; the weights of a topic feature must not be negative.
    array: numbers.
    accounts: the A accounts that its rows belong to.

  Returns:
    The array as float32 [A, F].

  Raises:
    BundleError: its shape is another, or it holds a value that is not finite
      (other than a whole row of NaN) or a negative topic weight.
  """
  if array.ndim != 2 or array.shape[1] == 0:
    raise layout.BundleError(
      f'{path}: has shape {array.shape}, expected [accounts, features]'
    )
  if len(array) != len(accounts):
    raise layout.BundleError(
      f'{path}: has {len(array):,} rows, {layout.ACCOUNTS} has'
      f' {len(accounts):,} accounts; they must be as many'
    )
  step = max(1, _CHECK_BYTES // (array.itemsize * array.shape[1]))
  for start in range(0, len(array), step):
    with np.errstate(over='ignore'):
      block = np.asarray(array[start : start + step], np.float32)
    finite = np.isfinite(block)
    whole = np.isnan(block).all(axis=1)
    bad = ~finite.all(axis=1) & ~whole
    if bad.any():
      row = int(bad.argmax())
      column = int((~finite[row]).argmax())
      what = 'NaN' if np.isnan(block[row, column]) else 'infinity'
      raise layout.BundleError(
        f'{path}, row {start + row} ({_account_at(accounts, start + row)}):'
        f' {what} in column {column}; only a whole row of NaN may stand for an'
        ' account that lacks the feature'
      )
    if feature in accounts_lib.TOPIC_FEATURES:
      negative = block < 0
      if negative.any():
        row = int(negative.any(axis=1).argmax())
        column = int(negative[row].argmax())
        raise layout.BundleError(
          f'{path}, row {start + row} ({_account_at(accounts, start + row)}):'
          f' topic weight {block[row, column]:g} in column {column} is negative'
        )
  return np.asarray(array, np.float32)
