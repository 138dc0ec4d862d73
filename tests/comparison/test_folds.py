"""Folds: who is in them, and what a method must not see."""

import dataclasses

import numpy as np
import pytest

from morning_jax.comparison import folds as folds_lib
from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import splits
from tests.comparison import setups


def test_folds_share_no_brand_and_cover_all(world):
  brands = splits.select(world, 'train').brand_row_B
  repetitions = []
  for seed in range(2):
    held_out = [
      folds_lib.held_out(world, folds_lib.FoldSpec(seed, fold, 4)).brand_row_B
      for fold in range(4)
    ]
    repetitions.append([set(rows.tolist()) for rows in held_out])
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out)), brands)
    for fold in range(4):
      train_rows = folds_lib.make_task(
        world, folds_lib.FoldSpec(seed, fold, 4)
      ).train.brand_row_B
      assert not set(train_rows.tolist()) & repetitions[-1][fold]
  assert repetitions[0] != repetitions[1]


def test_a_task_holds_nothing_of_the_held_out_pairs(world):
  # A stored graph may know every pair.
  attributes = dataclasses.replace(
    world.attributes,
    edges_Ex2=np.array([[0, 1]]),
    weight_E=np.ones(1, np.float32),
  )
  world = dataclasses.replace(world, attributes=attributes)
  task = folds_lib.make_task(world, setups.FOLD)
  held_out = folds_lib.held_out(world, setups.FOLD)
  assert len(held_out.brand_P) and not len(task.test.brand_P)
  np.testing.assert_array_equal(task.test.brand_row_B, held_out.brand_row_B)
  assert set(task.dataset.positives_Px2[:, 0]) == set(task.train.brand_row_B)
  assert task.dataset.planted is None and world.planted is not None
  assert task.dataset.attributes.edges_Ex2 is None
  assert task.dataset.accounts.found_under is None
  assert world.accounts.found_under is not None
  # Everything in it, bit by bit, is the same for other held-out pairs.
  other = folds_lib.make_task(
    setups.with_other_held_out_pairs(world, setups.FOLD), setups.FOLD
  )
  assert dataset_lib.fingerprint(other.dataset) == dataset_lib.fingerprint(
    task.dataset
  )


def test_a_share_of_the_brands_is_nested(world):
  sizes, before = [], set()
  for share in (0.2, 0.5, 1.0):
    place = dataclasses.replace(setups.FOLD, share=share)
    rows = set(folds_lib.make_task(world, place).train.brand_row_B.tolist())
    assert before <= rows
    sizes.append(len(rows))
    before = rows
    np.testing.assert_array_equal(
      folds_lib.held_out(world, place).brand_row_B,
      folds_lib.held_out(world, setups.FOLD).brand_row_B,
    )
  total = len(splits.select(world, 'train').brand_row_B)
  everyone = total - len(folds_lib.held_out(world, setups.FOLD).brand_row_B)
  assert sizes == [round(0.2 * everyone), round(0.5 * everyone), everyone]


def test_folds_of_one_brand_mean_nothing(world):
  few = setups.first_brands(world, 5)
  folds_lib.check_folds(few, 2)
  with pytest.raises(errors.UserError, match='takes 2 to 2 folds'):
    folds_lib.check_folds(few, 3)
  with pytest.raises(errors.UserError, match='takes four at least'):
    folds_lib.check_folds(setups.first_brands(world, 3), 2)
