"""Vectors on disk read as the array that was written."""

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.recommend import index as index_lib
from morning_jax.recommend import stored_vectors

X = np.random.default_rng(0).standard_normal((500, 12)).astype(np.float32)


@pytest.fixture
def vectors(tmp_path, monkeypatch):
  monkeypatch.setattr(stored_vectors, '_BLOCK_BYTES', 48 * 64)
  index_lib.build_index(
    lambda first, last: X[first:last],
    tmp_path / 'x.npy',
    num_rows=500,
    width=12,
    fingerprint='x',
    batch_rows=90,
  )
  return stored_vectors.StoredVectors(tmp_path / 'x.npy')


@pytest.mark.parametrize(
  'where',
  [
    3,
    -1,
    slice(None),
    slice(10, 300),
    slice(9, 4),
    slice(0, 400, 7),
    [5, 5, 499, 0, 1, 2],
    X[:, 0] > 0.5,
    (slice(3, 30), slice(2, 5)),
    ([7, 3], slice(0, 4)),
  ],
)
def test_rows_are_those_that_were_written(vectors, where):
  np.testing.assert_array_equal(vectors[where], X[where])


def test_products_go_block_by_block(vectors):
  assert vectors.block_rows == 64
  one, some = X[0], X[:3].T
  np.testing.assert_allclose(vectors @ one, X @ one, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(vectors @ some, X @ some, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(
    vectors.product(one[2:5], slice(2, 5)), X[:, 2:5] @ one[2:5], atol=1e-5
  )


def test_some_rows_of_them(vectors):
  rows = np.array([4, 9, 200, 201])
  some = vectors.select(rows)
  assert some.shape == (4, 12)
  np.testing.assert_array_equal(some[:], X[rows])
  np.testing.assert_array_equal(some[1:3], X[rows][1:3])
  np.testing.assert_array_equal(some.select(np.array([3, 0]))[:], X[[201, 4]])


def test_rows_that_there_are_not(vectors):
  for row in (500, -501):
    with pytest.raises(IndexError):
      vectors[[row]]


def test_a_file_that_was_cut_ends_in_one_line(vectors, tmp_path):
  with open(tmp_path / 'x.npy', 'r+b') as f:
    f.truncate(2000)
  with pytest.raises(errors.UserError, match='is truncated'):
    vectors[400]


def test_another_type_is_refused(tmp_path):
  np.save(tmp_path / 'y.npy', np.zeros((3, 2), np.uint16))
  with pytest.raises(errors.UserError, match='no float32'):
    stored_vectors.StoredVectors(tmp_path / 'y.npy')
