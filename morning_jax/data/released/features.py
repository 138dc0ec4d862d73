"""The feature files of the MORNING authors' released program, as a data set.

Their arrays repeat an account's features for every pair it stands in
(`released_arrays`), and a spreadsheet names the pairs of the ranking test set
(`released_pairs`); the test set of their loss is read only where there is no
ranking test set. Here the accounts behind the repeated rows are found again
(`released_accounts`), each stored once.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib

import numpy as np
import tqdm

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.released import accounts as released_accounts
from morning_jax.data.released import arrays as arrays_lib
from morning_jax.data.released import pairs as pairs_lib

_TOPICS = accounts_lib.TOPIC_FEATURES
_ID_DIGITS = (4, 5)


def _unusable(feature: str, values: np.ndarray) -> np.ndarray:
  """Marks the values that a bundle may not hold, as `bundle_arrays` checks."""
  lacks = np.isnan(values).all(axis=1, keepdims=True)
  negative = (values < 0) & (feature in _TOPICS)
  return (~np.isfinite(values) & ~lacks) | negative


def _gather(
  feature: str,
  parts: Mapping[str, arrays_lib.Part],
  found: tuple[released_accounts.Found, released_accounts.Found],
  notes: list[str],
) -> np.ndarray:
  """Takes every account's features from its first row, float32 [A, F]."""
  blocks = []
  for role, role_found in enumerate(found):
    splits = np.array(role_found.splits)
    rows = np.array(role_found.rows, np.int64)
    size = parts['train'].arrays[feature][role].shape[1]
    block = np.empty((len(rows), size), np.float32)
    for split, part in parts.items():
      mine = np.flatnonzero(splits == split)
      file_rows = rows[mine] * part.step
      values = arrays_lib.as_float32(part.arrays[feature][role][file_rows])
      block[mine] = values
      bad = _unusable(feature, values)
      if bad.any():
        i = int(bad.any(axis=1).argmax())
        column = int(bad[i].argmax())
        raise arrays_lib.ReleaseError(
          f'{part.paths[feature][role]}, row {file_rows[i]}: column {column} is'
          f' {values[i, column]:g}; values must be finite'
          + (', topics not negative' if feature in _TOPICS else '')
          + ', or a whole row NaN for an account that lacks the feature'
        )
    blocks.append(block)
  array = np.concatenate(blocks)
  zero = (array == 0).all(axis=1).sum()
  lacks = np.isnan(array).all(axis=1).sum()
  if zero:
    notes.append(
      f'{feature}: {zero:,} accounts have zeros only, which probably means'
      ' that it is missing; they are kept as they are'
    )
  if lacks:
    notes.append(f'{feature}: {lacks:,} accounts lack it (rows of NaN)')
  return array


def _ids(role: int, found: released_accounts.Found, source: str) -> list[str]:
  """Names the accounts for which no name was released."""
  digits = _ID_DIGITS[role]
  ids = [
    name or f'{split}_{accounts_lib.ROLES[role]}_{i:0{digits}d}'
    for i, (name, split) in enumerate(
      zip(found.names, found.splits, strict=True), start=1
    )
  ]
  seen: set[str] = set()
  for name in ids:
    if name in seen:
      raise arrays_lib.ReleaseError(
        f'{source}: {accounts_lib.ROLES[role]} name {name!r} is one that is'
        ' given to training accounts; rename it'
      )
    seen.add(name)
  return ids


def _open_test(
  root: pathlib.Path,
  test_pairs: str | os.PathLike[str] | None,
  notes: list[str],
) -> tuple[arrays_lib.Part | None, pairs_lib.Sheet | None]:
  """Opens the ranking test set, or else the test set of the loss."""
  sheet_path = pairs_lib.find_sheet(root, test_pairs)
  ranking = arrays_lib.open_part(root, 'test_2')
  if ranking is None:
    loss = arrays_lib.open_part(root, 'test')
    example = arrays_lib.path_of(root, 'content_text', 0, 'test_2')
    if test_pairs is not None:
      raise arrays_lib.ReleaseError(
        f'{sheet_path}: names pairs of which there are no features; they would'
        f' be in files such as {example}'
      )
    notes.append(
      f'no ranking test set (such as {example.name}): '
      + (
        'there is no test split'
        if loss is None
        else 'the test split is made of the positives of the files with _test,'
        ' whose accounts have no names'
      )
    )
    return loss, None
  if sheet_path is None:
    raise arrays_lib.ReleaseError(
      f'{root / (pairs_lib.TEST_PAIRS + ".xlsx")}: no such file; it names'
      f' the pairs of {next(iter(ranking.paths.values()))[0].name} (if it lies'
      ' elsewhere, name it: --test_pairs=FILE)'
    )
  sheet = pairs_lib.read_sheet(sheet_path)
  if len(sheet.pairs) != ranking.pairs:
    raise arrays_lib.ReleaseError(
      f'{sheet_path}: has {len(sheet.pairs):,} rows, but'
      f' {next(iter(ranking.paths.values()))[0]} has {2 * ranking.pairs:,}, two'
      f' for each of {ranking.pairs:,} pairs; they must fit'
    )
  return ranking, sheet


