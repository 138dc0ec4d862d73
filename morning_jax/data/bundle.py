"""The bundle: the on-disk form of a data set (SPEC section 9).

`read_bundle` validates everything before it returns, so that whatever it
returns can be trained on; every mistake ends in one line with file and row.
Rows of a CSV count as a spreadsheet shows them (the header is row 1), rows of
an array from 0, as NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import csv
import difflib
import os
import pathlib
import shutil
import tempfile

import numpy as np

from morning_jax import accounts as accounts_lib
from morning_jax import errors

_ACCOUNTS = 'accounts.csv'
_INTERACTIONS = 'interactions.csv'
_ATTRIBUTES = 'attributes.csv'
_ACCOUNT_ATTRIBUTES = 'account_attributes.csv'
_GRAPH = 'attribute_graph.csv'
_PLANTED = 'planted.npy'
_CHECK_BYTES = 1 << 26  # of an array, checked at a time


class BundleError(errors.UserError):
  """A bundle that can't be read; the message names file and row."""


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
        raise BundleError(
          f'{path}, row 1: no column {", ".join(missing)};'
          f' the columns must include {",".join(required)}'
        )
      if len(set(header)) < len(header):
        raise BundleError(f'{path}, row 1: a column name occurs twice')
      reader.fieldnames = header
      for row in reader:
        if None in row or None in row.values():
          raise BundleError(
            f'{path}, row {reader.line_num}: the header has {len(header)}'
            ' columns, this row has ' + ('more' if None in row else 'fewer')
          )
        yield reader.line_num, {k: v.strip() for k, v in row.items()}
  except FileNotFoundError:
    raise BundleError(f'{path}: no such file; a bundle needs it') from None
  except UnicodeDecodeError as e:
    raise BundleError(f'{path}: not UTF-8 text ({e.reason})') from None
  except csv.Error as e:
    raise BundleError(f'{path}, row {reader.line_num}: {e}') from None
  except OSError as e:
    raise BundleError(f'{path}: {e.strerror}') from None


def _whole_number(path: pathlib.Path, row: int, column: str, text: str) -> int:
  try:
    return int(text)
  except ValueError:
    raise BundleError(
      f'{path}, row {row}: {column} {text!r} is not a whole number'
    ) from None


