"""LambdaMART on features of (brand, influencer) pairs, by LightGBM.

Source: C. Burges, "From RankNet to LambdaRank to LambdaMART: An Overview",
Microsoft Research MSR-TR-2010-82, 2010; G. Ke et al., "LightGBM: A Highly
Efficient Gradient Boosting Decision Tree", NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
import importlib.util

import numpy as np

from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import untrained
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import random_streams

_NEGATIVES = 10  # drawn for each positive of a brand
_WIDEST = 256  # features of a modality, above which single ones are left out
_TREES = 150
_PAIRS_AT_A_TIME = 1 << 16
_PARAMETERS = {
  'objective': 'lambdarank',
  'learning_rate': 0.05,
  'num_leaves': 15,
  'min_data_in_leaf': 50,
  'feature_fraction': 0.3,
  'lambda_l2': 1.0,
  'max_bin': 63,
  'num_threads': 1,
  'deterministic': True,
  'force_col_wise': True,
  'verbosity': -1,
}


def _unavailable(dataset: accounts_lib.Dataset) -> str | None:
  """Says why the method can't run here; None if it can."""
  if importlib.util.find_spec('lightgbm') is None:
    return "needs LightGBM: pip install 'morning_jax[compare]'"
  if not untrained.vectors(dataset):
    return 'the data has no features'
  return None


def _missing(dataset: accounts_lib.Dataset) -> list[str]:
  """Notes what the method does not use of this data."""
  wide = [
    f for f, x in untrained.vectors(dataset).items() if x.shape[1] > _WIDEST
  ]
  if not wide:
    return []
  return [
    f'of {", ".join(wide)}, with more than {_WIDEST} features each, similarity,'
    ' distance and presence alone'
  ]


def _negatives(task: interface.Task) -> tuple[np.ndarray, np.ndarray]:
  """Draws negatives for the training brands: brand and candidate indices."""
  split = task.train
  generator = random_streams.generator(
    task.seed, random_streams.Stream.LAMBDAMART
  )
  brands, candidates = [], []
  for brand in range(len(split.brand_row_B)):
    positive = split.candidate_P[split.brand_P == brand]
    others = np.setdiff1d(np.arange(len(split.candidate_row_M)), positive)
    count = min(_NEGATIVES * len(positive), len(others))
    candidates.append(generator.choice(others, count, replace=False))
    brands.append(np.full(count, brand))
  return np.concatenate(brands), np.concatenate(candidates)


def pair_features(
  vectors: Mapping[str, np.ndarray],
  brand_rows: np.ndarray,
  influencer_rows: np.ndarray,
) -> np.ndarray:
  """Describes aligned pairs of accounts.

  Args:
    vectors: of `untrained.fitted_vectors`.
    brand_rows: account rows of P brands.
    influencer_rows: account rows of P influencers.

  Returns:
    float32 [P, features]: the sum of the similarities, and for each modality
    similarity, distance, whether both have it, and, where it is not too wide,
    the products and absolute differences of its features.
  """
  columns: list[np.ndarray] = []
  total = np.zeros(len(brand_rows), np.float32)
  for x_AxF in vectors.values():
    brand_PxF, influencer_PxF = x_AxF[brand_rows], x_AxF[influencer_rows]
    product_PxF = brand_PxF * influencer_PxF
    gap_PxF = np.abs(brand_PxF - influencer_PxF)
    similarity_P = product_PxF.sum(axis=1)
    total = total + similarity_P
    both_P = brand_PxF.any(axis=1) & influencer_PxF.any(axis=1)
    columns += [
      similarity_P[:, None],
      np.sqrt(np.square(gap_PxF).sum(axis=1, keepdims=True)),
      both_P.astype(np.float32)[:, None],
    ]
    if x_AxF.shape[1] <= _WIDEST:
      columns += [product_PxF, gap_PxF]
  return np.concatenate([total[:, None], *columns], axis=1)


def _score(task: interface.Task) -> np.ndarray:
  """Trains on the training brands' pairs and scores the held-out brands."""
  import lightgbm

  vectors = untrained.fitted_vectors(task)
  split = task.train
  drawn_B, drawn_M = _negatives(task)
  brand_P = np.concatenate([split.brand_P, drawn_B])
  candidate_P = np.concatenate([split.candidate_P, drawn_M])
  label_P = np.repeat([1, 0], [len(split.brand_P), len(drawn_B)])
  order = np.argsort(brand_P, kind='stable')
  data = lightgbm.Dataset(
    pair_features(
      vectors,
      split.brand_row_B[brand_P[order]],
      split.candidate_row_M[candidate_P[order]],
    ),
    label=label_P[order],
    group=np.bincount(brand_P),
  )
  booster = lightgbm.train(
    {**_PARAMETERS, 'seed': task.seed}, data, num_boost_round=_TREES
  )
  brands, candidates = task.test.brand_row_B, task.test.candidate_row_M
  step = max(1, _PAIRS_AT_A_TIME // len(candidates))
  blocks = []
  for start in range(0, len(brands), step):
    block = brands[start : start + step]
    features = pair_features(
      vectors,
      np.repeat(block, len(candidates)),
      np.tile(candidates, len(block)),
    )
    blocks.append(np.asarray(booster.predict(features)).reshape(len(block), -1))
  return np.concatenate(blocks).astype(np.float32)


METHOD = interface.Method(
  'lambdamart',
  'LambdaMART',
  'C. Burges, "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82;'
  ' G. Ke et al., "LightGBM", NeurIPS 2017',
  _score,
  missing=_missing,
  unavailable=_unavailable,
  cost=6.0,
)
