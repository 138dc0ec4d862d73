"""Reads edge lists of attributes: text, CSV or a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
import csv
import os
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.graph import attribute_graph

_HEADER = ('source', 'target', 'weight')


def _text_rows(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
  try:
    with path.open(encoding='utf-8-sig', newline='') as f:
      if path.suffix.lower() == '.csv':
        reader = csv.reader(f)
        for row in reader:
          yield reader.line_num, row
      else:
        for number, line in enumerate(f, 1):
          yield number, line.split()
  except (UnicodeDecodeError, csv.Error) as e:
    raise attribute_graph.GraphError(f'{path}: not a text file ({e})') from None


def _sheet_rows(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
  try:
    import openpyxl
  except ImportError:
    raise attribute_graph.GraphError(
      f"{path}: spreadsheets need openpyxl: pip install 'morning_jax[release]'"
    ) from None
  try:
    sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).active
    assert sheet is not None
    rows = list(sheet.iter_rows(values_only=True))
  except OSError:
    raise
  except Exception as e:
    # Broken archives and broken XML raise many types.
    raise attribute_graph.GraphError(
      f'{path}: not a readable spreadsheet ({e})'
    ) from None
  for number, row in enumerate(rows, 1):
    yield number, ['' if cell is None else str(cell) for cell in row]


def _id_text(text: str) -> str:
  """A spreadsheet may hold the id 12 as 12.0."""
  return text.removesuffix('.0')


def read_edge_list(
  path: str | os.PathLike[str], attributes: accounts_lib.Attributes
) -> attribute_graph.AttributeGraph:
  """Reads an edge list: `source target weight`, a header is optional.

  `.xlsx` is read as a spreadsheet's first three columns, `.csv` with commas,
  anything else by white space (the authors' `attribute_graph.txt`). Attributes
  stand by id or by name. Edges in both directions are folded
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
  read = _sheet_rows if path.suffix.lower() == '.xlsx' else _text_rows
  edges: dict[tuple[int, int], int] = {}
  weights: list[float] = []
  try:
    for number, cells in read(path):
      cells = [c.strip() for c in cells]
      while cells and not cells[-1]:
        cells.pop()
      if not cells:
        continue
      if not edges and tuple(c.lower() for c in cells) == _HEADER:
        continue
      where = f'{path}, row {number}'
      edge, weight = _edge(cells, node_of, len(attributes.names_V), where)
      seen = edges.setdefault(edge, number)
      if seen != number:
        raise attribute_graph.GraphError(
          f'{where}: the edge from {cells[0]} to {cells[1]} stands already in'
          f' row {seen}'
        )
      weights.append(weight)
  except OSError as e:
    raise attribute_graph.GraphError(f'{path}: {e.strerror or e}') from None
  if not edges:
    raise attribute_graph.GraphError(
      f'{path}: no edges; a row is `source target weight`'
    )
  return attribute_graph.fold_directions(
    attributes.names_V,
    np.array(list(edges), np.int64),
    np.array(weights, np.float32),
  )


def _edge(
  cells: list[str], node_of: dict[str, int], num_nodes: int, where: str
) -> tuple[tuple[int, int], float]:
  if len(cells) != 3:
    raise attribute_graph.GraphError(
      f'{where}: {len(cells)} columns; a row is `source target weight`'
    )
  nodes = []
  for text in cells[:2]:
    node = node_of.get(text, node_of.get(_id_text(text)))
    if node is None:
      is_number = _id_text(text).lstrip('-').isdigit()
      raise attribute_graph.GraphError(
        f'{where}: attribute id {text} is out of range; the {num_nodes:,} known'
        ' ids are those of attributes.csv'
        if is_number
        else f'{where}: attribute {text!r} is not in attributes.csv'
      )
    nodes.append(node)
  if nodes[0] == nodes[1]:
    raise attribute_graph.GraphError(
      f'{where}: an edge from {cells[0]} to itself'
    )
  try:
    weight = float(cells[2])
  except ValueError:
    weight = float('nan')
  if not (np.isfinite(weight) and np.float32(weight) > 0):
    raise attribute_graph.GraphError(
      f'{where}: weight {cells[2]!r} is not a positive finite number'
    )
  return (nodes[0], nodes[1]), weight
