"""Co-occurrence against a literal reading of eq. 13-17, and by hand."""

import itertools

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.graph import attribute_graph
from morning_jax.graph import co_occurrence


def _attributes(lists, num_attributes):
  holder = [a for a, held in enumerate(lists) for _ in held]
  return accounts_lib.Attributes(
    names_V=np.array([f's{i}' for i in range(num_attributes)]),
    ids_V=np.arange(num_attributes).astype(str),
    holder=np.array(holder, np.int64),
    held=np.array([s for held in lists for s in held], np.int64),
  )


def _literal(pairs, lists, num_attributes):
  """Eq. 13-16 read word for word."""
  score = np.zeros((num_attributes, num_attributes), int)
  for b, m in pairs:
    for i, j in itertools.combinations(range(num_attributes), 2):
      s_b, s_m = lists[b], lists[m]
      score[i, j] += i in s_b and j in s_b
      score[i, j] += i in s_m and j in s_m
      score[i, j] += (i in s_b and j in s_m) or (j in s_b and i in s_m)
  return score


@pytest.mark.parametrize('seed', range(6))
def test_counts_equal_the_literal_reading(seed):
  rng = np.random.default_rng(seed)
  brands, influencers, num_attributes = 4, 7, 9
  lists = [
    rng.choice(num_attributes, size, replace=False).tolist()
    for size in rng.integers(0, 8, brands + influencers)
  ]
  pairs = np.array(
    [
      (b, brands + m)
      for b in range(brands)
      for m in range(influencers)
      if rng.random() < 0.5
    ]
  )
  attributes = _attributes(lists, num_attributes)
  expected = _literal(pairs.tolist(), lists, num_attributes)
  # A pair that both hold together must occur, or its overlap goes untested.
  assert any(len(set(lists[b]) & set(lists[m])) > 1 for b, m in pairs)
  for products in (1, 40, 1 << 24):
    counts = co_occurrence.co_occurrence(
      pairs, attributes, len(lists), products_at_a_time=products
    )
    np.testing.assert_array_equal(counts.toarray(), expected)


def test_four_attributes_by_hand():
  """Four different weights, each written out.

  Brand 0 has {0, 1}, brand 1 {1, 2, 3}; influencer 2 has {0, 1}, influencer 3
  has {2}. Positives: (0, 2), (0, 3), (1, 3).
    (0, 2): pair 01 in S_b, in S_m and across                 -> 3
    (0, 3): 01 in S_b -> 1; across 02 -> 1, 12 -> 1
    (1, 3): 12, 13, 23 in S_b -> 1 each; across 12, 23 -> 1 each
  Sums: 01: 4, 02: 1, 12: 1 + 2 = 3, 13: 1, 23: 2.
  """
  lists = [[0, 1], [1, 2, 3], [0, 1], [2]]
  counts = co_occurrence.co_occurrence(
    np.array([[0, 2], [0, 3], [1, 3]]), _attributes(lists, 4), 4
  )
  edges, weight = co_occurrence.edges_of(counts)
  assert edges.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
  np.testing.assert_allclose(
    weight, [2**0.5, 0.5**0.5, 1.5**0.5, 0.5**0.5, 1], rtol=1e-6
  )


def test_an_index_out_of_range_is_one_line():
  attributes = _attributes([[0], [4]], 4)
  with pytest.raises(errors.UserError, match='attribute 4 is out of range'):
    co_occurrence.co_occurrence(np.array([[0, 1]]), attributes, 2)
  with pytest.raises(errors.UserError, match='account row 7 is out of range'):
    co_occurrence.co_occurrence(np.array([[0, 7]]), attributes, 2)


def _dataset(splits, lists, pairs, num_attributes=6):
  n = len(lists)
  splits = splits + [''] * (n - len(splits))
  return accounts_lib.Dataset(
    name='world',
    accounts=accounts_lib.Accounts(
      ids=np.arange(n).astype(str),
      roles=np.array([0 if s else 1 for s in splits], np.int8),
      categories=np.full(n, 'c'),
      splits=np.array(splits),
    ),
    features={},
    positives_Px2=np.array(pairs, np.int64).reshape(-1, 2),
    attributes=_attributes(lists, num_attributes),
  )


def test_no_pair_of_another_split_changes_a_weight():
  splits = ['train', 'test', 'valid', '']
  lists = [[0, 1], [2, 3], [4, 5], [0, 5], [1, 2], [3, 4]]
  splits[3] = 'test'
  training = [[0, 4], [0, 5]]
  others = [[1, 4], [1, 5], [2, 4], [2, 5], [3, 4], [3, 5]]
  clean = attribute_graph.build_graph(_dataset(splits, lists, training))
  for end in range(len(others) + 1):
    graph = attribute_graph.build_graph(
      _dataset(splits, lists, others[:end] + training + others[end:])
    )
    np.testing.assert_array_equal(graph.edges_Ex2, clean.edges_Ex2)
    np.testing.assert_array_equal(graph.weight_E, clean.weight_E)
  # The same pairs do change it once their brand is in training.
  moved = attribute_graph.build_graph(
    _dataset(['train'] * 4, lists, training + others)
  )
  assert moved.num_edges > clean.num_edges


def test_no_training_positive_means_an_empty_graph():
  dataset = _dataset(['test'], [[0, 1], [2]], [[0, 1]])
  with pytest.raises(errors.UserError, match='graph is empty; no two'):
    attribute_graph.build_graph(dataset)
