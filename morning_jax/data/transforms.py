"""Fixed transforms of features, fitted to the training accounts alone.

They bring features to where an inner product of two accounts means similarity
before anything is learned: the square root of class probabilities (Hellinger
affinity), and the partial whitening of embeddings, whose few common directions
otherwise drown the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from morning_jax.core import accounts as accounts_lib

Fitted = dict[str, np.ndarray]

# Of the largest eigenvalue, added to all: directions without variance stay
# small.
_RIDGE = 1e-3


def fit(
  kind: str,
  x_AxF: np.ndarray,
  *,
  brand_rows: accounts_lib.AccountRows,
  influencer_rows: accounts_lib.AccountRows,
  strength: float,
) -> Fitted:
  """Fits a transform to the training accounts' features.

  Args:
    kind: one of `input_spec.TRANSFORMS`.
    x_AxF: features; rows of NaN are accounts that lack them.
    brand_rows: rows of the training brands.
    influencer_rows: rows of the training influencers.
    strength: of the whitening, 0 (rotation alone) to 1 (full).

  Returns:
    What `apply` needs beside the kind; empty where nothing is fitted.
  """
  if kind != 'whiten':
    return {}

  def having(rows: np.ndarray) -> np.ndarray:
    x = x_AxF[rows].astype(np.float64)
    return x[~np.isnan(x[:, 0])]

  groups = [x for x in map(having, (brand_rows, influencer_rows)) if len(x)]
  size = x_AxF.shape[1]
  if not groups:
    return {
      'mean': np.zeros(size, np.float32),
      'basis': np.eye(size, dtype=np.float32),
    }
  # Influencers outnumber brands; the mean gives both roles the same weight.
  mean = np.mean([x.mean(axis=0) for x in groups], axis=0)
  covariance = np.cov(np.concatenate(groups).T, bias=True).reshape(size, size)
  variance, basis = np.linalg.eigh(covariance)
  variance = np.maximum(variance, 0.0)
  largest = variance.max() or 1.0
  # Eigenvectors are known up to their sign; fix it.
  sign = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(size)])
  basis = basis * sign * (variance + _RIDGE * largest) ** (-strength / 2)
  return {'mean': mean.astype(np.float32), 'basis': basis.astype(np.float32)}


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
    x = (x_AxF - fitted['mean']) @ fitted['basis']
  length = np.sqrt(
    np.sum(np.square(x, dtype=np.float32), axis=1, keepdims=True)
  )
  return (x / np.where(length == 0, 1.0, length)).astype(np.float32)
