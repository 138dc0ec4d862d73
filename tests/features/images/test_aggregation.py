"""Equations 4 to 6, against arithmetic in comments and a slow copy."""

import numpy as np
import pytest

from morning_jax.features.images import aggregation
from morning_jax.features.images import encoder as encoder_lib

OBJECTS = encoder_lib.Group('object', ('a', 'b', 'c'))
SCENES = encoder_lib.Group('scene', ('x', 'y'))
GROUPS = (OBJECTS, SCENES)


def test_by_hand():
  vectors = np.array(
    [
      [0.80, 0.15, 0.05, 0.95, 0.05],
      [0.30, 0.60, 0.10, 0.09, 0.91],
      [0.09, 0.09, 0.09, 0.05, 0.05],
    ],
    np.float32,
  )
  posts = [
    [[0], [1]],  # objects .8 + .3, .15 + .6, .1; scenes .95, .91
    [[0, 1]],  # the same halved: one post of two pictures
    [[0, 0], [1]],  # a picture twice in a post: the post counts once
    [[2], []],  # nothing passes: zeros and no NaN
    [],  # no post
    [[], []],  # no picture
    [[0], [2]],  # .8, .15 of .95; .95 of .95
  ]
  found = aggregation.aggregate(vectors, posts, GROUPS, threshold=0.1)
  first = [1.1 / 1.95, 0.75 / 1.95, 0.1 / 1.95, 0.95 / 1.86, 0.91 / 1.86]
  expected = [
    first,
    first,
    first,
    [0, 0, 0, 0, 0],
    [np.nan] * 5,
    [np.nan] * 5,
    [0.8 / 0.95, 0.15 / 0.95, 0, 1, 0],
  ]
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_probability_equal_to_the_threshold_counts():
  vectors = np.array([[0.1, 0.5, 0.0, 0.25, 0.1]], np.float32)
  found = aggregation.aggregate(vectors, [[[0]]], GROUPS, threshold=0.25)
  np.testing.assert_allclose(found, [[0, 1, 0, 1, 0]])


def test_ten_pictures_of_a_post_are_not_diluted():
  # Each shows another class with certainty; their mean is under the threshold.
  vectors = np.eye(12, dtype=np.float32)
  group = encoder_lib.Group('object', tuple(map(str, range(12))))
  found = aggregation.aggregate(
    vectors, [[list(range(12))]], (group,), threshold=0.1
  )
  np.testing.assert_allclose(found, np.full((1, 12), 1 / 12), rtol=1e-6)


def test_embeddings_are_averaged_over_posts():
  group = encoder_lib.Group('embedding', ('0', '1'), probabilities=False)
  vectors = np.array([[1, -4], [3, 0.01], [-5, 2]], np.float32)
  posts = [[[0, 1], [2]], [[0]], [[], [2]], []]
  found = aggregation.aggregate(vectors, posts, (group,), threshold=0.1)
  np.testing.assert_allclose(
    found,
    [[-1.5, 0.0025], [1, -4], [-5, 2], [np.nan, np.nan]],  # (2 - 5) / 2, ...
    rtol=1e-5,
  )


def slow(vectors, posts, sizes, threshold):
  """In plain Python, float64."""
  result = []
  for account in posts:
    seen = [post for post in account if len(post)]
    if not seen:
      result.append([np.nan] * sum(sizes))
      continue
    total = [0.0] * sum(sizes)
    for post in seen:
      for picture in post:
        for k, p in enumerate(vectors[picture]):
          total[k] += p / len(post) if p >= threshold else 0.0
    start = 0
    for size in sizes:
      whole = sum(total[start : start + size])
      for k in range(start, start + size):
        total[k] = total[k] / whole if whole else 0.0
      start += size
    result.append(total)
  return result


def random_posts(rng, accounts, pictures):
  return [
    [
      rng.integers(0, pictures, rng.integers(0, 4)).tolist()
      for _ in range(rng.integers(0, 30))
    ]
    for _ in range(accounts)
  ]


@pytest.mark.parametrize('seed', range(4))
def test_random_posts_against_the_slow_copy(seed):
  rng = np.random.default_rng(seed)
  vectors = np.concatenate(
    [rng.dirichlet(np.full(n, 0.2), 40) for n in (3, 2)], axis=1
  ).astype(np.float32)
  vectors[::7] = 0.05
  posts = random_posts(rng, 70, 40)
  found = aggregation.aggregate(vectors, posts, GROUPS, threshold=0.1)
  np.testing.assert_allclose(
    found, slow(vectors, posts, (3, 2), 0.1), rtol=1e-5, atol=1e-7
  )
  some = found[~np.isnan(found).all(axis=1)]
  assert np.isfinite(some).all()
  for part in (some[:, :3].sum(axis=1), some[:, 3:].sum(axis=1)):
    assert (np.isclose(part, 1) | (part == 0)).all()


def test_bits_do_not_depend_on_who_else_is_there():
  rng = np.random.default_rng(7)
  vectors = rng.random((50, 5)).astype(np.float32)
  posts = random_posts(rng, 80, 50)
  posts[3] = [[i] for i in range(50)] * 3  # far more pictures than others
  together = aggregation.aggregate(vectors, posts, GROUPS, threshold=0.1)
  for size in (1, 7, 33):
    parts = [
      aggregation.aggregate(vectors, posts[i : i + size], GROUPS, threshold=0.1)
      for i in range(0, len(posts), size)
    ]
    assert np.concatenate(parts).tobytes() == together.tobytes()
  order = rng.permutation(80)
  shuffled = aggregation.aggregate(
    vectors, [posts[i] for i in order], GROUPS, threshold=0.1
  )
  assert shuffled.tobytes() == together[order].tobytes()