def import_features(
  root: str | os.PathLike[str],
  *,
  test_pairs: str | os.PathLike[str] | None = None,
  progress: bool = False,
) -> accounts_lib.Dataset:
  """Finds accounts, features and positives behind the released pair rows.

  A training influencer whose features equal those of a named test influencer
  is that account. Training accounts are otherwise called by number, in the
  order of first appearance, as no names were released for them. Training
  accounts with equal features are one account; two test names never are.

  Args:
    root: the folder that holds `trainset` and its neighbours.
    test_pairs: the spreadsheet of test pairs, `.xlsx` or `.csv`; by default
      `testset_r` in `root` or in `root/testset`.
    progress: whether to show a progress bar, if stderr is a terminal.

  Returns:
    The data set, training accounts before test accounts within each role;
    its `notes` say what was merged, is missing or looks odd. Nothing is
    written.

  Raises:
    ReleaseError, BundleError: a file is missing, damaged or contradicts
      another; the message names file and row.
  """
  folder = pathlib.Path(root)
  if not folder.is_dir():
    raise arrays_lib.ReleaseError(f'{folder}: no such folder')
  notes: list[str] = []
  train = arrays_lib.open_part(folder, 'train')
  if train is None:
    raise arrays_lib.ReleaseError(
      f'{folder}: no training features; expected files such as'
      f' {arrays_lib.path_of(folder, "content_text", 0, "train")}'
    )
  test, sheet = _open_test(folder, test_pairs, notes)
  arrays_lib.check_sizes(train, test)
  parts = {p.split: p for p in (train, test) if p is not None}
  found = (released_accounts.Found(), released_accounts.Found())
  total = sum(
    4 * p.pairs * (brand.shape[1] + influencer.shape[1])
    for p in parts.values()
    for brand, influencer in p.arrays.values()
  )
  with tqdm.tqdm(
    total=total,
    desc='reading',
    unit='B',
    unit_scale=True,
    leave=False,  # an error stands on a line of its own
    disable=None if progress else True,  # None: shown on a terminal
  ) as bar:
    pairs = [released_accounts.add_triplets(train, found, bar, notes)]
    if test is not None and sheet is not None:
      pairs.append(
        released_accounts.add_ranking(test, sheet, found, bar, notes)
      )
    elif test is not None:
      pairs.append(released_accounts.add_triplets(test, found, bar, notes))
  features = {f: _gather(f, parts, found, notes) for f in train.arrays}
  empty = np.logical_and.reduce(
    [((a == 0) | np.isnan(a)).all(axis=1) for a in features.values()]
  ).sum()
  if empty:
    notes.append(
      f'{empty:,} accounts have no feature at all; training accounts without'
      ' any are one account here, however many they were'
    )
  notes.extend(
    f'no files of {f}' for f in arrays_lib.FILES if f not in features
  )
  brands, influencers = (len(f.names) for f in found)
  source = str(sheet.path if sheet is not None else folder)
  accounts = accounts_lib.Accounts(
    ids=np.array([i for r, f in enumerate(found) for i in _ids(r, f, source)]),
    roles=np.repeat(np.array([0, 1], np.int8), [brands, influencers]),
    categories=np.full(brands + influencers, ''),
    splits=np.array(found[0].splits + [''] * influencers),
  )
  return accounts_lib.Dataset(
    name=str(folder),
    accounts=accounts,
    features=features,
    positives_Px2=np.concatenate(pairs) + np.array([0, brands]),
    notes=tuple(notes),
  )
