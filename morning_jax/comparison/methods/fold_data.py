"""What a method trains on: one fold as padded arrays of like shapes.

Shapes depend on the data set, hardly on the fold, so that one compiled program
is used for all folds and seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import flax.struct
import numpy as np

from morning_jax.comparison.methods import interface
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core.accounts import Array
from morning_jax.data import transforms

_EMBEDDING = 'attribute_embedding'
_WHITENING = 0.75  # as in configs/morning.py


@flax.struct.dataclass
class FoldData:
  """A fold's training split.

  Attributes:
    table: features of all A accounts: square roots of distributions, whitened
      embeddings, each row of length sqrt(F), so that its entries have size 1.
    log_followers_A: float32, logarithm of the number of followers, of mean 0
      and deviation 1 over the training accounts; 0 where unknown.
    brand_row_B: int32 account rows of the training brands.
    candidate_row_M: int32 account rows of the training influencers.
    known_BxM: bool, the training positives.
    same_BxM: bool, the influencer is no positive of the brand, but has worked
      for another training brand of its category. Where an influencer was found
      says the same, but may stem from a held-out brand's pair.
    brand_P: int32 brand of each training positive, 0..B-1.
    candidate_P: int32 influencer of each, 0..M-1.
    num_positives: int32, how many of the P are real.
    num_candidates: int32, how many of the M are real.
  """

  table: accounts_lib.AccountTable
  log_followers_A: Array
  brand_row_B: Array
  candidate_row_M: Array
  known_BxM: Array
  same_BxM: Array
  brand_P: Array
  candidate_P: Array
  num_positives: Array
  num_candidates: Array


def attribute_feature(dataset: accounts_lib.Dataset) -> str:
  """Returns what describes attributes: lists if they are all that there is."""
  if _EMBEDDING not in dataset.features and dataset.attribute_names:
    return accounts_lib.ATTRIBUTE_LIST
  return _EMBEDDING


def has(dataset: accounts_lib.Dataset, feature: str) -> bool:
  """Tells whether any account has the feature."""
  if feature in dataset.features:
    return not np.isnan(dataset.features[feature][:, 0]).all()
  return feature == accounts_lib.ATTRIBUTE_LIST and bool(
    dataset.attribute_names
  )


def present(
  dataset: accounts_lib.Dataset, wanted: Sequence[str], *, method: str
) -> tuple[str, ...]:
  """Returns those of the wanted features that the data has.

  Args:
    dataset: the data set.
    wanted: features that the method can use.
    method: its name, for the message.

  Returns:
    Names of features, in the order wanted; at least one.

  Raises:
    UserError: the data has none of them.
  """
  found = tuple(f for f in wanted if has(dataset, f))
  if not found:
    raise errors.UserError(
      f'{dataset.name}: has no {" or ".join(wanted)}, without which {method}'
      ' has nothing to rank by'
    )
  return found


def missing_notes(
  dataset: accounts_lib.Dataset, wanted: Sequence[str]
) -> list[str]:
  """Returns a note for each wanted feature that the data lacks."""
  return [f'no {f}' for f in wanted if not has(dataset, f)]


def _attribute_bags(dataset: accounts_lib.Dataset) -> np.ndarray:
  """Returns [A, V]: ones at an account's attributes; NaN where it has none."""
  attributes = dataset.attributes
  assert attributes is not None
  bags_AxV = np.zeros(
    (len(dataset.accounts), len(attributes.names_V)), np.float32
  )
  bags_AxV[attributes.holder, attributes.held] = 1.0
  bags_AxV[~bags_AxV.any(axis=1)] = np.nan
  return bags_AxV


def unit_vectors(
  task: interface.Task, features: Sequence[str]
) -> dict[str, np.ndarray]:
  """Transforms features as the recipe does, fitted to the training accounts.

  Args:
    task: the fold.
    features: names of features that the data has.

  Returns:
    Feature -> float32 [A, F] of unit length: square roots of distributions,
    whitened embeddings; a row of NaN where an account lacks it.
  """
  vectors = {}
  for feature in features:
    if feature == accounts_lib.ATTRIBUTE_LIST:
      x_AxF = _attribute_bags(task.dataset)
    else:
      x_AxF = task.dataset.features[feature]
    kind = 'whiten' if feature == _EMBEDDING else 'hellinger'
    fitted = transforms.fit(
      kind,
      x_AxF,
      brand_rows=task.train.brand_row_B,
      influencer_rows=task.train.candidate_row_M,
      strength=_WHITENING,
    )
    vectors[feature] = transforms.apply(kind, x_AxF, fitted)
  return vectors


def _table(
  task: interface.Task, features: Sequence[str]
) -> accounts_lib.AccountTable:
  values, have = {}, {}
  for feature, x_AxF in unit_vectors(task, features).items():
    has_A = ~np.isnan(x_AxF[:, 0])
    size = np.float32(math.sqrt(x_AxF.shape[1]))
    values[feature] = np.where(has_A[:, None], x_AxF * size, np.float32(0))
    have[feature] = has_A
  return accounts_lib.AccountTable(features=values, present=have)


def _log_followers(task: interface.Task) -> np.ndarray:
  followers = task.dataset.accounts.followers
  if followers is None:
    return np.zeros(len(task.dataset.accounts), np.float32)
  log_A = np.log1p(np.maximum(followers, 0).astype(np.float64))
  rows = np.concatenate([task.train.brand_row_B, task.train.candidate_row_M])
  fitted = log_A[rows][followers[rows] >= 0]
  if not len(fitted):
    return np.zeros(len(log_A), np.float32)
  scaled_A = (log_A - fitted.mean()) / (fitted.std() or 1.0)
  return np.where(followers < 0, 0.0, scaled_A).astype(np.float32)


def _padded(x: np.ndarray, size: int) -> np.ndarray:
  return np.pad(x, (0, size - len(x))).astype(np.int32)


def make(task: interface.Task, features: Sequence[str]) -> FoldData:
  """Collects what a method trains on.

  Args:
    task: the fold.
    features: names of the features that the method takes; each is there.

  Returns:
    NumPy arrays, padded with zeros: B to all brands of the data set, M to all
    its influencers, P to a power of two.
  """
  train, accounts = task.train, task.dataset.accounts
  num_brands = len(accounts.rows_of(accounts_lib.BRAND))
  num_candidates = len(accounts.rows_of(accounts_lib.INFLUENCER))
  num_positives = 1 << max(len(train.brand_P) - 1, 1).bit_length()
  known_BxM = np.zeros((num_brands, num_candidates), bool)
  known_BxM[train.brand_P, train.candidate_P] = True
  same_BxM = np.zeros_like(known_BxM)
  categories = accounts.categories[train.brand_row_B]
  for name in np.unique(categories[categories != '']):
    brands = np.flatnonzero(categories == name)
    same_BxM[brands] = known_BxM[brands].any(axis=0) & ~known_BxM[brands]
  return FoldData(
    table=_table(task, features),
    log_followers_A=_log_followers(task),
    brand_row_B=_padded(train.brand_row_B, num_brands),
    candidate_row_M=_padded(train.candidate_row_M, num_candidates),
    known_BxM=known_BxM,
    same_BxM=same_BxM,
    brand_P=_padded(train.brand_P, num_positives),
    candidate_P=_padded(train.candidate_P, num_positives),
    num_positives=np.int32(len(train.brand_P)),
    num_candidates=np.int32(len(train.candidate_row_M)),
  )
