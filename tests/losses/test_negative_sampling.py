"""Negatives are never positives, and uniform over the rest."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.losses import negative_sampling

# Brand 0 has the ends, brand 1 all but two, brand 2 one, brand 3 none.
POSITIVES = {0: [0, 1, 9], 1: [0, 1, 2, 4, 5, 6, 7, 9], 2: [5], 3: []}


def lists(num_candidates=10):
  pairs = [(b, m) for b, own in POSITIVES.items() for m in own]
  brand, candidate = np.array(pairs).T
  order = np.random.default_rng(0).permutation(len(pairs))
  return jax.tree.map(
    jnp.asarray,
    negative_sampling.make_positive_lists(
      brand[order],
      candidate[order],
      num_brands=4,
      num_candidates=num_candidates,
    ),
  )


def test_draws_are_uniform_over_what_is_no_positive():
  count = 40_000
  drawn = negative_sampling.draw(
    jax.random.key(0), lists(), jnp.arange(4), count=count
  )
  for brand, own in POSITIVES.items():
    frequency = np.bincount(drawn[brand], minlength=10) / count
    rest = [m for m in range(10) if m not in own]
    assert not frequency[own].any()
    # Five standard deviations of a binomial share.
    share = 1 / len(rest)
    bound = 5 * np.sqrt(share * (1 - share) / count)
    np.testing.assert_allclose(frequency[rest], share, atol=bound)


def test_membership():
  member = negative_sampling.positives_among(
    lists(), jnp.arange(4), jnp.arange(10)
  )
  for brand, own in POSITIVES.items():
    assert np.flatnonzero(member[brand]).tolist() == own


@pytest.mark.parametrize('seed', range(3))
def test_large_random_lists(seed):
  rng = np.random.default_rng(seed)
  table = rng.random((30, 200)) < rng.random((30, 1)) ** 3
  table[:, 0] = False  # everyone keeps a negative
  brand, candidate = np.nonzero(table)
  made = jax.tree.map(
    jnp.asarray,
    negative_sampling.make_positive_lists(
      brand, candidate, num_brands=30, num_candidates=200
    ),
  )
  drawn = np.asarray(
    negative_sampling.draw(
      jax.random.key(seed), made, jnp.arange(30), count=500
    )
  )
  assert drawn.min() >= 0
  assert drawn.max() < 200
  assert not table[np.arange(30)[:, None], drawn].any()


@pytest.mark.parametrize('longest', [6, 50])
@pytest.mark.parametrize('side', ['brands', 'candidates'])
def test_pairs_among_some_with_repetitions(side, longest):
  rng = np.random.default_rng(longest)
  # One long list, many of one or two, an empty one.
  table = np.eye(60, dtype=bool)
  table[3] = False
  table[3, 10 : 10 + longest] = True
  table[5] = False
  if side == 'brands':
    table = table.T  # it is the candidates' lists that are long
  brand, candidate = np.nonzero(table)
  made = negative_sampling.make_positive_lists(
    brand, candidate, num_brands=60, num_candidates=60
  )
  other = negative_sampling.make_candidate_lists(
    brand, candidate, num_candidates=60
  )
  assert (other is not None) == (side == 'candidates')
  if other is not None:  # longer than all lists, as on device
    other = other.replace(brand_P=np.pad(other.brand_P, (0, 50)))
  made = jax.tree.map(
    jnp.asarray,
    made.replace(
      by_candidate=other, candidate_P=np.pad(made.candidate_P, (0, 50))
    ),
  )
  brand_R = np.r_[rng.integers(0, 60, 70), 3, 3, 5, 59]
  candidate_C = np.r_[rng.integers(0, 60, 40), 0, 59, 5, 3, 3]
  for lists in (made, made.replace(by_candidate=None)):
    found = jax.jit(negative_sampling.positives_among)(
      lists, brand_R, candidate_C
    )
    np.testing.assert_array_equal(found, table[brand_R][:, candidate_C])


def test_one_long_list_does_not_make_its_side_the_longer():
  # A brand with 6 influencers; 4 brands with the same 3: most pairs are theirs.
  brand = np.r_[np.zeros(6, int), np.repeat([1, 2, 3, 4], 3)]
  candidate = np.r_[np.arange(6), np.tile([6, 7, 8], 4)]
  sides = brand, candidate
  assert sum(np.bincount(brand) ** 2) == 72
  assert sum(np.bincount(candidate) ** 2) == 54
  assert negative_sampling.make_candidate_lists(*sides, num_candidates=9)
  # One more brand for each of the three: 81 against 81.
  brand = np.r_[brand, 5, 5, 5]
  candidate = np.r_[candidate, 6, 7, 8]
  assert not negative_sampling.make_candidate_lists(
    brand, candidate, num_candidates=9
  )


def test_nobody_has_positives():
  made = negative_sampling.make_positive_lists(
    np.zeros(0, int), np.zeros(0, int), num_brands=2, num_candidates=3
  )
  made = jax.tree.map(
    jnp.asarray, made.replace(candidate_P=np.zeros(64, np.int32))
  )
  found = negative_sampling.positives_among(made, jnp.arange(2), jnp.arange(3))
  assert found.shape == (2, 3) and not found.any()


def test_a_brand_without_negatives_is_refused():
  with pytest.raises(ValueError, match='all 2 candidates'):
    negative_sampling.make_positive_lists(
      np.array([0, 0]), np.array([0, 1]), num_brands=1, num_candidates=2
    )


def test_indices_out_of_range_are_refused():
  with pytest.raises(ValueError, match='candidate indices'):
    negative_sampling.make_positive_lists(
      np.array([0]), np.array([5]), num_brands=1, num_candidates=5
    )
