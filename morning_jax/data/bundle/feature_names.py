"""What the numbers of a bundle's arrays are called, so that reasons read."""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import tables


def read_feature_names(
  folder: pathlib.Path, features: Mapping[str, np.ndarray]
) -> dict[str, tuple[str, ...]]:
  """Reads the names, where the bundle has any.

  Args:
    folder: the bundle's folder.
    features: its arrays.

  Returns:
    Feature -> F names, '' where a number has none; features without names are
    absent.

  Raises:
    BundleError: the table is not readable, or a row names an array that no
      bundle has, a number that the array does not have, or one a second time.
  """
  path = folder / layout.FEATURE_NAMES
  if not os.path.lexists(path):
    return {}
  names: dict[str, list[str]] = {}
  first_seen: dict[tuple[str, int], int] = {}
  for row in tables.rows(path, ('array', 'index', 'name')):
    array = row['array'].lower().removesuffix('.npy')
    if array not in accounts_lib.FEATURES:
      row.fail(
        f'array {errors.quoted(row["array"], limit=40)} is none of'
        f' {", ".join(accounts_lib.FEATURES)}'
        + tables.near(array, accounts_lib.FEATURES)
      )
    if array not in features:
      continue  # the names of an array that was left out may stay
    size = features[array].shape[1]
    index = _index(row, size)
    if not row['name']:
      row.fail('name is empty; leave the row out instead')
    seen = first_seen.setdefault((array, index), row.number)
    if seen != row.number:
      row.fail(f'{array} {index} is already in row {seen}')
    names.setdefault(array, [''] * size)[index] = row['name']
  return {array: tuple(found) for array, found in names.items()}


def _index(row: tables.Row, size: int) -> int:
  text = row['index']
  if not (text.isascii() and text.isdigit()) or len(text) > 9:
    row.fail(f'index {errors.quoted(text, limit=40)} is no whole number from 0')
  if int(text) >= size:
    row.fail(f'index {text} is not in 0..{size - 1}, the columns of the array')
  return int(text)
