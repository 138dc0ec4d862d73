"""What is printed of a graph."""

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.graph import attribute_graph
from morning_jax.graph import inspection


def _graph():
  return attribute_graph.AttributeGraph(
    np.array(['wine', 'food', 'beer', 'pet', 'car']),
    np.array([[0, 1], [0, 2], [1, 2], [1, 3]], np.int32),
    np.array([3.0, 4.0, 0.71, 1.0], np.float32),
  )


def test_lines_name_pairs_and_neighbours():
  graph = _graph()
  assert inspection.strongest_pairs(graph, count=2) == [
    ('wine', 'beer', 4.0),
    ('wine', 'food', 3.0),
  ]
  lines = inspection.summary_lines(graph, pairs=2)
  assert 'nodes: 5, of which 1 without an edge' in lines
  assert lines[-2].split() == ['4.00', 'wine', 'beer']
  bars = [line.split()[3] for line in lines if '#' in line]
  assert sum(map(int, bars)) == graph.num_edges
  vectors = np.array([[1, 0], [0, 1], [2, 1], [-1, 0], [0, 0]], np.float32)
  near, cosine = inspection.nearest(vectors, 0, count=2)
  assert near.tolist() == [2, 1]
  np.testing.assert_allclose(cosine, [2 / 5**0.5, 0], atol=1e-6)
  lines = inspection.neighbour_lines(
    graph, 0, vectors={'before': vectors, 'after': -vectors}, count=2
  )
  assert lines[1].split() == ['by', 'edge', 'weight', 'before', 'after']
  assert lines[2].split()[:4] == ['beer', '4.00', 'beer', '0.894']
  with pytest.raises(errors.UserError, match="near: 'wine'"):
    inspection.node_of(graph, 'wines')
