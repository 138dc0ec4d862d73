"""Reads edge lists of attributes: text, CSV or a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import os
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.graph import attribute_graph
from morning_jax.graph import edge_weights

_HEADER = ('source', 'target', 'weight')


def _cells(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
  """Yields the number and the cells of each row that is not empty."""
  suffix = path.suffix.lower()
  rows: Iterator[tuple[int, Sequence[object]]]
  if suffix == '.xlsx':
    rows = user_files.spreadsheet_rows(path, error=attribute_graph.GraphError)
  elif suffix == '.csv':
    rows = user_files.csv_rows(path, error=attribute_graph.GraphError)
  else:
    lines = user_files.text_lines(path, error=attribute_graph.GraphError)
    rows = ((number, line.split()) for number, line in lines)
  for number, row in rows:
    cells = ['' if cell is None else str(cell).strip() for cell in row]
    while cells and not cells[-1]:
      cells.pop()
    if cells:
      yield number, cells


def _id_text(text: str) -> str:
  """A spreadsheet may hold the id 12 as 12.0."""
  return text.removesuffix('.0')


def read_edge_list(
  path: str | os.PathLike[str], attributes: accounts_lib.Attributes
) -> attribute_graph.AttributeGraph:
  """Reads an edge list: `source target weight`, a header is optional.

  `.xlsx` is read as a spreadsheet's first three columns, `.csv` with commas or
  semicolons, anything else by white space (the authors' `attribute_graph.txt`).
  Attributes are named by id or by name. Edges in both directions are folded
  (`attribute_graph.fold_directions`).

  Args:
    path: the file.
    attributes: what the attributes are called.

  Returns:
    The graph.

  Raises:
    GraphError: a mistake, with file and row.
  """
  path = pathlib.Path(path)
  node_of: dict[str, int] = {}
  for column in (attributes.ids_V, attributes.names_V):
    for index, name in enumerate(column.tolist()):
      node_of.setdefault(str(name), index)
  edges: dict[tuple[int, int], int] = {}
  weights: list[float] = []
  for number, cells in _cells(path):
    if not edges and tuple(c.lower() for c in cells) == _HEADER:
      continue
    try:
      edge, weight = _edge(cells, node_of, len(attributes.names_V))
      seen = edges.setdefault(edge, number)
      if seen != number:
        source, target = (errors.quoted(c, limit=40) for c in cells[:2])
        raise ValueError(
          f'the edge from {source} to {target} is already in row {seen}'
        )
    except ValueError as e:
      raise attribute_graph.GraphError(
        errors.in_file(path, str(e), row=number)
      ) from None
    weights.append(weight)
  if not edges:
    raise attribute_graph.GraphError(
      errors.in_file(path, 'no edges; a row is `source target weight`')
    )
  return attribute_graph.fold_directions(
    attributes.names_V,
    np.array(list(edges), np.int64),
    np.array(weights, np.float32),
  )


def _edge(
  cells: list[str], node_of: dict[str, int], num_nodes: int
) -> tuple[tuple[int, int], float]:
  """Returns the edge and the weight of a row.

  Raises:
    ValueError: what is wrong with the row.
  """
  if len(cells) != 3:
    raise ValueError(f'{len(cells)} columns; a row is `source target weight`')
  nodes = []
  for text in cells[:2]:
    node = node_of.get(text, node_of.get(_id_text(text)))
    if node is None:
      shown = errors.quoted(text)
      is_number = _id_text(text).lstrip('-').isdigit()
      raise ValueError(
        f'attribute id {shown} is out of range; the {num_nodes:,} known ids are'
        ' those of attributes.csv'
        if is_number
        else f'attribute {shown} is not in attributes.csv'
      )
    nodes.append(node)
  if nodes[0] == nodes[1]:
    raise ValueError(f'an edge from {errors.quoted(cells[0])} to itself')
  return (nodes[0], nodes[1]), edge_weights.parse(cells[2])
