"""Splits brands into folds, and hides what a method must not see."""

from __future__ import annotations

import dataclasses

import numpy as np

from morning_jax.comparison.methods import interface
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import random_streams
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import splits
from morning_jax.evaluation import evaluator
from morning_jax.evaluation import metrics as metrics_lib


@dataclasses.dataclass(frozen=True)
class FoldSpec:
  """Which fold of which repetition.

  Attributes:
    seed: of the split into folds and of the method: the repetition.
    index: which fold of the repetition, from 0.
    count: number of folds; 1: the data set's own test brands are held out, and
      all its training brands may be trained on.
    share: share of the fold's training brands that may be trained on.
  """

  seed: int
  index: int
  count: int
  share: float = 1.0


def check_folds(dataset: accounts_lib.Dataset, folds: int) -> None:
  """Checks that the training brands can be split into folds.

  A fold ranks the influencers of its brands: with one brand all of them are
  its positives, and any ranking is perfect. Two train, for the same reason.

  Raises:
    UserError: a fold would hold out, or leave to train on, fewer than two.
  """
  split = splits.select(dataset, 'train')
  brands = 0 if split is None else len(split.brand_row_B)
  if brands < 4:
    raise errors.UserError(
      f'--bundle={dataset.name}: has {brands} training brands with a positive;'
      ' a comparison takes four at least, two to train on and two to rank for'
    )
  if not 2 <= folds <= brands // 2:
    raise errors.UserError(
      f'--folds={folds}: {dataset.name} has {brands} training brands with a'
      f' positive; takes 2 to {brands // 2} folds, two brands each at least'
    )


def trainable_brands(dataset: accounts_lib.Dataset, spec: FoldSpec) -> int:
  """Counts a fold's training brands that have a negative."""
  split = splits.select(_hidden(_split(dataset, spec)), 'train')
  if split is None:
    return 0
  return len(split.brand_row_B) - len(splits.without_negatives(split))


def _split(
  dataset: accounts_lib.Dataset, spec: FoldSpec
) -> accounts_lib.Dataset:
  """Assigns the brands of a fold to 'train' and 'test'."""
  if spec.count == 1:
    fold = _without_valid(dataset)
  else:
    fold = splits.fold(
      dataset, index=spec.index, count=spec.count, seed=spec.seed
    )
  if spec.share >= 1:
    return fold
  # Nested: the brands of a smaller share are among those of a larger one.
  split_A = fold.accounts.splits.copy()
  brands = np.flatnonzero(split_A == 'train')
  shuffled = random_streams.generator(
    spec.seed, random_streams.Stream.BRAND_SHARES, spec.index
  ).permutation(brands)
  split_A[shuffled[max(1, round(spec.share * len(brands))) :]] = ''
  return dataclasses.replace(
    fold, accounts=dataclasses.replace(fold.accounts, splits=split_A)
  )


def _without_valid(dataset: accounts_lib.Dataset) -> accounts_lib.Dataset:
  """Takes the validation brands out: no method is tuned on them."""
  split_A = np.where(
    dataset.accounts.splits == 'valid', '', dataset.accounts.splits
  )
  return dataclasses.replace(
    dataset, accounts=dataclasses.replace(dataset.accounts, splits=split_A)
  )


def _hidden(fold: accounts_lib.Dataset) -> accounts_lib.Dataset:
  """Removes all that was derived from pairs of brands not trained on.

  These are the pairs themselves, the stored attribute graph, the categories
  under which influencers were found (the evaluation's, for cAUC; they tell the
  category of the brands that an influencer works for), and a synthetic world's
  planted preference.
  """
  accounts = fold.accounts
  known_P = accounts.splits[fold.positives_Px2[:, 0]] == 'train'
  positives_Px2 = fold.positives_Px2[known_P]
  attributes = fold.attributes
  if attributes is not None:
    attributes = dataclasses.replace(attributes, edges_Ex2=None, weight_E=None)
  return dataclasses.replace(
    fold,
    accounts=dataclasses.replace(accounts, found_under=None),
    positives_Px2=positives_Px2,
    attributes=attributes,
    planted=None,
  )


def make_task(dataset: accounts_lib.Dataset, spec: FoldSpec) -> interface.Task:
  """Makes what a method is given of a fold.

  The held-out brands' pairs are not in it: no method can read them.

  Args:
    dataset: the data set as it is stored.
    spec: fold and seed.

  Returns:
    The task; its test split has brands and candidates, and no positives.

  Raises:
    UserError: nothing is left to train on.
  """
  truth = held_out(dataset, spec)
  hidden = _hidden(_split(dataset, spec))
  train, _ = dataset_lib.training_split(hidden)
  no_positives = np.zeros(0, np.int64)
  return interface.Task(
    dataset=hidden,
    train=train,
    test=dataclasses.replace(
      truth,
      brand_P=accounts_lib.BrandIndices(no_positives),
      candidate_P=accounts_lib.CandidateIndices(no_positives),
    ),
    seed=spec.seed,
  )


def held_out(dataset: accounts_lib.Dataset, spec: FoldSpec) -> splits.Split:
  """Returns a fold's held-out brands with their positives.

  Only the evaluation may read these.
  """
  split = splits.select(_split(dataset, spec), 'test')
  assert split is not None  # every brand of a fold has a positive
  return split


def evaluate(
  dataset: accounts_lib.Dataset, spec: FoldSpec, score_BxM: np.ndarray
) -> metrics_lib.BrandStatistics:
  """Measures scores of a fold's held-out brands.

  Args:
    dataset: the data set as it is stored.
    spec: fold and seed.
    score_BxM: what a method returned for the fold's task.

  Returns:
    What each held-out brand adds to the metrics.

  Raises:
    ValueError: the scores have another shape than the task asks for.
  """
  split = held_out(dataset, spec)
  wanted = (len(split.brand_row_B), len(split.candidate_row_M))
  score_BxM = np.asarray(score_BxM, np.float32)
  if score_BxM.shape != wanted:
    raise ValueError(f'scores have shape {score_BxM.shape}, not {wanted}')
  return evaluator.statistics_of_scores(score_BxM, dataset.accounts, split)
