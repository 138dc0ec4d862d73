"""The feature files of the MORNING authors' released program, as a data set.

Their arrays repeat an account's features for every pair that it is in
(`arrays`), and a spreadsheet names the pairs of the ranking test set (`pairs`);
the test set of their loss is read only where there is no ranking test set. Here
the accounts behind the repeated rows are found again (`accounts`), each stored
once.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib

import numpy as np
import tqdm

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.released import accounts as released_accounts
from morning_jax.data.released import arrays as released_arrays
from morning_jax.data.released import pairs as released_pairs

_TOPICS = accounts_lib.TOPIC_FEATURES
_ID_DIGITS = (4, 5)
# What the released images show, in the order of ImageNet and of Places365.
_OBJECTS, _SCENES = 1000, 365


def _unusable(feature: str, values: np.ndarray) -> np.ndarray:
  """Marks the values that a bundle may not hold, as its reader checks."""
  lacks = np.isnan(values).all(axis=1, keepdims=True)
  negative = (values < 0) & (feature in _TOPICS)
  return (~np.isfinite(values) & ~lacks) | negative


def _gather(
  feature: str,
  parts: Mapping[str, released_arrays.Part],
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
      values = released_arrays.as_float32(part.arrays[feature][role][file_rows])
      block[mine] = values
      bad = _unusable(feature, values)
      if bad.any():
        i = int(bad.any(axis=1).argmax())
        column = int(bad[i].argmax())
        raise released_arrays.ReleaseError(
          errors.in_file(
            part.paths[feature][role],
            f'column {column} is {values[i, column]:g}; values must be finite'
            + (', topics not negative' if feature in _TOPICS else '')
            + ', or a whole row NaN for an account that lacks the feature',
            row=int(file_rows[i]),
          )
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


def _feature_names(
  features: Mapping[str, np.ndarray],
) -> dict[str, tuple[str, ...]]:
  """Tells objects from scenes; the classes' own names were not released."""
  names = tuple(
    [f'object {i}' for i in range(_OBJECTS)]
    + [f'scene {i}' for i in range(_SCENES)]
  )
  return {
    feature: names
    for feature, array in features.items()
    if feature.endswith('image') and array.shape[1] == len(names)
  }


def _ids(
  role: int, found: released_accounts.Found, source: pathlib.Path
) -> list[str]:
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
      raise released_arrays.ReleaseError(
        errors.in_file(
          source,
          f'{accounts_lib.ROLES[role]} name {errors.quoted(name)} is one that'
          ' is given to training accounts; rename it',
        )
      )
    seen.add(name)
  return ids


def _open_test(
  root: pathlib.Path,
  test_pairs: str | os.PathLike[str] | None,
  notes: list[str],
) -> tuple[released_arrays.Part | None, released_pairs.Sheet | None]:
  """Opens the ranking test set, or else the test set of the loss."""
  sheet_path = released_pairs.find_sheet(root, test_pairs)
  ranking = released_arrays.open_part(root, 'test_2')
  if ranking is None:
    loss = released_arrays.open_part(root, 'test')
    example = released_arrays.path_of(root, 'content_text', 0, 'test_2')
    if test_pairs is not None:
      raise released_arrays.ReleaseError(
        errors.in_file(
          sheet_path or root,
          'names pairs of which there are no features; they would be in files'
          f' such as {released_arrays.shown(example)}',
        )
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
    raise released_arrays.ReleaseError(
      errors.in_file(
        root / f'{released_pairs.TEST_PAIRS}.xlsx',
        'no such file; it names the pairs of'
        f' {next(iter(ranking.paths.values()))[0].name} (if it is elsewhere,'
        ' name it: --test_pairs=FILE)',
      )
    )
  sheet = released_pairs.read_sheet(sheet_path)
  if len(sheet.pairs) != ranking.pairs:
    raise released_arrays.ReleaseError(
      errors.in_file(
        sheet_path,
        f'has {len(sheet.pairs):,} rows, but'
        f' {released_arrays.shown(next(iter(ranking.paths.values()))[0])} has'
        f' {2 * ranking.pairs:,}, two for each of {ranking.pairs:,} pairs; they'
        ' must fit',
      )
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
    raise released_arrays.ReleaseError(errors.in_file(folder, 'no such folder'))
  notes: list[str] = []
  train = released_arrays.open_part(folder, 'train')
  if train is None:
    example = released_arrays.path_of(folder, 'content_text', 0, 'train')
    raise released_arrays.ReleaseError(
      errors.in_file(
        folder,
        'no training features; expected files such as'
        f' {released_arrays.shown(example)}',
      )
    )
  test, sheet = _open_test(folder, test_pairs, notes)
  released_arrays.check_sizes(train, test)
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
    leave=False,  # an error is on a line of its own
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
    f'no files of {f}' for f in released_arrays.FILES if f not in features
  )
  brands, influencers = (len(f.names) for f in found)
  source = sheet.path if sheet is not None else folder
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
    feature_names=_feature_names(features),
    notes=tuple(notes),
  )
