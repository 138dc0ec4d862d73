"""The attributes of a bundle, who has them, and the stored graph."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import tables
from morning_jax.graph import edge_weights


def read_attributes(
  folder: pathlib.Path, accounts: accounts_lib.Accounts, notes: list[str]
) -> accounts_lib.Attributes | None:
  """Reads the attributes, who has them, and the stored graph.

  Args:
    folder: the bundle's folder.
    accounts: its accounts.
    notes: gets a line for duplicates, and one about edges that are listed in
      both directions.

  Returns:
    The attributes, pairs sorted by account and attribute; None where the bundle
    has none.

  Raises:
    BundleError: a table is not readable or empty, a row is wrong, or the table
      of attributes is missing beside the others.
  """
  held_path, graph_path = (
    folder / layout.ACCOUNT_ATTRIBUTES,
    folder / layout.GRAPH,
  )
  if not os.path.lexists(folder / layout.ATTRIBUTES):
    for path in (held_path, graph_path):
      if os.path.lexists(path):
        raise layout.BundleError(
          errors.in_file(path, f'needs {layout.ATTRIBUTES} beside it')
        )
    return None
  names, index = _read_names(folder / layout.ATTRIBUTES)
  held_Nx2 = np.zeros((0, 2), np.int64)
  if os.path.lexists(held_path):
    held_Nx2 = _read_held(held_path, accounts, index, notes)
  edges_Ex2, weight_E = None, None
  if os.path.lexists(graph_path):
    edges_Ex2, weight_E = _read_graph(graph_path, index)
    note = edge_weights.fold(np.array(names), edges_Ex2, weight_E).note
    if note:
      notes.append(f'{layout.GRAPH}: {note}')
  return accounts_lib.Attributes(
    names_V=np.array(names),
    ids_V=np.array(list(index)),
    holder=held_Nx2[:, 0],
    held=held_Nx2[:, 1],
    edges_Ex2=edges_Ex2,
    weight_E=weight_E,
  )


def _read_names(path: pathlib.Path) -> tuple[list[str], dict[str, int]]:
  """Returns the names, and id -> index; both in the order of the file."""
  row_of: dict[str, dict[str, int]] = {'attribute_id': {}, 'name': {}}
  for row in tables.rows(path, ('attribute_id', 'name')):
    for column, known in row_of.items():
      if not row[column]:
        row.fail(f'{column} is empty')
      seen = known.setdefault(row[column], row.number)
      if seen != row.number:
        row.fail(
          f'{column} {errors.quoted(row[column])} is already in row {seen}'
        )
  if not row_of['name']:
    raise layout.BundleError(
      errors.in_file(path, 'no attributes; leave the file out instead')
    )
  ids = {name: i for i, name in enumerate(row_of['attribute_id'])}
  return list(row_of['name']), ids


def _find(row: tables.Row, column: str, index: dict[str, int]) -> int:
  found = index.get(row[column])
  if found is None:
    row.fail(
      f'attribute {errors.quoted(row[column])} is not in {layout.ATTRIBUTES}'
    )
  return found


def _read_held(
  path: pathlib.Path,
  accounts: accounts_lib.Accounts,
  index: dict[str, int],
  notes: list[str],
) -> np.ndarray:
  """Returns int64 [n, 2], (account row, attribute), sorted, none twice."""
  account_index = tables.AccountIndex(accounts)
  held = [
    (
      account_index.find(row, tables.role_of(row), 'account_id'),
      _find(row, 'attribute_id', index),
    )
    for row in tables.rows(path, ('role', 'account_id', 'attribute_id'))
  ]
  held_Nx2 = np.unique(np.array(held, np.int64).reshape(-1, 2), axis=0)
  if len(held_Nx2) < len(held):
    notes.append(
      f'{layout.ACCOUNT_ATTRIBUTES}: {len(held) - len(held_Nx2):,} duplicate'
      ' rows merged'
    )
  return held_Nx2


def _read_graph(
  path: pathlib.Path, index: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
  """Returns int64 [E, 2], (source, target), and float32 [E]."""
  first_seen: dict[tuple[int, int], int] = {}
  weights: list[float] = []
  for row in tables.rows(path, ('source', 'target', 'weight')):
    edge = _find(row, 'source', index), _find(row, 'target', index)
    ends = [errors.quoted(row[c], limit=40) for c in ('source', 'target')]
    if edge[0] == edge[1]:
      row.fail(f'an edge from {ends[0]} to itself')
    try:
      weights.append(edge_weights.parse(row['weight']))
    except ValueError as e:
      row.fail(str(e))
    seen = first_seen.setdefault(edge, row.number)
    if seen != row.number:
      row.fail(f'the edge from {ends[0]} to {ends[1]} is already in row {seen}')
  if not weights:
    raise layout.BundleError(
      errors.in_file(path, 'no edges; leave the file out instead')
    )
  return np.array(list(first_seen), np.int64), np.array(weights, np.float32)
