"""The best so far, against sorting everything, whatever the threshold does."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.recommend import running_best

BLOCK = 512


def in_blocks(score: np.ndarray, k: int) -> running_best.TopK:
  best = running_best.nothing(len(score), k)
  take_in = jax.jit(running_best.take_in, static_argnames='approximate')
  for first in range(0, score.shape[1], BLOCK):
    block = jnp.asarray(score[:, first : first + BLOCK])
    best = take_in(best, block, jnp.int32(first), approximate=False)
  return best


def assert_sorted(score: np.ndarray, k: int) -> None:
  found = in_blocks(score, k)
  rows = np.argsort(-score, axis=1, kind='stable')[:, :k]
  want = np.take_along_axis(score, rows, axis=1)
  there = np.isfinite(want)
  np.testing.assert_array_equal(found.scores, want)
  np.testing.assert_array_equal(found.rows, np.where(there, rows, -1))


@pytest.mark.parametrize('k', [1, 5, 20, 60])
@pytest.mark.parametrize('values', [3, 40, 10**6])
def test_random_scores_with_ties(k, values):
  rng = np.random.default_rng(k)
  score = rng.integers(0, values, (5, 8 * BLOCK)).astype(np.float32)
  assert_sorted(score, k)


@pytest.mark.parametrize('k', [5, 20])
@pytest.mark.parametrize('step', [-1, 1])
def test_a_catalogue_sorted_by_score(k, step):
  # Rising, every group of every block is above the threshold; falling, none.
  score = np.tile(np.arange(4 * BLOCK, dtype=np.float32)[::step], (3, 1))
  assert_sorted(score, k)


@pytest.mark.parametrize('above', [0, 1, 8, 9, 32, 33, 40])
def test_any_number_of_groups_above_the_threshold(above):
  # One brand's groups decide on the room for all.
  score = np.zeros((3, 2 * BLOCK), np.float32)
  score[:, :BLOCK] = 1
  score[1, BLOCK : BLOCK + 4 * above : 4] = 2 + np.arange(above) % 3
  score[2, -1] = 5
  assert_sorted(score, 50)


def test_an_equal_score_later_in_the_catalogue_does_not_enter():
  score = np.ones((1, 2 * BLOCK), np.float32)
  assert in_blocks(score, 3).rows.tolist() == [[0, 1, 2]]


def test_lists_that_are_not_full_yet_take_what_there_is():
  score = np.full((2, 3 * BLOCK), -np.inf, np.float32)
  score[0, [7, BLOCK + 3, 2 * BLOCK + 9]] = [1, 3, 2]
  assert_sorted(score, 20)
