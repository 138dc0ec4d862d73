"""Walks against the exact transition matrix, by hand and in the aggregate."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.graph import attribute_graph
from morning_jax.graph import walks
from tests import xla_flags


def _ten_nodes() -> attribute_graph.AttributeGraph:
  rng = np.random.default_rng(3)
  low, high = np.triu_indices(10, 1)
  keep = rng.random(45) < 0.45
  keep[:9] |= high[:9] == low[:9] + 1
  edges = np.stack([low[keep], high[keep]], 1).astype(np.int32)
  edges = np.unique(
    np.concatenate([edges, [[i, i + 1] for i in range(9)]]), axis=0
  ).astype(np.int32)
  weight = rng.uniform(0.3, 6.0, len(edges)).astype(np.float32)
  names = np.array([f'n{i}' for i in range(10)])
  return attribute_graph.AttributeGraph(names, edges, weight)


def _exact(graph, p, q):
  """[t, v, x]: the probability of x after t, v; slow and literal."""
  v = graph.num_nodes
  weight = np.zeros((v, v))
  for (i, j), w in zip(graph.edges_Ex2, graph.weight_E, strict=True):
    weight[i, j] = weight[j, i] = w
  result = np.zeros((v, v, v))
  for before in range(v):
    for node in range(v):
      if not weight[before, node]:
        continue
      for after in range(v):
        if after == before:
          alpha = 1 / p
        elif weight[before, after]:
          alpha = 1
        else:
          alpha = 1 / q
        result[before, node, after] = alpha * weight[node, after]
      result[before, node] /= result[before, node].sum()
  return weight, result


# The last two reject and return apart: p below, then above, what q allows.
@pytest.mark.parametrize('p, q', [(1.0, 1.0), (0.2, 2.0), (4.0, 0.25)])
def test_walks_follow_the_exact_transition_probabilities(p, q):
  graph = _ten_nodes()
  weight, exact = _exact(graph, p, q)
  start = jnp.tile(jnp.arange(10, dtype=jnp.int32), 6000)
  args = walks.walk_graph(graph), start, jax.random.key(0)
  lowered = walks.random_walks.lower(*args, length=26, p=p, q=q)
  paths = np.asarray(lowered.compile(xla_flags.OPTIMIZED)(*args))
  first = np.zeros((10, 10))
  np.add.at(first, (paths[:, 0], paths[:, 1]), 1)
  first /= first.sum(1, keepdims=True)
  expected = weight / weight.sum(1, keepdims=True)
  assert np.abs(first - expected).sum(1).max() / 2 < 0.02

  seen = np.zeros((10, 10, 10))
  np.add.at(seen, (paths[:, :-2], paths[:, 1:-1], paths[:, 2:]), 1)
  total = seen.sum(2)
  assert (total > 0).tolist() == (weight > 0).tolist()
  variation = np.zeros((10, 10))
  for before, node in np.argwhere(total):
    share = seen[before, node] / total[before, node]
    variation[before, node] = np.abs(share - exact[before, node]).sum() / 2
  # Over all steps, and after every single (before, node) of enough visits.
  assert (variation * total).sum() / total.sum() < 0.01
  assert variation[total > 5000].max() < 0.02
  assert (total > 5000).sum() > 0.8 * (weight > 0).sum()


def test_a_walk_is_determined_by_its_key():
  graph = walks.walk_graph(_ten_nodes())
  start = jnp.arange(10, dtype=jnp.int32)
  one, same, other = (
    np.asarray(
      walks.random_walks(graph, start, jax.random.key(k), length=9, p=2.0)
    )
    for k in (5, 5, 6)
  )
  np.testing.assert_array_equal(one, same)
  assert (one != other).any()


def test_a_node_without_edges_stays_alone():
  graph = attribute_graph.AttributeGraph(
    np.array(['a', 'b', 'c', 'd']),
    np.array([[0, 3]], np.int32),
    np.array([2.0], np.float32),
  )
  paths = walks.random_walks(
    walks.walk_graph(graph),
    jnp.arange(4, dtype=jnp.int32),
    jax.random.key(0),
    length=4,
    p=0.5,
  )
  np.testing.assert_array_equal(
    paths, [[0, 3, 0, 3], [1, -1, -1, -1], [2, -1, -1, -1], [3, 0, 3, 0]]
  )


def test_a_node_with_many_neighbours_is_searched_to_its_last():
  """A star whose last leaf has nearly all the weight."""
  leaves = 300
  edges = np.stack([np.zeros(leaves), np.arange(1, leaves + 1)], 1)
  weight = np.full(leaves, 0.001, np.float32)
  weight[-1] = 1000.0
  graph = attribute_graph.AttributeGraph(
    np.arange(leaves + 1).astype(str), edges.astype(np.int32), weight
  )
  paths = walks.random_walks(
    walks.walk_graph(graph),
    jnp.zeros(2000, jnp.int32),
    jax.random.key(0),
    length=2,
  )
  assert (np.asarray(paths[:, 1]) == leaves).mean() > 0.99
