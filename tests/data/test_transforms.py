"""Transforms of features, and that they see training accounts alone."""

import dataclasses

import numpy as np
import pytest

from configs import morning as config_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.data import splits
from morning_jax.data import transforms
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib


def test_hellinger_by_hand():
  x = np.array([[0.25, 0.75, 0.0], [np.nan] * 3, [0, 0, 0]], np.float32)
  y = transforms.apply('hellinger', x, {})
  np.testing.assert_allclose(y[0], [0.5, np.sqrt(0.75), 0], rtol=1e-6)
  assert np.isnan(y[1]).all()
  np.testing.assert_array_equal(y[2], 0)


def test_full_whitening_makes_directions_equal():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(500, 4)) @ np.diag([1.0, 2.0, 3.0, 4.0]) + 7
  x = x.astype(np.float32)
  x[3] = np.nan
  fitted = transforms.fit(
    'whiten',
    x,
    brand_rows=np.arange(100),
    influencer_rows=np.arange(100, 500),
    strength=1.0,
  )
  kept = np.delete(x, 3, axis=0)
  z = (kept - fitted['mean']) @ fitted['basis']
  np.testing.assert_allclose(np.cov(z.T), np.eye(4), atol=0.02)
  y = transforms.apply('whiten', x, fitted)
  np.testing.assert_allclose(
    np.linalg.norm(np.delete(y, 3, axis=0), axis=1), 1, rtol=1e-5
  )
  assert np.isnan(y[3]).all()


@pytest.mark.parametrize('rows', [0, 1, 2])
def test_few_rows_are_finite(rows):
  x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
  x[rows:] = np.nan
  fitted = transforms.fit(
    'whiten',
    x,
    brand_rows=np.arange(5),
    influencer_rows=np.arange(0),
    strength=0.75,
  )
  shapes = {k: v.shape for k, v in fitted.items()}
  assert shapes == {'mean': (3,), 'basis': (3, 3)}
  for array in fitted.values():
    assert np.isfinite(array).all()


def fit(data: accounts_lib.Dataset):
  split, _ = dataset_lib.training_split(data)
  c = config_lib.get_config('smoke')
  c.model.perspectives = ('attribute',)
  spec, _ = dataset_lib.resolve_inputs(data, c.model)
  return preprocessing.fit(spec, data, split, whitening=0.75, seed=0)


def test_no_held_out_account_moves_a_fit():
  data = world_lib.generate(world_options.small())
  c = config_lib.get_config('smoke')
  c.data.folds, c.data.fold = 4, 1
  data = dataset_lib.assign_splits(data, c)
  before = fit(data)['attribute_embedding']
  split, _ = dataset_lib.training_split(data)
  seen = np.concatenate([split.brand_row_B, split.candidate_row_M])
  held_out = np.setdiff1d(np.arange(len(data.accounts)), seen)
  assert len(held_out) > 50
  x = data.features['attribute_embedding'].copy()
  x[held_out] += 100
  features = {**data.features, 'attribute_embedding': x}
  after = fit(dataclasses.replace(data, features=features))
  for name, array in before.items():
    np.testing.assert_array_equal(after['attribute_embedding'][name], array)
  x[split.brand_row_B[0]] += 1
  moved = fit(dataclasses.replace(data, features=features))
  assert not np.array_equal(
    moved['attribute_embedding']['mean'], before['mean']
  )


def test_folds_never_share_a_brand_and_cover_all():
  data = world_lib.generate(world_options.small())
  tests = []
  for index in range(5):
    fold = splits.fold(data, index=index, count=5, seed=3)
    test = splits.select(fold, 'test').brand_row_B
    train = splits.select(fold, 'train').brand_row_B
    assert not set(test) & set(train)
    tests.append(test)
    # Every category has its share, give or take one.
    names = data.accounts.categories[test]
    _, counts = np.unique(names, return_counts=True)
    assert np.ptp(counts) <= 1
  together = np.concatenate(tests)
  training = splits.select(data, 'train').brand_row_B
  assert sorted(together) == sorted(training)


def test_candidates_of_a_split_have_a_positive_in_it():
  data = world_lib.generate(world_options.small())
  for name in ('train', 'valid', 'test'):
    split = splits.select(data, name)
    pairs = data.positives_Px2[
      data.accounts.splits[data.positives_Px2[:, 0]] == name
    ]
    np.testing.assert_array_equal(split.candidate_row_M, np.unique(pairs[:, 1]))
    np.testing.assert_array_equal(split.brand_row_B[split.brand_P], pairs[:, 0])
    np.testing.assert_array_equal(
      split.candidate_row_M[split.candidate_P], pairs[:, 1]
    )
