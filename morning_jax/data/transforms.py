"""Fixed transforms of features, fitted to the training accounts alone.

They bring features to where an inner product of two accounts means similarity
before anything is learned: the square root of class probabilities (Hellinger
affinity), and the partial whitening of embeddings, whose few common directions
otherwise drown the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import feature_rows

Fitted = dict[str, np.ndarray]

# Of the largest eigenvalue, added to all: directions without variance stay
# small.
_RIDGE = 1e-3
# Of float64 training rows; more are summed up block by block.
_WHOLE_BYTES = 1 << 28
_ROW_BY_ROW = 512  # features up to which rows are rotated one by one


def fit(
  kind: str,
  x_AxF: feature_rows.Column,
  *,
  brand_rows: accounts_lib.AccountRows,
  influencer_rows: accounts_lib.AccountRows,
  strength: float,
) -> Fitted:
  """Fits a transform to the training accounts' features.

  Args:
    kind: one of `input_spec.TRANSFORMS`.
    x_AxF: features, in memory or not; rows of NaN are accounts that lack them.
    brand_rows: rows of the training brands.
    influencer_rows: rows of the training influencers.
    strength: of the whitening, 0 (rotation alone) to 1 (full).

  Returns:
    What `apply` needs beside the kind; empty where nothing is fitted.
  """
  if kind != 'whiten':
    return {}

  size = x_AxF.shape[1]
  groups = [brand_rows, influencer_rows]
  if 8 * size * sum(map(len, groups)) <= _WHOLE_BYTES:
    found = _moments(x_AxF, groups)
  else:
    found = _streamed_moments(x_AxF, groups)
  if found is None:
    return {
      'mean': np.zeros(size, np.float32),
      'basis': np.eye(size, dtype=np.float32),
    }
  mean, covariance = found
  variance, basis = np.linalg.eigh(covariance)
  variance = np.maximum(variance, 0.0)
  largest = variance.max() or 1.0
  # Eigenvectors are known up to their sign; fix it.
  sign = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(size)])
  basis = basis * sign * (variance + _RIDGE * largest) ** (-strength / 2)
  return {'mean': mean.astype(np.float32), 'basis': basis.astype(np.float32)}


def _having(x_AxF: Any, rows: np.ndarray) -> np.ndarray:
  """Returns the rows that are no NaN, float64."""
  x = x_AxF[rows].astype(np.float64)
  return x[~np.isnan(x[:, 0])]


def _moments(
  x_AxF: Any, groups: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray] | None:
  """Returns the mean of the groups' means, and the covariance of all rows."""
  having = [x for x in (_having(x_AxF, rows) for rows in groups) if len(x)]
  if not having:
    return None
  size = x_AxF.shape[1]
  # Influencers outnumber brands; the mean gives both roles the same weight.
  mean = np.mean([x.mean(axis=0) for x in having], axis=0)
  covariance = np.cov(np.concatenate(having).T, bias=True)
  return mean, covariance.reshape(size, size)


def _streamed_moments(
  x_AxF: Any, groups: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray] | None:
  """Returns what `_moments` does, up to rounding, with one block in memory.

  Sums run over the distances from the first block's mean, so that nothing is
  lost where features are large beside their variance (Chan, Golub and LeVeque,
  The American Statistician 37, 1983).
  """
  size = x_AxF.shape[1]
  shift: np.ndarray | None = None
  square = np.zeros((size, size))
  totals: list[tuple[int, np.ndarray]] = []
  for rows in groups:
    count, total = 0, np.zeros(size)
    # Ascending, as stored rows are read fastest.
    for block in feature_rows.blocks({'x': x_AxF}, ['x'], np.sort(rows)):
      x = block['x']
      x = x[~np.isnan(x[:, 0])].astype(np.float64)
      if not len(x):
        continue
      if shift is None:
        shift = x.mean(axis=0)
      x -= shift
      count, total = count + len(x), total + x.sum(axis=0)
      square += x.T @ x
    if count:
      totals.append((count, total))
  if shift is None:
    return None
  number = sum(count for count, _ in totals)
  whole = np.sum([total for _, total in totals], axis=0) / number
  mean = shift + np.mean([total / count for count, total in totals], axis=0)
  return mean, square / number - np.outer(whole, whole)


def apply(
  kind: str, x_AxF: np.ndarray, fitted: Mapping[str, np.ndarray]
) -> np.ndarray:
  """Transforms features; rows of NaN stay NaN.

  Args:
    kind: one of `input_spec.TRANSFORMS`.
    x_AxF: float32 features.
    fitted: what `fit` returned.

  Returns:
    float32 [A, F], of unit length per row unless the kind is 'none' or a row
    is zero.
  """
  if kind == 'none':
    return x_AxF
  if kind == 'hellinger':
    # A signed root: features that are no probabilities keep their order.
    x = np.sign(x_AxF) * np.sqrt(np.abs(x_AxF))
  else:
    x = _rotated(x_AxF - fitted['mean'], fitted['basis'])
  length = np.sqrt(
    np.sum(np.square(x, dtype=np.float32), axis=1, keepdims=True)
  )
  return (x / np.where(length == 0, 1.0, length)).astype(np.float32)


def _rotated(x_AxF: np.ndarray, basis_FxF: np.ndarray) -> np.ndarray:
  """Multiplies rows by a matrix, each to the same bits whatever is beside it.

  How a library rounds a row depends on the shape of the product and on the
  row's place in it, so rows are multiplied one by one. Features that are read
  in other blocks, or by other devices, are then the same numbers. Where the
  matrix is so large that this takes long, they are the same to rounding.
  """
  if len(basis_FxF) > _ROW_BY_ROW:
    return x_AxF @ basis_FxF
  found: np.ndarray = (x_AxF[:, None, :] @ basis_FxF)[:, 0]
  return found
