"""Writes the files of a bundle, and compares what is read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import contextlib
import csv
import io
import os
import pathlib
from typing import BinaryIO

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.bundle import layout


def write_files(dataset: accounts_lib.Dataset, folder: pathlib.Path) -> None:
  """Writes a data set's files into a folder.

  Args:
    dataset: what to write.
    folder: an empty folder.

  Raises:
    BundleError: a text can't be written as UTF-8.
  """
  write_tables(dataset, folder)
  for feature, array in dataset.features.items():
    _write_array(folder / f'{feature}.npy', array)
  if dataset.planted is not None:
    _write_array(folder / layout.PLANTED, dataset.planted)


def write_tables(dataset: accounts_lib.Dataset, folder: pathlib.Path) -> None:
  """Writes all of a data set but its features; see `write_files`."""
  a = dataset.accounts
  role_names = np.array(accounts_lib.ROLES)
  columns: dict[str, Iterable[object]] = {
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
  _write_optional(dataset, folder)
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


def _write_optional(
  dataset: accounts_lib.Dataset, folder: pathlib.Path
) -> None:
  """Writes what only answers to questions read: names and followers."""
  named = [
    (feature, index, name)
    for feature, names in dataset.feature_names.items()
    for index, name in enumerate(names)
    if name
  ]
  if named:
    _write_csv(
      folder / layout.FEATURE_NAMES,
      ('array', 'index', 'name'),
      list(zip(*named, strict=True)),
    )
  if dataset.audience is not None:
    a, who = dataset.accounts, dataset.audience
    _write_csv(
      folder / layout.AUDIENCE,
      ('role', 'account_id', 'member'),
      (
        np.array(accounts_lib.ROLES)[a.roles[who.holder]],
        a.ids[who.holder],
        who.hashes_N[who.member],
      ),
    )


def _write_csv(
  path: pathlib.Path,
  header: Sequence[str],
  columns: Sequence[Iterable[object]],
) -> None:
  def write(file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, encoding='utf-8', newline='')
    plain = csv.writer(text, lineterminator='\n')
    # A carriage return is quoted by no writer that ends lines without one.
    quoting = csv.writer(text, lineterminator='\n', quoting=csv.QUOTE_ALL)
    plain.writerow(header)
    for row in zip(*columns, strict=True):
      writer = quoting if any('\r' in str(cell) for cell in row) else plain
      writer.writerow(row)
    text.flush()
    text.detach()

  try:
    files.write_whole(path, write)
  except UnicodeEncodeError as e:
    raise layout.BundleError(
      errors.in_file(path, f'{errors.quoted(e.object)} is no valid text')
    ) from None


def _write_array(path: pathlib.Path, array: np.ndarray) -> None:
  with np.errstate(all='ignore'):  # too large for float32: infinity, refused
    values = np.asarray(array, np.float32)
  files.write_whole(path, lambda f: np.save(f, values))


def digest_of_accounts(accounts: accounts_lib.Accounts) -> str:
  """Returns a digest of who the rows of a bundle are, in their order."""
  return files.digest('accounts', accounts.ids, accounts.roles)


@contextlib.contextmanager
def explained(folder: pathlib.Path, draft: pathlib.Path) -> Iterator[None]:
  """Says of a problem with a draft that its folder is not written.

  Args:
    folder: what the draft was to become.
    draft: where it was written, whose name nobody knows.

  Raises:
    BundleError: a `UserError` was raised inside.
  """
  try:
    yield
  except errors.UserError as e:
    problem = str(e).rpartition(f'{draft.name}{os.sep}')[2]
    raise layout.BundleError(
      errors.in_file(folder, f'not written: {problem}')
    ) from None


def check_same(
  written: accounts_lib.Dataset,
  read: accounts_lib.Dataset,
  *,
  features: bool = True,
) -> None:
  """Checks that a data set was read back as it was written.

  Args:
    written: what was written.
    read: what was read back.
    features: whether features and planted interests are compared too.

  Raises:
    BundleError: something differs.
  """
  differs = _difference(written, read, features=features)
  if differs:
    raise layout.BundleError(f'{differs} would not be read back as they are')


def _difference(
  written: accounts_lib.Dataset,
  read: accounts_lib.Dataset,
  *,
  features: bool,
) -> str:
  """Returns what of a data set differs from what was read back, '' if nothing.

  The names of the data sets and their notes are no part of a bundle.
  """
  pairs: dict[str, tuple[np.ndarray | None, np.ndarray | None]] = {
    name: (getattr(written.accounts, field), getattr(read.accounts, field))
    for name, field in (
      ('account ids', 'ids'),
      ('roles', 'roles'),
      ('categories', 'categories'),
      ('splits', 'splits'),
      ('categories of finding', 'found_under'),
      ('numbers of followers', 'followers'),
      ('biographies', 'biographies'),
    )
  }
  pairs['interactions'] = written.positives_Px2, read.positives_Px2
  if features:
    pairs['planted interests'] = written.planted, read.planted
    for feature in (*accounts_lib.FEATURES, *written.features):
      pairs[feature] = written.features.get(feature), read.features.get(feature)
  for feature in {*written.feature_names, *read.feature_names}:
    pairs[f'names of {feature}'] = (
      _names(written, feature),
      _names(read, feature),
    )
  before, after = written.audience, read.audience
  pairs['followers'] = (
    (None if before is None else before.holder),
    (None if after is None else after.holder),
  )
  if before is not None and after is not None:
    pairs['hashes of followers'] = before.hashes_N, after.hashes_N
    pairs['who follows whom'] = before.member, after.member
  one, other = written.attributes, read.attributes
  if one is not None and other is not None:
    pairs['attribute names'] = one.names_V, other.names_V
    pairs['attribute ids'] = one.ids_V, other.ids_V
    pairs['attributes of accounts'] = _held(one), _held(other)
    pairs['edges'] = one.edges_Ex2, other.edges_Ex2
    pairs['weights of edges'] = one.weight_E, other.weight_E
  for name, (mine, theirs) in pairs.items():
    if (mine is None) != (theirs is None):
      return name
    if mine is not None and theirs is not None and not _same(mine, theirs):
      return name
  return ''


def _names(dataset: accounts_lib.Dataset, feature: str) -> np.ndarray | None:
  names = dataset.feature_names.get(feature, ())
  return np.array(names) if any(names) else None


def _held(attributes: accounts_lib.Attributes) -> np.ndarray:
  pairs_Nx2 = np.stack([attributes.holder, attributes.held], 1)
  return pairs_Nx2[np.lexsort((attributes.held, attributes.holder))]


def _same(one: np.ndarray, other: np.ndarray) -> bool:
  if one.dtype.kind == 'f':
    with np.errstate(all='ignore'):
      return np.array_equal(
        np.asarray(one, np.float32),
        np.asarray(other, np.float32),
        equal_nan=True,
      )
  return np.array_equal(one, other)
