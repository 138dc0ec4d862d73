"""What a person wants to see of an attribute graph, as lines of text."""

from __future__ import annotations

import difflib

import numpy as np

from morning_jax.core import errors
from morning_jax.graph import attribute_graph

_BINS = 8
_BAR = 30
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


def node_of(graph: attribute_graph.AttributeGraph, name: str) -> int:
  """Returns the node of that name.

  Raises:
    GraphError: there is none; the message has near names.
  """
  names = graph.names_V.tolist()
  if name not in names:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    shown = ', '.join(errors.quoted(n, limit=40) for n in near)
    hint = f' (near: {shown})' if near else ''
    raise attribute_graph.GraphError(
      f'attribute {errors.quoted(name)} is not among the {len(names):,}'
      f' attributes{hint}'
    )
  return names.index(name)


def strongest_pairs(
  graph: attribute_graph.AttributeGraph, *, count: int = 10
) -> list[tuple[str, str, float]]:
  """Returns the pairs of the largest weights, by name, heaviest first."""
  order = np.argsort(-graph.weight_E, kind='stable')[:count]
  return [
    (
      str(graph.names_V[graph.edges_Ex2[e, 0]]),
      str(graph.names_V[graph.edges_Ex2[e, 1]]),
      float(graph.weight_E[e]),
    )
    for e in order
  ]


def linked(
  graph: attribute_graph.AttributeGraph, node: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns a node's neighbours and their weights, heaviest first."""
  at_E = (graph.edges_Ex2 == node).any(axis=1)
  other = graph.edges_Ex2[at_E].sum(axis=1) - node
  weight = graph.weight_E[at_E]
  order = np.argsort(-weight, kind='stable')
  return other[order], weight[order]


def nearest(
  vectors_VxD: np.ndarray, node: int, *, count: int = 10
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the nodes whose vectors are nearest, and their cosines.

  Args:
    vectors_VxD: node vectors, from before or after training.
    node: the node, itself left out.
    count: how many.

  Returns:
    int64 [count] and float [count], nearest first.
  """
  norm = np.linalg.norm(vectors_VxD, axis=1, keepdims=True)
  unit = vectors_VxD / np.maximum(norm, 1e-12)
  cosine = unit @ unit[node]
  order = np.argsort(-cosine, kind='stable')
  order = order[order != node][:count]
  return order, cosine[order]


def summary_lines(
  graph: attribute_graph.AttributeGraph, *, pairs: int = 10
) -> list[str]:
  """Describes a graph: its size, its weights, and its heaviest pairs.

  Args:
    graph: the graph.
    pairs: how many of the heaviest pairs to name.

  Returns:
    Lines.
  """
  degree_V = np.bincount(graph.edges_Ex2.ravel(), minlength=graph.num_nodes)
  possible = graph.num_nodes * (graph.num_nodes - 1) / 2
  lines = [
    f'nodes: {graph.num_nodes:,}, of which {int((degree_V == 0).sum()):,}'
    ' without an edge',
    f'edges: {graph.num_edges:,} undirected'
    f' ({graph.num_edges / possible:.1%} of all pairs)',
    f'neighbours of a node: {degree_V.min()} to {degree_V.max():,}, median'
    f' {np.median(degree_V):g}',
    'weights:',
  ]
  values = np.quantile(graph.weight_E, _QUANTILES)
  marks = ['least', '25 %', 'median', '75 %', '90 %', '99 %', 'largest']
  lines.append(
    '  ' + ', '.join(f'{m} {v:.2f}' for m, v in zip(marks, values, strict=True))
  )
  lines.extend(_histogram(graph.weight_E))
  lines.append('strongest pairs:')
  found = strongest_pairs(graph, count=pairs)
  width = max(len(a) for a, _, _ in found)
  lines.extend(f'  {w:7.2f}  {a:<{width}}  {b}' for a, b, w in found)
  return lines


def _histogram(weight_E: np.ndarray) -> list[str]:
  """Counts of weights in bins that double, as bars."""
  low = float(weight_E.min())
  edges = low * 2.0 ** np.arange(_BINS + 1)
  bin_E = np.minimum(np.log2(weight_E / low).astype(int), _BINS - 1)
  counts = np.bincount(bin_E, minlength=_BINS)
  counts = counts[: int(bin_E.max()) + 1]
  lines = []
  for i, count in enumerate(counts.tolist()):
    bar = '#' * round(_BAR * count / counts.max())
    if i == _BINS - 1:
      span = f'{edges[i]:7.2f} and more  '
    else:
      span = f'{edges[i]:7.2f} to {edges[i + 1]:7.2f}'
    lines.append(f'  {span}  {count:>9,}  {bar}'.rstrip())
  return lines


def neighbour_lines(
  graph: attribute_graph.AttributeGraph,
  node: int,
  *,
  vectors: dict[str, np.ndarray],
  count: int = 10,
) -> list[str]:
  """Lists what is next to an attribute: by edge, and by each set of vectors.

  Args:
    graph: the graph.
    node: the attribute.
    vectors: heading -> node vectors [V, D], a column each, such as 'before
      training' and 'after training'.
    count: how many rows.

  Returns:
    Lines.
  """
  names = graph.names_V
  others, weight = linked(graph, node)
  columns = {
    'by edge weight': [
      f'{names[n]} {w:.2f}' for n, w in zip(others, weight, strict=True)
    ][:count]
  }
  for heading, vectors_VxD in vectors.items():
    near, cosine = nearest(vectors_VxD, node, count=count)
    columns[heading] = [
      f'{names[n]} {c:.3f}' for n, c in zip(near, cosine, strict=True)
    ]
  widths = {h: max(map(len, [h, *c])) for h, c in columns.items()}
  lines = [
    f'neighbours of {str(names[node])!r}, which has {len(others):,} edges:'
  ]
  for row in range(-1, max(map(len, columns.values()))):
    cells = [
      (h if row < 0 else (c[row] if row < len(c) else '')).ljust(widths[h])
      for h, c in columns.items()
    ]
    lines.append(('  ' + '  '.join(cells)).rstrip())
  return lines
