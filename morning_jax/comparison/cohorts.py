"""Whose brands a comparison ranks for, and in which folds."""

from __future__ import annotations

import dataclasses

import numpy as np

from morning_jax.comparison import folds as folds_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import splits


@dataclasses.dataclass(frozen=True)
class Cohort:
  """Brands with a table of their own.

  Attributes:
    title: of the table, for a heading.
    prefix: of the names of its files.
    folds: into how many groups the brands are split.
    brand_row_B: account rows of its brands, ascending.
    ids_B: their ids.
    category_B: their categories; '' where unknown.
  """

  title: str
  prefix: str
  folds: int
  brand_row_B: np.ndarray
  ids_B: np.ndarray
  category_B: np.ndarray

  def specs(self, repetitions: int) -> list[folds_lib.FoldSpec]:
    """Lists the folds of so many repetitions."""
    return [
      folds_lib.FoldSpec(seed, index, self.folds)
      for seed in range(repetitions)
      for index in range(self.folds)
    ]

  def indices(self, row_B: np.ndarray) -> np.ndarray:
    """Returns which brands of the cohort rows are."""
    return np.searchsorted(self.brand_row_B, row_B)


def of_training_brands(dataset: accounts_lib.Dataset, folds: int) -> Cohort:
  """Returns the training brands, to be held out fold by fold.

  Args:
    dataset: the data set; `folds.check_folds` has passed.
    folds: into how many they are split.
  """
  split = splits.select(dataset, 'train')
  assert split is not None
  return _cohort(dataset, split, title='Methods', prefix='', folds=folds)


def of_test_brands(dataset: accounts_lib.Dataset) -> Cohort:
  """Returns the data set's own test brands.

  Raises:
    UserError: it has none that can be ranked for.
  """
  split = splits.select(dataset, 'test')
  if split is None:
    raise errors.UserError(
      f'--split=test: {dataset.name} has no test brand with a positive'
    )
  if len(splits.without_negatives(split)) == len(split.brand_row_B):
    raise errors.UserError(
      f'--split=test: every test brand of {dataset.name} works with all'
      ' candidates; there is nothing to rank'
    )
  return _cohort(
    dataset, split, title='Methods on the test brands', prefix='test_', folds=1
  )


def _cohort(
  dataset: accounts_lib.Dataset,
  split: splits.Split,
  *,
  title: str,
  prefix: str,
  folds: int,
) -> Cohort:
  rows = split.brand_row_B
  return Cohort(
    title=title,
    prefix=prefix,
    folds=folds,
    brand_row_B=rows,
    ids_B=dataset.accounts.ids[rows],
    category_B=dataset.accounts.categories[rows],
  )
