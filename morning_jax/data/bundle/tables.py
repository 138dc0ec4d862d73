"""The CSV tables of a bundle: read, and checked row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import csv
import difflib
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.bundle import layout


def _near(word: str, known: Sequence[str]) -> str:
  near = difflib.get_close_matches(word, known, n=3)
  return f' (near: {", ".join(near)})' if near else ''


def _rows(
  folder: pathlib.Path, name: str, required: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, str]]]:
  """Yields (row number, row) of a CSV file; columns may stand in any order."""
  path = folder / name
  try:
    with path.open(encoding='utf-8-sig', newline='') as f:
      reader = csv.DictReader(f, strict=True)
      header = [h.strip() for h in reader.fieldnames or ()]
      missing = [c for c in required if c not in header]
      if missing:
        raise layout.BundleError(
          f'{path}, row 1: no column {", ".join(missing)};'
          f' the columns must include {",".join(required)}'
        )
      if len(set(header)) < len(header):
        raise layout.BundleError(f'{path}, row 1: a column name occurs twice')
      reader.fieldnames = header
      for row in reader:
        if None in row or None in row.values():
          raise layout.BundleError(
            f'{path}, row {reader.line_num}: the header has {len(header)}'
            ' columns, this row has ' + ('more' if None in row else 'fewer')
          )
        yield reader.line_num, {k: v.strip() for k, v in row.items()}
  except FileNotFoundError:
    raise layout.BundleError(
      f'{path}: no such file; a bundle needs it'
    ) from None
  except UnicodeDecodeError as e:
    raise layout.BundleError(f'{path}: not UTF-8 text ({e.reason})') from None
  except csv.Error as e:
    raise layout.BundleError(f'{path}, row {reader.line_num}: {e}') from None
  except OSError as e:
    raise layout.BundleError(f'{path}: {e.strerror}') from None


def _whole_number(path: pathlib.Path, row: int, column: str, text: str) -> int:
  try:
    return int(text)
  except ValueError:
    raise layout.BundleError(
      f'{path}, row {row}: {column} {text!r} is not a whole number'
    ) from None


def read_accounts(folder: pathlib.Path) -> accounts_lib.Accounts:
  """Reads who the rows of the data set are.

  Args:
    folder: the bundle's folder.

  Returns:
    The A accounts, in the order of the file.

  Raises:
    BundleError: the table is missing or not readable, a row is wrong or stands
      twice, or a role has no account.
  """
  path = folder / layout.ACCOUNTS
  ids: list[str] = []
  roles: list[int] = []
  columns: dict[str, list[str]] = {}
  optional = ('found_under_category', 'followers', 'biography')
  first_seen: dict[tuple[str, str], int] = {}
  splits: list[str] = []
  categories: list[str] = []
  required = ('account_id', 'role', 'category', 'split')
  for number, row in _rows(folder, layout.ACCOUNTS, required):
    account, role, split = row['account_id'], row['role'], row['split']
    if not account:
      raise layout.BundleError(f'{path}, row {number}: account_id is empty')
    if role not in accounts_lib.ROLES:
      raise layout.BundleError(
        f'{path}, row {number}: role {role!r} is neither brand nor influencer'
        + _near(role, accounts_lib.ROLES)
      )
    known_splits = accounts_lib.SPLITS if role == 'brand' else ('',)
    # A split says nothing about an influencer, so any known one may stand.
    if split not in (*accounts_lib.SPLITS, *known_splits):
      raise layout.BundleError(
        f'{path}, row {number}: split {split!r} of {role} {account!r} is none'
        f' of {", ".join(accounts_lib.SPLITS)}'
        + _near(split, accounts_lib.SPLITS)
      )
    seen = first_seen.setdefault((role, account), number)
    if seen != number:
      raise layout.BundleError(
        f'{path}, row {number}: {role} {account!r} stands already in row {seen}'
      )
    ids.append(account)
    roles.append(accounts_lib.ROLES.index(role))
    splits.append(split if role == 'brand' else '')
    categories.append(row['category'])
    for name in optional:
      if name in row:
        text = row[name]
        is_count = name == 'followers' and text
        if is_count and _whole_number(path, number, name, text) < 0:
          raise layout.BundleError(
            f'{path}, row {number}: followers is negative'
          )
        columns.setdefault(name, []).append(text)
  if not ids:
    raise layout.BundleError(f'{path}: no accounts; the bundle is empty')
  for role_id, role in enumerate(accounts_lib.ROLES):
    if role_id not in roles:
      raise layout.BundleError(f'{path}: there is no {role} among the accounts')

  def text_column(name: str) -> np.ndarray | None:
    return np.array(columns[name]) if name in columns else None

  followers = columns.get('followers')
  return accounts_lib.Accounts(
    ids=np.array(ids),
    roles=np.array(roles, np.int8),
    categories=np.array(categories),
    splits=np.array(splits),
    found_under=text_column('found_under_category'),
    followers=None
    if followers is None
    else np.array([int(f) if f else -1 for f in followers], np.int64),
    biographies=text_column('biography'),
  )


def _row_index(
  accounts: accounts_lib.Accounts,
) -> tuple[dict[str, int], dict[str, int]]:
  """Returns for each role a mapping from account name to table row."""
  index: tuple[dict[str, int], dict[str, int]] = ({}, {})
  for row, (name, role) in enumerate(
    zip(accounts.ids.tolist(), accounts.roles.tolist(), strict=True)
  ):
    index[role][name] = row
  return index


def _look_up(
  index: tuple[dict[str, int], dict[str, int]], role: int, name: str, where: str
) -> int:
  row = index[role].get(name)
  if row is None:
    hint = _near(name, list(index[role])) if len(index[role]) < 100_000 else ''
    if name in index[1 - role]:
      hint = f' (a {accounts_lib.ROLES[1 - role]} has that name)'
    raise layout.BundleError(
      f'{where}: {accounts_lib.ROLES[role]} {name!r} is not in'
      f' {layout.ACCOUNTS}{hint}'
    )
  return row


def read_interactions(
  folder: pathlib.Path, accounts: accounts_lib.Accounts, notes: list[str]
) -> np.ndarray:
  """Reads who worked for whom.

  Args:
    folder: the bundle's folder.
    accounts: its accounts.
    notes: gets a line for duplicates and one for brands without a positive.

  Returns:
    int64 [P, 2], account rows (brand, influencer), no duplicates, in the order
    of the file.

  Raises:
    BundleError: the table is missing, not readable or empty, or a row names an
      unknown account.
  """
  path = folder / layout.INTERACTIONS
  index = _row_index(accounts)
  pairs: list[tuple[int, int]] = []
  required = ('brand_id', 'influencer_id')
  for number, row in _rows(folder, layout.INTERACTIONS, required):
    where = f'{path}, row {number}'
    pairs.append(
      (
        _look_up(index, accounts_lib.BRAND, row['brand_id'], where),
        _look_up(index, accounts_lib.INFLUENCER, row['influencer_id'], where),
      )
    )
  if not pairs:
    raise layout.BundleError(f'{path}: no interactions; the bundle is empty')
  all_pairs = np.array(pairs, np.int64)
  _, first = np.unique(all_pairs, axis=0, return_index=True)
  merged = len(all_pairs) - len(first)
  if merged:
    notes.append(
      f'{layout.INTERACTIONS}: {merged} duplicate interactions merged'
    )
  positives = all_pairs[np.sort(first)]
  idle = len(
    np.setdiff1d(accounts.rows_of(accounts_lib.BRAND), positives[:, 0])
  )
  if idle:
    notes.append(
      f'{layout.INTERACTIONS}: {idle} brands without a positive are left out'
    )
  return positives


def read_attributes(
  folder: pathlib.Path, accounts: accounts_lib.Accounts
) -> accounts_lib.Attributes | None:
  """Reads the attributes, who has them, and the stored graph.

  Args:
    folder: the bundle's folder.
    accounts: its accounts.

  Returns:
    The attributes, pairs sorted by account and attribute; None where the bundle
    has none.

  Raises:
    BundleError: a table is not readable or empty, a row is wrong, or the table
      of attributes is missing beside the others.
  """
  if not (folder / layout.ATTRIBUTES).exists():
    for name in (layout.ACCOUNT_ATTRIBUTES, layout.GRAPH):
      if (folder / name).exists():
        raise layout.BundleError(
          f'{folder / name}: needs {layout.ATTRIBUTES} beside it'
        )
    return None
  path = folder / layout.ATTRIBUTES
  attribute: dict[str, int] = {}
  names: list[str] = []
  for number, row in _rows(folder, layout.ATTRIBUTES, ('attribute_id', 'name')):
    if row['attribute_id'] in attribute:
      raise layout.BundleError(
        f'{path}, row {number}: attribute_id {row["attribute_id"]!r} stands'
        ' twice'
      )
    attribute[row['attribute_id']] = len(names)
    names.append(row['name'])
  if not names:
    raise layout.BundleError(
      f'{path}: no attributes; leave the file out instead'
    )

  def index_of(where: str, attribute_id: str) -> int:
    found = attribute.get(attribute_id)
    if found is None:
      raise layout.BundleError(
        f'{where}: attribute {attribute_id!r} is not in {layout.ATTRIBUTES}'
      )
    return found

  holder: list[int] = []
  held: list[int] = []
  if (folder / layout.ACCOUNT_ATTRIBUTES).exists():
    index = _row_index(accounts)
    required = ('role', 'account_id', 'attribute_id')
    for number, row in _rows(folder, layout.ACCOUNT_ATTRIBUTES, required):
      where = f'{folder / layout.ACCOUNT_ATTRIBUTES}, row {number}'
      if row['role'] not in accounts_lib.ROLES:
        raise layout.BundleError(
          f'{where}: role {row["role"]!r} is neither brand nor influencer'
        )
      role = accounts_lib.ROLES.index(row['role'])
      holder.append(_look_up(index, role, row['account_id'], where))
      held.append(index_of(where, row['attribute_id']))
  pairs = np.unique(np.array([holder, held], np.int64).reshape(2, -1), axis=1)
  edges, weights = None, None
  if (folder / layout.GRAPH).exists():
    edges, weights = _read_graph(folder, index_of)
  return accounts_lib.Attributes(
    names_V=np.array(names),
    ids_V=np.array(list(attribute)),
    holder=pairs[0],
    held=pairs[1],
    edges_Ex2=edges,
    weight_E=weights,
  )


def _read_graph(
  folder: pathlib.Path, index_of: Callable[[str, str], int]
) -> tuple[np.ndarray, np.ndarray]:
  path = folder / layout.GRAPH
  first_seen: dict[tuple[int, int], int] = {}
  weights: list[float] = []
  for number, row in _rows(
    folder, layout.GRAPH, ('source', 'target', 'weight')
  ):
    where = f'{path}, row {number}'
    source, target = (
      index_of(where, row['source']),
      index_of(where, row['target']),
    )
    if source == target:
      raise layout.BundleError(
        f'{where}: an edge from {row["source"]} to itself'
      )
    try:
      weight = float(row['weight'])
    except ValueError:
      weight = float('nan')
    if not (np.isfinite(weight) and weight > 0):
      raise layout.BundleError(
        f'{where}: weight {row["weight"]!r} is not a positive finite number'
      )
    seen = first_seen.setdefault((source, target), number)
    if seen != number:
      raise layout.BundleError(
        f'{where}: the edge from {row["source"]} to {row["target"]} stands'
        f' already in row {seen}'
      )
    weights.append(weight)
  if not weights:
    raise layout.BundleError(f'{path}: no edges; leave the file out instead')
  edges = np.array(list(first_seen), np.int64)
  return edges, np.array(weights, np.float32)
