"""A padded attribute graph as arrays, for checkpoints and the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jraph
import numpy as np


def to_arrays(graph: jraph.GraphsTuple) -> dict[str, np.ndarray]:
  """Returns what a checkpoint keeps of a padded graph; no array is empty."""
  nodes = np.asarray(graph.nodes)
  return {
    # Without vectors of its own, a graph keeps its number of rows.
    'nodes': nodes if nodes.shape[1] else np.zeros((len(nodes), 1), np.float32),
    'edges': np.asarray(graph.edges),
    'senders': np.asarray(graph.senders),
    'receivers': np.asarray(graph.receivers),
  }


def from_arrays(arrays: Mapping[str, Any]) -> jraph.GraphsTuple:
  """Makes a graph for the model of what `to_arrays` returned.

  The model needs no numbers of nodes and edges beside the arrays' shapes.
  """
  return jraph.GraphsTuple(**arrays, globals=None, n_node=None, n_edge=None)


def padded_shapes(
  num_nodes: int, num_edges: int, *, width: int, multiple: int = 128
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns the shapes of what `to_arrays` returns of a padded graph.

  Args:
    num_nodes: V.
    num_edges: E, each undirected edge counted once; 0 for `without_edges`.
    width: of the stored node vectors; 0 where there are none.
    multiple: as in `attribute_graph.AttributeGraph.to_jraph`.
  """
  rows = num_nodes + multiple - num_nodes % multiple
  edges = max(multiple, 2 * num_edges + -2 * num_edges % multiple)
  return {
    'nodes': jax.ShapeDtypeStruct((rows, max(width, 1)), np.float32),
    'edges': jax.ShapeDtypeStruct((edges,), np.float32),
    'senders': jax.ShapeDtypeStruct((edges,), np.int32),
    'receivers': jax.ShapeDtypeStruct((edges,), np.int32),
  }


def without_edges(num_nodes: int, *, multiple: int = 128) -> jraph.GraphsTuple:
  """Returns a padded graph of nodes alone, for vectors that use no edges."""
  rows = num_nodes + multiple - num_nodes % multiple
  at_padding = np.full(multiple, num_nodes, np.int32)
  return jraph.GraphsTuple(
    nodes=np.zeros((rows, 0), np.float32),
    edges=np.zeros(multiple, np.float32),
    senders=at_padding,
    receivers=at_padding,
    globals=None,
    n_node=None,
    n_edge=None,
  )
