"""Which brands train, validate and test, and what each split ranks."""

from __future__ import annotations

import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import random_streams


@dataclasses.dataclass(frozen=True)
class Split:
  """One split as it is trained on or evaluated.

  Attributes:
    name: 'train', 'valid' or 'test'.
    brand_row_B: account rows of its brands; each has at least one positive.
    candidate_row_M: account rows of its candidates: the influencers with at
      least one positive in this split (SPEC section 8), ascending.
    brand_P: brand of each positive, 0..B-1, in the data set's order.
    candidate_P: influencer of each positive, 0..M-1.
    category_B: int32, category of each brand; -1 where unknown.
  """

  name: str
  brand_row_B: accounts_lib.AccountRows
  candidate_row_M: accounts_lib.AccountRows
  brand_P: accounts_lib.BrandIndices
  candidate_P: accounts_lib.CandidateIndices
  category_B: np.ndarray


def select(dataset: accounts_lib.Dataset, name: str) -> Split | None:
  """Collects a split; None where no brand of it has a positive.

  Args:
    dataset: the data set.
    name: 'train', 'valid' or 'test'.

  Returns:
    Brands and candidates in the order of their account rows.
  """
  brand_row, influencer_row = dataset.positives_Px2.T
  kept = dataset.accounts.splits[brand_row] == name
  if not kept.any():
    return None
  brands, brand_P = np.unique(brand_row[kept], return_inverse=True)
  candidates, candidate_P = np.unique(influencer_row[kept], return_inverse=True)
  categories = dataset.accounts.categories[brands]
  _, code_B = np.unique(categories, return_inverse=True)
  return Split(
    name=name,
    brand_row_B=accounts_lib.AccountRows(brands),
    candidate_row_M=accounts_lib.AccountRows(candidates),
    brand_P=accounts_lib.BrandIndices(brand_P),
    candidate_P=accounts_lib.CandidateIndices(candidate_P),
    category_B=np.where(categories == '', -1, code_B).astype(np.int32),
  )


def without_negatives(split: Split) -> accounts_lib.BrandIndices:
  """Finds the brands to which every candidate is a positive.

  Such brands can't be trained on: nothing can be ranked below a positive.
  """
  count_B = np.bincount(split.brand_P, minlength=len(split.brand_row_B))
  return accounts_lib.BrandIndices(
    np.flatnonzero(count_B == len(split.candidate_row_M))
  )


def drop_brands(split: Split, brands: accounts_lib.BrandIndices) -> Split:
  """Removes brands and their positives."""
  kept_B = np.ones(len(split.brand_row_B), bool)
  kept_B[brands] = False
  new_B = np.cumsum(kept_B) - 1
  kept_P = kept_B[split.brand_P]
  return dataclasses.replace(
    split,
    brand_row_B=accounts_lib.AccountRows(split.brand_row_B[kept_B]),
    brand_P=accounts_lib.BrandIndices(new_B[split.brand_P[kept_P]]),
    candidate_P=accounts_lib.CandidateIndices(split.candidate_P[kept_P]),
    category_B=split.category_B[kept_B],
  )


def _with_splits(
  dataset: accounts_lib.Dataset, splits_A: np.ndarray, note: str
) -> accounts_lib.Dataset:
  return dataclasses.replace(
    dataset,
    accounts=dataclasses.replace(dataset.accounts, splits=splits_A),
    notes=(*dataset.notes, note),
  )


def _training_brands(dataset: accounts_lib.Dataset) -> np.ndarray:
  split = select(dataset, 'train')
  if split is None:
    raise errors.UserError(
      errors.in_file(dataset.name, 'no brand of split "train" has a positive')
    )
  return split.brand_row_B


def hold_out_valid(
  dataset: accounts_lib.Dataset, *, share: float, seed: int
) -> accounts_lib.Dataset:
  """Moves a seeded share of the training brands to `valid`, if it is empty.

  Args:
    dataset: the data set.
    share: share of the training brands, 0 to below 1; 0 moves none.
    seed: decides which brands.

  Returns:
    The data set with other splits; itself if it has `valid` brands.

  Raises:
    UserError: the share is out of range, or leaves no brand to train on.
  """
  if not 0 <= share < 1:
    raise errors.UserError(f'config.data.valid_share={share} is not in [0, 1)')
  if select(dataset, 'valid') is not None or not share:
    return dataset
  brands = _training_brands(dataset)
  count = max(1, round(share * len(brands)))
  if count >= len(brands):
    raise errors.UserError(
      errors.in_file(
        dataset.name,
        f'config.data.valid_share={share} leaves none of its {len(brands)}'
        ' training brands to train on; 0 trains on all',
      )
    )
  rng = random_streams.generator(seed, random_streams.Stream.VALIDATION_SPLIT)
  splits = dataset.accounts.splits.copy()
  splits[rng.choice(brands, count, replace=False)] = 'valid'
  return _with_splits(
    dataset,
    splits,
    f'no valid brands: {count} of {len(brands)} training brands are held out'
    ' for validation (config.data.valid_share)',
  )


def fold(
  dataset: accounts_lib.Dataset, *, index: int, count: int, seed: int
) -> accounts_lib.Dataset:
  """Makes one fold of a cross-validation over the training brands.

  Brands are assigned to the folds category by category, so that every fold has
  its share of each. No brand is a test brand of two folds.

  Args:
    dataset: the data set; its own valid and test brands take no part.
    index: which fold, 0..count-1.
    count: number of folds, at least 2.
    seed: decides which brands a fold has.

  Returns:
    The data set in which the fold's brands are `test`, the others `train`.

  Raises:
    UserError: there are fewer training brands than folds.
  """
  brands = _training_brands(dataset)
  if not 2 <= count <= len(brands):
    raise errors.UserError(
      f'config.data.folds={count}: takes 2 to {len(brands)} folds, one training'
      ' brand each at least'
    )
  rng = random_streams.generator(seed, random_streams.Stream.FOLDS)
  shuffled = rng.permutation(brands)
  categories = dataset.accounts.categories[shuffled]
  by_category = shuffled[np.argsort(categories, kind='stable')]
  splits = np.full_like(dataset.accounts.splits, '')
  splits[brands] = 'train'
  splits[by_category[index::count]] = 'test'
  return _with_splits(
    dataset, splits, f'fold {index + 1} of {count} of the training brands'
  )
