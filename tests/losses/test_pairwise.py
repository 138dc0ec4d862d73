"""Losses against arithmetic and loops."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.losses import pairwise

MARGINS = {'content': 4.0, 'attribute': 2.0}


def test_paper_triplets_by_hand():
  # Two triplets. content: 1 - 3 + 4 = 2 and 0 - 9 + 4 < 0: mean 1.
  # attribute: 2 - 1 + 2 = 3 and 1 - 2 + 2 = 1: mean 2.
  # Gaps F- - F+: (1 + 2) - (3 + 1) = -1 and (0 + 1) - (9 + 2) = -10.
  parts = pairwise.triplet(
    {'content': jnp.array([3.0, 9.0]), 'attribute': jnp.array([1.0, 2.0])},
    {
      'content': jnp.array([[1.0], [0.0]]),
      'attribute': jnp.array([[2.0], [1.0]]),
    },
    margins=MARGINS,
    variant='paper',
    score_weights={},
  )
  assert set(parts) == {'hinge_content', 'hinge_attribute', 'cross_entropy'}
  assert float(parts['hinge_content']) == pytest.approx(1)
  assert float(parts['hinge_attribute']) == pytest.approx(2)
  expected = (np.log1p(np.exp(-1)) + np.log1p(np.exp(-10))) / 2
  assert float(parts['cross_entropy']) == pytest.approx(expected, rel=1e-6)


def test_paper_cross_entropy_keeps_its_gradient_when_far_off():
  def loss(score):
    return pairwise.triplet(
      {'content': jnp.zeros(1)},
      {'content': score[None, None]},
      margins=MARGINS,
      variant='paper',
      score_weights={},
    )['cross_entropy']

  assert float(jax.grad(loss)(jnp.float32(100))) == pytest.approx(1)


def all_pairs_slow(
  scores, known, temperature, hinge_weight, category, category_weight
):
  total = sum(scores.values()) / temperature
  size = len(total)
  parts = {
    'softmax_influencers': 0.0,
    'softmax_brands': 0.0,
    'softmax_category': 0.0,
  }
  for i in range(size):
    row = [total[i, j] for j in range(size) if j == i or not known[i, j]]
    column = [total[j, i] for j in range(size) if j == i or not known[j, i]]
    for name, rivals in (
      ('softmax_influencers', row),
      ('softmax_brands', column),
    ):
      parts[name] += (np.log(np.sum(np.exp(rivals))) - total[i, i]) / size
    within = [
      total[i, j]
      for j in range(size)
      if j == i
      or (not known[i, j] and category[i] == category[j] and category[i] >= 0)
    ]
    parts['softmax_category'] += (
      category_weight * (np.log(np.sum(np.exp(within))) - total[i, i]) / size
    )
  for k, s in scores.items():
    hinges = [
      max(0.0, s[i, j] - s[i, i] + MARGINS[k])
      for i in range(size)
      for j in range(size)
      if not known[i, j]
    ]
    parts[f'hinge_{k}'] = hinge_weight * np.mean(hinges)
  return parts


@pytest.mark.parametrize('seed', range(4))
def test_all_pairs_against_loops(seed):
  rng = np.random.default_rng(seed)
  size = 7
  scores = {k: rng.normal(size=(size, size)) for k in MARGINS}
  # Uneven numbers of positives; two rows are of one influencer.
  known = rng.random((size, size)) < 0.3
  known[:, 3] = known[:, 4]
  known[3, 4] = known[4, 3] = True
  np.fill_diagonal(known, True)
  category = np.array([0, 1, 0, -1, -1, 1, 0])
  ours = pairwise.all_pairs(
    {k: jnp.asarray(s, jnp.float32) for k, s in scores.items()},
    jnp.asarray(known),
    margins=MARGINS,
    hinge_weight=0.7,
    temperature=0.5,
    category_B=jnp.asarray(category),
    category_weight=0.6,
  )
  want = all_pairs_slow(scores, known, 0.5, 0.7, category, 0.6)
  assert set(ours) == set(want)
  for name, value in want.items():
    assert float(ours[name]) == pytest.approx(value, rel=1e-5), name


def test_a_known_positive_gets_no_push():
  known = jnp.array([[True, True], [False, True]])

  def loss(score):
    return pairwise.total(
      pairwise.all_pairs(
        {'content': score},
        known,
        margins=MARGINS,
        hinge_weight=1.0,
        temperature=1.0,
      )
    )

  grads = jax.grad(loss)(jnp.zeros((2, 2)))
  assert float(grads[0, 1]) == 0
  assert float(grads[1, 0]) > 0
  assert np.isfinite(grads).all()


def test_l1_counts_weight_matrices_alone():
  params = {
    'a': {'kernel': jnp.array([[1.0, -2.0]]), 'bias': jnp.array([5.0])},
    'b': {'missing': jnp.array([7.0]), 'kernel': jnp.array([[-3.0]])},
  }
  assert float(pairwise.l1_norm(params)) == 6
