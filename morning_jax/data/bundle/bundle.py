"""The bundle: the on-disk form of a data set (SPEC section 9).

`read_bundle` validates everything before it returns, so that whatever it
returns can be trained on; every mistake ends in one line with file and row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import csv
import os
import pathlib
import shutil
import tempfile

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.bundle import arrays
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import tables


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
    raise layout.BundleError(f'{folder}: no such folder; a bundle is a folder')
  notes: list[str] = []
  accounts = tables.read_accounts(folder)
  positives = tables.read_interactions(folder, accounts, notes)
  features = {}
  for feature in accounts_lib.FEATURES:
    file = folder / f'{feature}.npy'
    if file.exists():
      features[feature] = arrays.check_feature(
        file, feature, arrays.load_array(file), accounts
      )
  attributes = tables.read_attributes(folder, accounts)
  if not features and attributes is None:
    raise layout.BundleError(
      f'{folder}: no feature file; at least one of'
      f' {", ".join(f + ".npy" for f in accounts_lib.FEATURES)} is needed'
    )
  planted = None
  if (folder / layout.PLANTED).exists():
    planted = arrays.check_feature(
      folder / layout.PLANTED,
      'planted',
      arrays.load_array(folder / layout.PLANTED),
      accounts,
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
    raise layout.BundleError(f'{folder}: exists already; name a new folder')
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
  _write_csv(folder / layout.ACCOUNTS, list(columns), list(columns.values()))
  pairs = dataset.positives_Px2
  _write_csv(
    folder / layout.INTERACTIONS,
    ('brand_id', 'influencer_id'),
    (a.ids[pairs[:, 0]], a.ids[pairs[:, 1]]),
  )
  for feature, array in dataset.features.items():
    np.save(folder / f'{feature}.npy', np.asarray(array, np.float32))
  if dataset.planted is not None:
    np.save(folder / layout.PLANTED, dataset.planted)
  if dataset.attributes is None:
    return
  s = dataset.attributes
  _write_csv(
    folder / layout.ATTRIBUTES, ('attribute_id', 'name'), (s.ids_V, s.names_V)
  )
  if len(s.holder):
    _write_csv(
      folder / layout.ACCOUNT_ATTRIBUTES,
      ('role', 'account_id', 'attribute_id'),
      (role_names[a.roles[s.holder]], a.ids[s.holder], s.ids_V[s.held]),
    )
  if s.edges_Ex2 is not None and s.weight_E is not None:
    _write_csv(
      folder / layout.GRAPH,
      ('source', 'target', 'weight'),
      (s.ids_V[s.edges_Ex2[:, 0]], s.ids_V[s.edges_Ex2[:, 1]], s.weight_E),
    )
