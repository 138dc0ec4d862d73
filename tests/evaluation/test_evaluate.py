"""Ranking a split: blocks, uneven positives, and the scores that are kept."""

import dataclasses

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.data import splits
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib
from morning_jax.evaluation import evaluator


@pytest.fixture(scope='module')
def world():
  return world_lib.generate(world_options.small())


def rank(world, split, seed=0, **kwargs):
  rng = np.random.default_rng(seed)
  vectors = rng.normal(size=(len(world.accounts), 2, 8)).astype(np.float32)

  def take(rows):
    return {
      'content': jnp.asarray(vectors[rows, 0]),
      'attribute': jnp.asarray(vectors[rows, 1]),
    }

  return evaluator.rank_split(
    take(split.brand_row_B),
    take(split.candidate_row_M),
    world.accounts,
    split,
    **kwargs,
  )


def test_blocks_of_brands_change_nothing(world, monkeypatch):
  split = splits.select(world, 'train')
  whole = rank(world, split, keep_scores=True)
  for per_block in (1, 7):
    monkeypatch.setattr(
      evaluator, '_SCORES_AT_A_TIME', per_block * len(split.candidate_row_M)
    )
    blocks = rank(world, split, keep_scores=True)
    assert blocks.metrics == whole.metrics
    for name, scores in whole.scores.items():
      # What cancels out leaves the rounding of what it was made of.
      np.testing.assert_allclose(
        blocks.scores[name], scores, rtol=1e-6, atol=1e-6
      )


def test_kept_scores_are_in_the_split_s_order(world):
  split = splits.select(world, 'test')
  # Numbers of positives out of order, so that grouping has to be undone.
  assert np.any(np.diff(np.bincount(split.brand_P)) < 0)
  kept = rank(world, split, keep_scores=True).scores
  rng = np.random.default_rng(0)
  vectors = rng.normal(size=(len(world.accounts), 2, 8)).astype(np.float32)
  want = vectors[split.brand_row_B, 0] @ vectors[split.candidate_row_M, 0].T
  np.testing.assert_allclose(kept['content'], want, rtol=1e-4, atol=1e-5)
  total = kept['content'] + kept['attribute']
  np.testing.assert_allclose(kept['scores'], total, rtol=1e-5, atol=1e-5)


def test_categories_partition_the_brands(world):
  metrics = rank(world, splits.select(world, 'test')).metrics
  parts = metrics['per_category'].values()
  assert sum(p['num_brands'] for p in parts) == metrics['num_brands']
  # A category alone has the metrics that it has among the others.
  split = splits.select(world, 'test')
  name = world.accounts.categories[split.brand_row_B[-1]]
  others = world.accounts.categories[split.brand_row_B] != name
  alone = splits.drop_brands(split, np.flatnonzero(others))
  want = rank(world, alone).metrics
  for key in ('auc', 'cauc', 'map', 'medr', 'num_brands'):
    assert metrics['per_category'][name][key] == want[key]
  weighted = sum(p['map'] * p['num_brands'] for p in parts)
  assert weighted / metrics['num_brands'] == pytest.approx(metrics['map'])


def test_no_category_column_means_no_category_metrics(world):
  accounts = dataclasses.replace(
    world.accounts,
    found_under=None,
    categories=np.full(len(world.accounts), ''),
  )
  bare = dataclasses.replace(world, accounts=accounts)
  metrics = rank(bare, splits.select(bare, 'test')).metrics
  assert metrics['cauc'] is None
  assert metrics['per_category'] == {}
  assert metrics['auc'] is not None


def test_a_brand_with_very_many_positives_costs_the_others_nothing():
  """One brand has all but one of 20,000 candidates, 2,000 have one."""
  brands = np.arange(2001)
  candidates = np.arange(20_000)
  split = splits.Split(
    name='test',
    brand_row_B=brands,
    candidate_row_M=candidates + len(brands),
    brand_P=np.concatenate([np.zeros(19_999, int), brands[1:]]),
    candidate_P=np.concatenate([candidates[:-1], brands[1:]]),
    category_B=np.zeros(2001, np.int32),
  )
  positives = evaluator._Positives(split)
  assert positives.matrix(np.arange(1, 2001)).shape == (2000, 1)
  matrix = positives.matrix(np.array([0, 7]))
  assert (matrix[0] >= 0).sum() == 19_999
  assert matrix[1].tolist()[:2] == [7, -1]


def test_the_planted_preference_is_the_ceiling_of_its_world(world):
  split = splits.select(world, 'test')
  planted = {
    'planted': jnp.asarray(world.planted),
  }
  metrics = evaluator.rank_split(
    {k: v[split.brand_row_B] for k, v in planted.items()},
    {k: v[split.candidate_row_M] for k, v in planted.items()},
    world.accounts,
    split,
  ).metrics
  assert metrics['auc'] > 0.9
  assert jax.tree.leaves(metrics)