def _read_accounts(folder: pathlib.Path) -> accounts_lib.Accounts:
  path = folder / _ACCOUNTS
  ids: list[str] = []
  roles: list[int] = []
  columns: dict[str, list[str]] = {}
  optional = ('found_under_category', 'followers', 'biography')
  first_seen: dict[tuple[str, str], int] = {}
  splits: list[str] = []
  categories: list[str] = []
  required = ('account_id', 'role', 'category', 'split')
  for number, row in _rows(folder, _ACCOUNTS, required):
    account, role, split = row['account_id'], row['role'], row['split']
    if not account:
      raise BundleError(f'{path}, row {number}: account_id is empty')
    if role not in accounts_lib.ROLES:
      raise BundleError(
        f'{path}, row {number}: role {role!r} is neither brand nor influencer'
        + _near(role, accounts_lib.ROLES)
      )
    known_splits = accounts_lib.SPLITS if role == 'brand' else ('',)
    # A split says nothing about an influencer, so any known one may stand.
    if split not in (*accounts_lib.SPLITS, *known_splits):
      raise BundleError(
        f'{path}, row {number}: split {split!r} of {role} {account!r} is none'
        f' of {", ".join(accounts_lib.SPLITS)}'
        + _near(split, accounts_lib.SPLITS)
      )
    seen = first_seen.setdefault((role, account), number)
    if seen != number:
      raise BundleError(
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
          raise BundleError(f'{path}, row {number}: followers is negative')
        columns.setdefault(name, []).append(text)
  if not ids:
    raise BundleError(f'{path}: no accounts; the bundle is empty')
  for role_id, role in enumerate(accounts_lib.ROLES):
    if role_id not in roles:
      raise BundleError(f'{path}: there is no {role} among the accounts')

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
    raise BundleError(
      f'{where}: {accounts_lib.ROLES[role]} {name!r} is not in'
      f' {_ACCOUNTS}{hint}'
    )
  return row


def _read_interactions(
  folder: pathlib.Path, accounts: accounts_lib.Accounts, notes: list[str]
) -> np.ndarray:
  path = folder / _INTERACTIONS
  index = _row_index(accounts)
  pairs: list[tuple[int, int]] = []
  required = ('brand_id', 'influencer_id')
  for number, row in _rows(folder, _INTERACTIONS, required):
    where = f'{path}, row {number}'
    pairs.append(
      (
        _look_up(index, accounts_lib.BRAND, row['brand_id'], where),
        _look_up(index, accounts_lib.INFLUENCER, row['influencer_id'], where),
      )
    )
  if not pairs:
    raise BundleError(f'{path}: no interactions; the bundle is empty')
  all_pairs = np.array(pairs, np.int64)
  _, first = np.unique(all_pairs, axis=0, return_index=True)
  merged = len(all_pairs) - len(first)
  if merged:
    notes.append(f'{_INTERACTIONS}: {merged} duplicate interactions merged')
  positives = all_pairs[np.sort(first)]
  idle = len(
    np.setdiff1d(accounts.rows_of(accounts_lib.BRAND), positives[:, 0])
  )
  if idle:
    notes.append(
      f'{_INTERACTIONS}: {idle} brands without a positive are left out'
    )
  return positives


def _account_at(accounts: accounts_lib.Accounts, row: int) -> str:
  return f'{accounts_lib.ROLES[accounts.roles[row]]} {str(accounts.ids[row])!r}'


def load_array(path: pathlib.Path) -> np.ndarray:
  """Memory-maps a `.npy` file of numbers; pickles are refused.

  Args:
    path: the file.

  Returns:
    A read-only array.

  Raises:
    BundleError: the file is pickled, truncated, no array, or not of numbers.
  """
  try:
    array = np.load(path, mmap_mode='r', allow_pickle=False)
  except ValueError as e:
    if 'pickle' in str(e) or 'Python objects' in str(e):
      why = 'holds pickled Python objects, which are never loaded'
    elif 'length' in str(e) or 'size' in str(e):
      why = 'is truncated: it ends before its last row'
    else:
      why = f'is not a readable .npy file ({e})'
    raise BundleError(f'{path}: {why}; save it as a plain array') from None
  except (OSError, EOFError) as e:
    reason = getattr(e, 'strerror', None) or str(e)
    raise BundleError(f'{path}: not a readable .npy file ({reason})') from None
  if not isinstance(array, np.ndarray) or array.dtype.kind not in 'fiu':
    kind = getattr(array, 'dtype', 'an archive')
    raise BundleError(f'{path}: holds {kind}, not numbers; save it as float32')
  return array


def _check_feature(
  path: pathlib.Path,
  feature: str,
  array: np.ndarray,
  accounts: accounts_lib.Accounts,
) -> np.ndarray:
  """Checks one feature array and returns it as float32."""
  if array.ndim != 2 or array.shape[1] == 0:
    raise BundleError(
      f'{path}: has shape {array.shape}, expected [accounts, features]'
    )
  if len(array) != len(accounts):
    raise BundleError(
      f'{path}: has {len(array):,} rows, {_ACCOUNTS} has'
      f' {len(accounts):,} accounts; they must be as many'
    )
  step = max(1, _CHECK_BYTES // (array.itemsize * array.shape[1]))
  for start in range(0, len(array), step):
    with np.errstate(over='ignore'):
      block = np.asarray(array[start : start + step], np.float32)
    finite = np.isfinite(block)
    whole = np.isnan(block).all(axis=1)
    bad = ~finite.all(axis=1) & ~whole
    if bad.any():
      row = int(bad.argmax())
      column = int((~finite[row]).argmax())
      what = 'NaN' if np.isnan(block[row, column]) else 'infinity'
      raise BundleError(
        f'{path}, row {start + row} ({_account_at(accounts, start + row)}):'
        f' {what} in column {column}; only a whole row of NaN may stand for an'
        ' account that lacks the feature'
      )
    if feature in accounts_lib.TOPIC_FEATURES:
      negative = block < 0
      if negative.any():
        row = int(negative.any(axis=1).argmax())
        column = int(negative[row].argmax())
        raise BundleError(
          f'{path}, row {start + row} ({_account_at(accounts, start + row)}):'
          f' topic weight {block[row, column]:g} in column {column} is negative'
        )
  return np.asarray(array, np.float32)


def _read_attributes(
  folder: pathlib.Path, accounts: accounts_lib.Accounts
) -> accounts_lib.Attributes | None:
  if not (folder / _ATTRIBUTES).exists():
    for name in (_ACCOUNT_ATTRIBUTES, _GRAPH):
      if (folder / name).exists():
        raise BundleError(f'{folder / name}: needs {_ATTRIBUTES} beside it')
    return None
  path = folder / _ATTRIBUTES
  attribute: dict[str, int] = {}
  names: list[str] = []
  for number, row in _rows(folder, _ATTRIBUTES, ('attribute_id', 'name')):
    if row['attribute_id'] in attribute:
      raise BundleError(
        f'{path}, row {number}: attribute_id {row["attribute_id"]!r} stands'
        ' twice'
      )
    attribute[row['attribute_id']] = len(names)
    names.append(row['name'])
  if not names:
    raise BundleError(f'{path}: no attributes; leave the file out instead')

  def index_of(where: str, attribute_id: str) -> int:
    found = attribute.get(attribute_id)
    if found is None:
      raise BundleError(
        f'{where}: attribute {attribute_id!r} is not in {_ATTRIBUTES}'
      )
    return found

  holder: list[int] = []
  held: list[int] = []
  if (folder / _ACCOUNT_ATTRIBUTES).exists():
    index = _row_index(accounts)
    required = ('role', 'account_id', 'attribute_id')
    for number, row in _rows(folder, _ACCOUNT_ATTRIBUTES, required):
      where = f'{folder / _ACCOUNT_ATTRIBUTES}, row {number}'
      if row['role'] not in accounts_lib.ROLES:
        raise BundleError(
          f'{where}: role {row["role"]!r} is neither brand nor influencer'
        )
      role = accounts_lib.ROLES.index(row['role'])
      holder.append(_look_up(index, role, row['account_id'], where))
      held.append(index_of(where, row['attribute_id']))
  pairs = np.unique(np.array([holder, held], np.int64).reshape(2, -1), axis=1)
  edges, weights = None, None
  if (folder / _GRAPH).exists():
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
  path = folder / _GRAPH
  first_seen: dict[tuple[int, int], int] = {}
  weights: list[float] = []
  for number, row in _rows(folder, _GRAPH, ('source', 'target', 'weight')):
    where = f'{path}, row {number}'
    source, target = (
      index_of(where, row['source']),
      index_of(where, row['target']),
    )
    if source == target:
      raise BundleError(f'{where}: an edge from {row["source"]} to itself')
    try:
      weight = float(row['weight'])
    except ValueError:
      weight = float('nan')
    if not (np.isfinite(weight) and weight > 0):
      raise BundleError(
        f'{where}: weight {row["weight"]!r} is not a positive finite number'
      )
    seen = first_seen.setdefault((source, target), number)
    if seen != number:
      raise BundleError(
        f'{where}: the edge from {row["source"]} to {row["target"]} stands'
        f' already in row {seen}'
      )
    weights.append(weight)
  if not weights:
    raise BundleError(f'{path}: no edges; leave the file out instead')
  edges = np.array(list(first_seen), np.int64)
  return edges, np.array(weights, np.float32)


def read_bundle(path: str | os.PathLike[str]) -> accounts_lib.Dataset:
  """Reads and validates a bundle.

  Args:
    path: the bundle's folder.

  Returns:
    The data set; its `notes` say what was merged, left out or absent.

  Raises:
    BundleError: anything is wrong with it; nothing was written.
  """
  folder = pathlib.Path(path)
  if not folder.is_dir():
    raise BundleError(f'{folder}: no such folder; a bundle is a folder')
  notes: list[str] = []
  accounts = _read_accounts(folder)
  positives = _read_interactions(folder, accounts, notes)
  features = {}
  for feature in accounts_lib.FEATURES:
    file = folder / f'{feature}.npy'
    if file.exists():
      features[feature] = _check_feature(
        file, feature, load_array(file), accounts
      )
  attributes = _read_attributes(folder, accounts)
  if not features and attributes is None:
    raise BundleError(
      f'{folder}: no feature file; at least one of'
      f' {", ".join(f + ".npy" for f in accounts_lib.FEATURES)} is needed'
    )
  planted = None
  if (folder / _PLANTED).exists():
    planted = _check_feature(
      folder / _PLANTED, 'planted', load_array(folder / _PLANTED), accounts
    )
  return accounts_lib.Dataset(
    name=str(folder),
    accounts=accounts,
    features=features,
    positives_Px2=positives,
    attributes=attributes,
    planted=planted,
    notes=tuple(notes),
  )


def _write_csv(
  path: pathlib.Path, header: Sequence[str], columns: Sequence[Iterable]
) -> None:
  with path.open('w', encoding='utf-8', newline='') as f:
    writer = csv.writer(f, lineterminator='\n')
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))


