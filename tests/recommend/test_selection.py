"""Selection by groups against sorting all, ties and all."""

from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.recommend import selection


def slow(score, k):
  columns = np.argsort(-score, axis=1, kind='stable')[:, :k]
  return np.take_along_axis(score, columns, axis=1), columns


@pytest.mark.parametrize('count', [64, 1000, 1024])
@pytest.mark.parametrize('k', [1, 3, 20])
@pytest.mark.parametrize('values', [3, 10**6])
def test_it_is_a_stable_sort(count, k, values):
  rng = np.random.default_rng(count + k)
  score = rng.integers(0, values, (7, count)).astype(np.float32)
  score[0] = 5  # one great tie
  score[1, : count // 2] = -np.inf
  score[2] = -np.inf
  found, columns = selection.best(jnp.asarray(score), k)
  want, at = slow(score, k)
  np.testing.assert_array_equal(columns, at)
  np.testing.assert_array_equal(found, want)


def test_many_scores_are_grouped_and_few_are_not():
  assert selection.group_size(8192, 10) == 32
  assert selection.group_size(8192, 100) == 8
  assert selection.group_size(16, 10) == selection.group_size(8191, 10) == 1
  for count in (64, 100, 1 << 14):
    for k in (1, 10, 50):
      size = selection.group_size(count, k)
      assert count % size == 0 and (size == 1 or count // size >= k)


def test_rows_are_left_out_of_the_block_that_they_are_in():
  score = jnp.zeros((2, 4))
  skip = jnp.array([[-1, 10, 13], [9, 14, 12]])
  found = selection.without(score, skip, jnp.int32(10))
  assert np.isneginf(found).tolist() == [
    [True, False, False, True],
    [False, False, True, False],
  ]
