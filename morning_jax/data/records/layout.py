"""How a record stores an account's row: raw bytes, all of one length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.graph import account_attributes


def columns_of(table: accounts_lib.AccountTable) -> dict[str, np.ndarray]:
  """Lists a table's arrays by name, the widest types first."""
  columns = {f'features/{k}': v for k, v in table.features.items()}
  if table.held is not None:
    columns |= {
      'held/index': table.held.index,
      'held/weight': table.held.weight,
    }
  return columns | {f'present/{k}': v for k, v in table.present.items()}


def table_of(
  names: list[str], column: Callable[[str], np.ndarray]
) -> accounts_lib.AccountTable:
  """Makes a table of arrays that are named as `columns_of` names them."""
  parts: dict[str, dict[str, np.ndarray]] = {'features': {}, 'present': {}}
  for name in names:
    part, _, leaf = name.partition('/')
    parts.setdefault(part, {})[leaf] = column(name)
  held: Any = parts.pop('held', None)
  return accounts_lib.AccountTable(
    **parts,
    held=None if held is None else account_attributes.HeldAttributes(**held),
  )


def layout_of(table: accounts_lib.AccountTable) -> np.dtype:
  """Returns the record of one row of a table."""
  fields: list[Any] = [
    (name, x.dtype.newbyteorder('<'), x.shape[1:])
    for name, x in columns_of(table).items()
  ]
  return np.dtype(fields, align=True)


def packed(columns: Mapping[str, np.ndarray], layout: np.dtype) -> np.ndarray:
  """Puts columns of rows into records: [n] of the layout's type."""
  # Zeros: the padding between fields is written too.
  block = np.zeros(len(next(iter(columns.values()))), layout)
  for name, x in columns.items():
    block[name] = x
  return block


def describe(layout: np.dtype) -> dict[str, Any]:
  """Returns a record's layout as JSON values."""
  assert layout.fields is not None
  return {
    'bytes': layout.itemsize,
    'fields': [
      {
        'name': name,
        'type': kind.base.str,
        'shape': list(kind.shape),
        'offset': offset,
      }
      for name, (kind, offset, *_) in layout.fields.items()
    ],
  }


def from_description(described: Mapping[str, Any]) -> np.dtype:
  """Makes the layout that `describe` described."""
  fields = described['fields']
  return np.dtype(
    {
      'names': [f['name'] for f in fields],
      'formats': [(f['type'], tuple(f['shape'])) for f in fields],
      'offsets': [f['offset'] for f in fields],
      'itemsize': described['bytes'],
    }
  )
