"""The attribute graph on the host: built, checked and padded once."""

from __future__ import annotations

import dataclasses

import jraph
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.graph import co_occurrence
from morning_jax.graph import edge_weights

_TRAIN = 'train'


class GraphError(errors.UserError):
  """A graph that can't be used; the message names the edge or the file."""


@dataclasses.dataclass(frozen=True)
class AttributeGraph:
  """An undirected weighted graph of attributes, checked when it is made.

  Attributes:
    names_V: attribute names as str.
    edges_Ex2: int32 node pairs (i, j) with i < j, no pair twice; any order.
    weight_E: float32, positive and finite.
    vectors_VxD: float32 node vectors computed elsewhere (node2vec), or None.
    notes: how a file of edges was read, one line each.

  Raises:
    GraphError: something of that does not hold, or there is no edge.
  """

  names_V: np.ndarray
  edges_Ex2: np.ndarray
  weight_E: np.ndarray
  vectors_VxD: np.ndarray | None = None
  notes: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    _check_edges(self.names_V, self.edges_Ex2, self.weight_E)
    if not (self.edges_Ex2[:, 0] < self.edges_Ex2[:, 1]).all():
      raise GraphError(
        'attribute graph: an edge (i, j) needs i < j; fold the directions first'
      )
    _check_once(self.names_V, self.edges_Ex2)
    vectors = self.vectors_VxD
    if vectors is not None and (
      vectors.ndim != 2
      or len(vectors) != self.num_nodes
      or not np.isfinite(vectors).all()
    ):
      raise GraphError(
        f'attribute graph: node vectors have shape {vectors.shape}; there must'
        f' be {self.num_nodes} rows of finite numbers'
      )

  @property
  def num_nodes(self) -> int:
    """V."""
    return len(self.names_V)

  @property
  def num_edges(self) -> int:
    """E, each undirected edge counted once."""
    return len(self.edges_Ex2)

  def directed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists both directions of every edge.

    Returns:
      senders and receivers int32 [2E], sorted by (receiver, sender), and their
      weights float32 [2E].
    """
    source, target = self.edges_Ex2[:, 0], self.edges_Ex2[:, 1]
    senders = np.concatenate([source, target]).astype(np.int32)
    receivers = np.concatenate([target, source]).astype(np.int32)
    order = np.lexsort((senders, receivers))
    weight = np.concatenate([self.weight_E, self.weight_E])[order]
    return senders[order], receivers[order], weight.astype(np.float32)

  def to_jraph(self, *, multiple: int = 128) -> jraph.GraphsTuple:
    """Returns the graph with static, padded sizes, for the device.

    Padding nodes follow the V real ones, at least one; padding edges have
    weight 0 and lead from the first padding node to itself, so no message
    passes between padding and graph. Sizes are multiples of `multiple`, so
    that nodes and edges shard over any mesh axis that divides it.

    Args:
      multiple: what the padded numbers of nodes and edges are multiples of.

    Returns:
      Two graphs, the real one and the padding. nodes: float32 [nodes, D], the
      vectors (D = 0 where there are none); edges: float32 [edges], weights;
      senders and receivers: int32 [edges], sorted by receiver.
    """
    senders, receivers, weight = self.directed()
    num_nodes, num_edges = self.num_nodes, len(senders)
    more_nodes = multiple - num_nodes % multiple
    more_edges = -num_edges % multiple
    at_padding = np.full(more_edges, num_nodes, np.int32)
    vectors_VxD = self.vectors_VxD
    if vectors_VxD is None:
      vectors_VxD = np.zeros((num_nodes, 0))
    return jraph.GraphsTuple(
      nodes=np.pad(vectors_VxD.astype(np.float32), ((0, more_nodes), (0, 0))),
      edges=np.pad(weight, (0, more_edges)),
      senders=np.concatenate([senders, at_padding]),
      receivers=np.concatenate([receivers, at_padding]),
      globals=None,
      n_node=np.array([num_nodes, more_nodes], np.int32),
      n_edge=np.array([num_edges, more_edges], np.int32),
    )


def _label(names_V: np.ndarray, pair: np.ndarray) -> str:
  source, target = (errors.quoted(names_V[i], limit=40) for i in pair)
  return f'{source} - {target}'


def _check_edges(
  names_V: np.ndarray, edges_Ex2: np.ndarray, weight_E: np.ndarray
) -> None:
  if not len(edges_Ex2):
    raise GraphError(
      'attribute graph: no edges; no two attributes occur together in the'
      ' training positives'
    )
  if len(weight_E) != len(edges_Ex2):
    raise GraphError(
      f'attribute graph: {len(edges_Ex2):,} edges and {len(weight_E):,} weights'
    )
  outside_E = ((edges_Ex2 < 0) | (edges_Ex2 >= len(names_V))).any(axis=1)
  if outside_E.any():
    row = int(outside_E.argmax())
    raise GraphError(
      f'attribute graph, edge {row}: attribute {edges_Ex2[row].tolist()} is out'
      f' of range; indices go from 0 to {len(names_V) - 1}'
    )
  loop_E = edges_Ex2[:, 0] == edges_Ex2[:, 1]
  if loop_E.any():
    row = int(loop_E.argmax())
    raise GraphError(
      f'attribute graph, edge {row}:'
      f' {errors.quoted(names_V[edges_Ex2[row, 0]])} is linked to itself'
    )
  good_E = np.isfinite(weight_E) & (weight_E > 0)
  if not good_E.all():
    row = int((~good_E).argmax())
    raise GraphError(
      f'attribute graph, edge {row} ({_label(names_V, edges_Ex2[row])}): weight'
      f' {weight_E[row]} is not a positive finite number'
    )


def _check_once(names_V: np.ndarray, edges_Ex2: np.ndarray) -> None:
  source, target = edges_Ex2[:, 0], edges_Ex2[:, 1]
  same = source[1:] == source[:-1]
  if ((source[1:] > source[:-1]) | (same & (target[1:] > target[:-1]))).all():
    return  # sorted, as large graphs are: no copy needed
  key_E = edges_Ex2[:, 0].astype(np.int64) * len(names_V) + edges_Ex2[:, 1]
  order = np.argsort(key_E, kind='stable')
  twice = np.flatnonzero(key_E[order[1:]] == key_E[order[:-1]])
  if len(twice):
    row = int(order[twice[0] + 1])
    raise GraphError(
      f'attribute graph, edge {row}: {_label(names_V, edges_Ex2[row])} is'
      ' there twice'
    )


def fold_directions(
  names_V: np.ndarray,
  edges_Ex2: np.ndarray,
  weight_E: np.ndarray,
  *,
  vectors_VxD: np.ndarray | None = None,
) -> AttributeGraph:
  """Makes an undirected graph of edges that may be listed in both directions.

  See `edge_weights.fold` for their weights.

  Args:
    names_V: attribute names.
    edges_Ex2: node indices (source, target), no (source, target) twice.
    weight_E: positive finite weights.
    vectors_VxD: node vectors of the graph, if any.

  Returns:
    The graph, its edges sorted; a note says what became of edges that are
    listed in both directions.

  Raises:
    GraphError: an index is out of range, an edge leads to its source or is
      there twice, a weight is not positive and finite, or there is no edge.
  """
  edges_Ex2 = np.asarray(edges_Ex2).reshape(-1, 2)
  weight_E = np.asarray(weight_E, np.float32)
  _check_edges(names_V, edges_Ex2, weight_E)
  _check_once(names_V, edges_Ex2)
  folded = edge_weights.fold(names_V, edges_Ex2, weight_E)
  return AttributeGraph(
    names_V,
    folded.edges_Ex2,
    folded.weight_E,
    vectors_VxD,
    notes=(folded.note,) if folded.note else (),
  )


def build_graph(
  dataset: accounts_lib.Dataset, *, eta: float = 2.0, stored: bool = True
) -> AttributeGraph:
  """Returns a data set's graph: the stored one, or from training positives.

  Only positives whose brand is in the training split count: an evaluated pair
  in the graph would be leakage, and no caller can hand one in.

  Args:
    dataset: with attributes; account lists are needed where no graph is stored.
    eta: see `co_occurrence.edges_of`.
    stored: whether a stored graph is taken.

  Returns:
    The graph.

  Raises:
    GraphError: there are no attributes, or no two of them occur together.
  """
  attributes = dataset.attributes
  if attributes is None:
    raise GraphError(
      errors.in_file(
        dataset.name,
        'no attributes, so no attribute graph; attributes.csv and'
        ' account_attributes.csv are needed',
      )
    )
  if stored and attributes.edges_Ex2 is not None:
    assert attributes.weight_E is not None
    return fold_directions(
      attributes.names_V, attributes.edges_Ex2, attributes.weight_E
    )
  pairs = dataset.positives_Px2
  training_Px2 = pairs[dataset.accounts.splits[pairs[:, 0]] == _TRAIN]
  counts_VxV = co_occurrence.co_occurrence(
    training_Px2, attributes, len(dataset.accounts)
  )
  if not counts_VxV.nnz:
    raise GraphError(
      errors.in_file(
        dataset.name,
        'the attribute graph is empty; no two attributes occur together in the'
        f' {len(training_Px2):,} training positives',
      )
    )
  edges_Ex2, weight_E = co_occurrence.edges_of(counts_VxV, eta=eta)
  del counts_VxV
  return AttributeGraph(attributes.names_V, edges_Ex2, weight_E)