def write_bundle(
  dataset: accounts_lib.Dataset, path: str | os.PathLike[str]
) -> None:
  """Writes a data set as a bundle; the folder appears complete or not at all.

  Args:
    dataset: what to write.
    path: the folder to make; it may exist if it is empty.

  Raises:
    BundleError: the folder exists and is not empty.
  """
  folder = pathlib.Path(path)
  if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
    raise BundleError(f'{folder}: exists already; name a new folder')
  folder.parent.mkdir(parents=True, exist_ok=True)
  draft = pathlib.Path(tempfile.mkdtemp(prefix='.bundle-', dir=folder.parent))
  try:
    _write_files(dataset, draft)
    draft.chmod(0o755)
    draft.replace(folder)
  except BaseException:
    shutil.rmtree(draft, ignore_errors=True)
    raise


def _write_files(dataset: accounts_lib.Dataset, folder: pathlib.Path) -> None:
  a = dataset.accounts
  role_names = np.array(accounts_lib.ROLES)
  columns = {
    'account_id': a.ids,
    'role': role_names[a.roles],
    'category': a.categories,
    'split': a.splits,
  }
  if a.followers is not None:
    columns['followers'] = [f if f >= 0 else '' for f in a.followers.tolist()]
  if a.biographies is not None:
    columns['biography'] = a.biographies
  if a.found_under is not None:
    columns['found_under_category'] = a.found_under
  _write_csv(folder / _ACCOUNTS, list(columns), list(columns.values()))
  pairs = dataset.positives_Px2
  _write_csv(
    folder / _INTERACTIONS,
    ('brand_id', 'influencer_id'),
    (a.ids[pairs[:, 0]], a.ids[pairs[:, 1]]),
  )
  for feature, array in dataset.features.items():
    np.save(folder / f'{feature}.npy', np.asarray(array, np.float32))
  if dataset.planted is not None:
    np.save(folder / _PLANTED, dataset.planted)
  if dataset.attributes is None:
    return
  s = dataset.attributes
  _write_csv(
    folder / _ATTRIBUTES, ('attribute_id', 'name'), (s.ids_V, s.names_V)
  )
  if len(s.holder):
    _write_csv(
      folder / _ACCOUNT_ATTRIBUTES,
      ('role', 'account_id', 'attribute_id'),
      (role_names[a.roles[s.holder]], a.ids[s.holder], s.ids_V[s.held]),
    )
  if s.edges_Ex2 is not None and s.weight_E is not None:
    _write_csv(
      folder / _GRAPH,
      ('source', 'target', 'weight'),
      (s.ids_V[s.edges_Ex2[:, 0]], s.ids_V[s.edges_Ex2[:, 1]], s.weight_E),
    )
