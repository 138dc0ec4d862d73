"""Splits: who is in them, and which brands are drawn."""

import dataclasses

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import random_streams
from morning_jax.core.random_streams import Stream
from morning_jax.data import splits
from tests import runs


def hand_made() -> accounts_lib.Dataset:
  """Brands 0, 1, 2, 6 (the last without a positive), influencers 3, 4, 5."""
  names = np.array([f'a{i}' for i in range(7)])
  return accounts_lib.Dataset(
    name='hand made',
    accounts=accounts_lib.Accounts(
      ids=names,
      roles=np.array([0, 0, 0, 1, 1, 1, 0], np.int8),
      categories=np.array(['tea', 'shoes', '', '', '', '', 'tea']),
      splits=np.array(['train', 'train', 'test', '', '', '', 'train']),
    ),
    features={},
    positives_Px2=np.array([[1, 5], [2, 4], [0, 3], [1, 3]]),
  )


def without_valid() -> accounts_lib.Dataset:
  dataset = runs.small_world()
  accounts = dataset.accounts
  moved = np.where(accounts.splits == 'valid', 'train', accounts.splits)
  return dataclasses.replace(
    dataset, accounts=dataclasses.replace(accounts, splits=moved)
  )


def brands_of(dataset: accounts_lib.Dataset, name: str) -> list[int]:
  return np.flatnonzero(dataset.accounts.splits == name).tolist()


def test_a_split_has_brands_and_candidates_with_positives():
  split = splits.select(hand_made(), 'train')
  assert split.brand_row_B.tolist() == [0, 1]
  assert split.candidate_row_M.tolist() == [3, 5]
  # In the order of the data set.
  assert split.brand_P.tolist() == [1, 0, 1]
  assert split.candidate_P.tolist() == [1, 0, 0]
  assert split.category_B.tolist() == [1, 0]
  test = splits.select(hand_made(), 'test')
  assert test.category_B.tolist() == [-1]
  assert splits.select(hand_made(), 'valid') is None


def test_brands_without_a_negative_are_found_and_removed():
  split = splits.select(hand_made(), 'train')
  full = splits.without_negatives(split)
  assert full.tolist() == [1]
  rest = splits.drop_brands(split, full)
  assert rest.brand_row_B.tolist() == [0]
  assert rest.brand_P.tolist() == [0]
  assert rest.candidate_P.tolist() == [0]
  assert rest.category_B.tolist() == [1]
  # Its candidates stay: others are ranked among them.
  assert rest.candidate_row_M.tolist() == [3, 5]


def test_validation_brands_come_from_a_stream_of_their_own():
  dataset = without_valid()
  brands = splits.select(dataset, 'train').brand_row_B
  found = splits.hold_out_valid(dataset, share=0.25, seed=3)
  rng = random_streams.generator(3, Stream.VALIDATION_SPLIT)
  want = rng.choice(brands, round(0.25 * len(brands)), replace=False)
  assert brands_of(found, 'valid') == sorted(want.tolist())
  assert set(brands_of(found, 'train')) == set(brands) - set(want)
  assert brands_of(found, 'test') == brands_of(dataset, 'test')
  (note,) = found.notes
  assert f'{len(want)} of {len(brands)} training brands are held out' in note


def test_nothing_is_held_out_where_there_are_validation_brands():
  dataset = runs.small_world()
  assert splits.hold_out_valid(dataset, share=0.25, seed=3) is dataset
  dataset = without_valid()
  assert splits.hold_out_valid(dataset, share=0.0, seed=3) is dataset


@pytest.mark.parametrize(
  ('share', 'message'),
  [
    (-0.1, r'not in \[0, 1\)'),
    (1.0, r'not in \[0, 1\)'),
    (0.99, 'leaves none'),
  ],
)
def test_shares_that_leave_no_training_brand_are_refused(share, message):
  with pytest.raises(errors.UserError, match=message):
    splits.hold_out_valid(without_valid(), share=share, seed=0)


def test_folds_test_each_training_brand_once_category_by_category():
  dataset = runs.small_world()
  training = splits.select(dataset, 'train').brand_row_B
  tested = []
  for index in range(3):
    found = splits.fold(dataset, index=index, count=3, seed=5)
    test = brands_of(found, 'test')
    tested += test
    assert set(brands_of(found, 'train')) == set(training) - set(test)
    for category in set(dataset.accounts.categories[training]):
      own = dataset.accounts.categories[training] == category
      here = dataset.accounts.categories[test] == category
      assert abs(here.sum() - own.sum() / 3) < 1
  assert sorted(tested) == training.tolist()
  # They come from a stream of their own.
  rng = random_streams.generator(5, Stream.FOLDS)
  first_of_shuffled = {}
  for row in rng.permutation(training).tolist():
    first_of_shuffled.setdefault(dataset.accounts.categories[row], row)
  first = min(first_of_shuffled)
  assert first_of_shuffled[first] in brands_of(
    splits.fold(dataset, index=0, count=3, seed=5), 'test'
  )


def test_more_folds_than_brands_are_refused():
  with pytest.raises(errors.UserError, match='takes 2 to 2 folds'):
    splits.fold(hand_made(), index=0, count=3, seed=0)
