"""How well node vectors distinguish edges from pairs that are none."""

from __future__ import annotations

import dataclasses

import numpy as np

from morning_jax.graph import attribute_graph


@dataclasses.dataclass(frozen=True)
class EdgeSplit:
  """A graph without some of its edges, and the pairs to distinguish.

  Attributes:
    graph: the graph that is left.
    held_out_Ex2: int32, the edges that were taken away.
    non_edges_Ex2: int32, as many pairs that are no edge of the whole graph.
  """

  graph: attribute_graph.AttributeGraph
  held_out_Ex2: np.ndarray
  non_edges_Ex2: np.ndarray


def hold_out_edges(
  graph: attribute_graph.AttributeGraph, *, share: float = 0.1, seed: int = 0
) -> EdgeSplit:
  """Takes a random share of the edges away.

  Args:
    graph: the whole graph.
    share: of the edges, rounded down, at least one.
    seed: decides which, and the pairs that are none.

  Returns:
    The split.

  Raises:
    GraphError: nothing would be left, or all pairs are edges.
  """
  rng = np.random.default_rng(seed)
  count = max(1, int(share * graph.num_edges))
  num_pairs = graph.num_nodes * (graph.num_nodes - 1) // 2
  if count >= graph.num_edges or graph.num_edges + count > num_pairs:
    raise attribute_graph.GraphError(
      f'{graph.num_edges:,} edges among {num_pairs:,} pairs are too few, or too'
      f' many, to hold out {count:,}'
    )
  order = rng.permutation(graph.num_edges)
  kept = np.sort(order[count:])
  known = graph.edges_Ex2[:, 0].astype(np.int64) * graph.num_nodes
  known = known + graph.edges_Ex2[:, 1]
  found = np.zeros(0, np.int64)
  while len(found) < count:
    pair = np.sort(rng.integers(0, graph.num_nodes, (4 * count, 2)), axis=1)
    pair = pair[pair[:, 0] < pair[:, 1]]
    found = np.append(found, pair[:, 0] * graph.num_nodes + pair[:, 1])
    found = rng.permutation(np.setdiff1d(found, known))
  found = found[:count]
  return EdgeSplit(
    graph=attribute_graph.AttributeGraph(
      graph.names_V, graph.edges_Ex2[kept], graph.weight_E[kept]
    ),
    held_out_Ex2=graph.edges_Ex2[order[:count]],
    non_edges_Ex2=np.stack(np.divmod(found, graph.num_nodes), 1),
  )


def edge_auc(vectors_VxD: np.ndarray, split: EdgeSplit) -> float:
  """Share of (edge, non-edge) pairs that cosine similarity orders right.

  Args:
    vectors_VxD: node vectors, learned without the held-out edges.
    split: the pairs to distinguish.

  Returns:
    AUC in 0..1; a tie counts half.
  """
  norm = np.linalg.norm(vectors_VxD, axis=1, keepdims=True)
  unit = vectors_VxD / np.maximum(norm, 1e-12)

  def cosine(pairs: np.ndarray) -> np.ndarray:
    return (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(axis=1)

  edge, other = cosine(split.held_out_Ex2), np.sort(cosine(split.non_edges_Ex2))
  below = np.searchsorted(other, edge, side='left')
  not_above = np.searchsorted(other, edge, side='right')
  return float((below + not_above).mean() / 2 / len(other))
