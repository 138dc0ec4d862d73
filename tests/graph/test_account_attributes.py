"""Attribute lists on the host: gathered, padded, matched by name."""

import jax
import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.graph import account_attributes


def lists_of(lists, num_nodes, num_accounts=None, **options):
  pairs = [(a, s) for a, held in enumerate(lists) for s in held]
  holder, held = np.array(pairs, np.int64).reshape(-1, 2).T
  attributes = accounts_lib.Attributes(
    names_V=np.arange(num_nodes).astype(str),
    ids_V=np.arange(num_nodes).astype(str),
    holder=holder,
    held=held,
  )
  return account_attributes.account_attributes(
    attributes, num_accounts or len(lists), **options
  )


def test_lists_stay_on_the_host():
  lists = lists_of([[3], [1, 2]], 20)
  rows = lists[np.array([1, 0])]
  for array in (lists.index, lists.start, rows.index, rows.weight):
    assert type(array) is np.ndarray
  assert rows.index.dtype == lists.start.dtype == np.int32
  assert rows.weight.dtype == np.float32
  # What is gathered is a pytree, as a step takes it.
  assert len(jax.tree.leaves(rows)) == 2


def test_rows_are_gathered_in_any_order_and_padded_to_the_longest_list():
  lists = lists_of([[3], [2, 1], []], 20, num_accounts=4)
  rows = lists[np.array([3, 1, 0, 1, 2])]
  np.testing.assert_array_equal(
    rows.index, [[0, 0], [1, 2], [3, 0], [1, 2], [0, 0]]
  )
  np.testing.assert_array_equal(
    rows.weight, [[0, 0], [1, 1], [1, 0], [1, 1], [0, 0]]
  )
  np.testing.assert_array_equal(lists[1:3].index, [[1, 2], [0, 0]])
  np.testing.assert_array_equal(lists[1:3].weight, [[1, 1], [0, 0]])


def test_accounts_without_any_attribute_gather_too():
  rows = lists_of([[], []], 20)[:]
  assert rows.index.tolist() == [[0], [0]]
  assert rows.weight.tolist() == [[0], [0]]


def test_attributes_may_weigh_differently():
  rows = lists_of([[1, 0], [1]], 2, weight_V=np.array([0.5, 3.0]))[:]
  assert rows.weight.tolist() == [[0.5, 3.0], [3.0, 0.0]]
  for bad in (0.0, -1.0, np.nan, np.inf):
    with pytest.raises(errors.UserError, match='positive and finite'):
      lists_of([[0]], 2, weight_V=np.array([1.0, bad]))


def test_another_bundle_is_matched_by_name():
  other = accounts_lib.Attributes(
    names_V=np.array(['c', 'new', 'a', 'odd']),
    ids_V=np.array(['7', '8', '9', '10']),
    holder=np.array([0, 0, 1, 2, 2, 2]),
    held=np.array([0, 1, 1, 2, 0, 3]),
  )
  matched, unknown = account_attributes.match_by_name(
    other, np.array(['a', 'b', 'c', 'd'])
  )
  assert unknown == ['new', 'odd']
  assert matched.names_V.tolist() == ['a', 'b', 'c', 'd']
  lists = account_attributes.account_attributes(matched, 3)
  assert lists.width == 2
  np.testing.assert_array_equal(lists[0:3].index, [[2, 0], [0, 0], [0, 2]])
  np.testing.assert_array_equal(lists[0:3].weight, [[1, 0], [0, 0], [1, 1]])
