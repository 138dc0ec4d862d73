"""The feature files of the MORNING authors' released program, as a data set.

Their program reads arrays in which an account's features are repeated for
every pair it stands in. Under one root folder, for brands (`brand_`) and for
influencers (`in_`), in a `train` and a `test` variant:

  trainset/brand_{image,text}_train.npy             content
  audience_trainset/brand_{image,text}_train.npy    audience
  attribute_trainset_n2v/brand_attribute_train_n2v_new.npy
  attribute_trainset_n2v/in_attribute_train_n2v.npy

Rows `2k` and `2k + 1` are (brand, positive) and (same brand, negative). The
ranking test set, with suffix `_test_2`, has two rows a scored pair, of which
the even one counts; the spreadsheet `testset_r.xlsx` names the pairs. (The test
set of their loss, suffix `_test`, alternates as the training rows do; it is
read only where there is no ranking test set.) Here the accounts behind the
repeated rows are found again, each stored once.

Two accounts whose features are equal in every file can't be told apart by
their rows. Rows of an array count from 0, rows of the spreadsheet from 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import csv
import dataclasses
import hashlib
import os
import pathlib
import zipfile
import zlib

import numpy as np
import tqdm

from morning_jax import accounts as accounts_lib
from morning_jax import errors
from morning_jax.data import bundle_arrays

TEST_PAIRS = 'testset_r'

# Feature -> its file; `split` is train or test, `part` the file's suffix.
_FILES: Mapping[str, str] = {
  'content_image': '{split}set/{role}_image_{part}.npy',
  'content_text': '{split}set/{role}_text_{part}.npy',
  'audience_image': 'audience_{split}set/{role}_image_{part}.npy',
  'audience_text': 'audience_{split}set/{role}_text_{part}.npy',
  'attribute_embedding': (
    'attribute_{split}set_n2v/{role}_attribute_{part}_n2v{new}.npy'
  ),
}
_TOPICS = accounts_lib.TOPIC_FEATURES
_ROLE_PREFIX = ('brand', 'in')
_ID_DIGITS = (4, 5)
_BLOCK_BYTES = 1 << 25  # of float32 rows, in memory at a time
_DIGEST_BYTES = 16


class ReleaseError(errors.UserError):
  """Released files that can't be imported; the message names file and row."""


@dataclasses.dataclass(frozen=True)
class _Part:
  """The arrays of one set, memory-mapped.

  Attributes:
    split: 'train' or 'test'.
    paths: feature -> the file of the brands, of the influencers.
    arrays: feature -> [rows, F] of the brands, of the influencers; all of one
      even length.
    step: 1 where every row counts, 2 where only the even rows do.
  """

  split: str
  paths: Mapping[str, tuple[pathlib.Path, pathlib.Path]]
  arrays: Mapping[str, tuple[np.ndarray, np.ndarray]]
  step: int

  @property
  def pairs(self) -> int:
    """How many rows count."""
    return len(next(iter(self.arrays.values()))[0]) // self.step


@dataclasses.dataclass(frozen=True)
class _Sheet:
  """The scored test pairs as the spreadsheet lists them.

  Attributes:
    path: the spreadsheet.
    names: the distinct names of the brands, of the influencers.
    pairs: int64 [rows, 2], indices into the two lists of names.
    positive: bool [rows].
  """

  path: pathlib.Path
  names: tuple[list[str], list[str]]
  pairs: np.ndarray
  positive: np.ndarray


@dataclasses.dataclass
class _Found:
  """The distinct accounts of one role, in the order of first appearance.

  Attributes:
    names: the account's name; None where none was released.
    splits: the part in which the account was found first.
    rows: its first row there, among the rows that count.
    index: features, as a digest -> account.
  """

  names: list[str | None] = dataclasses.field(default_factory=list)
  splits: list[str] = dataclasses.field(default_factory=list)
  rows: list[int] = dataclasses.field(default_factory=list)
  index: dict[bytes, int] = dataclasses.field(default_factory=dict)

  def add(self, name: str | None, split: str, row: int) -> int:
    self.names.append(name)
    self.splits.append(split)
    self.rows.append(row)
    return len(self.names) - 1


def _path(
  root: pathlib.Path, feature: str, role: int, part: str
) -> pathlib.Path:
  return root / _FILES[feature].format(
    split='train' if part == 'train' else 'test',
    role=_ROLE_PREFIX[role],
    part=part,
    new='_new' if role == accounts_lib.BRAND else '',
  )


def _open_part(root: pathlib.Path, part: str) -> _Part | None:
  """Opens the arrays of one part; None where it has no file at all."""
  paths, arrays = {}, {}
  for feature in _FILES:
    brand, influencer = (_path(root, feature, role, part) for role in (0, 1))
    if not brand.exists() and not influencer.exists():
      continue
    for path, partner in ((brand, influencer), (influencer, brand)):
      if not path.exists():
        raise ReleaseError(
          f'{path}: no such file; {partner.name} beside it needs it'
          ' (a feature is left out by leaving out both)'
        )
    paths[feature] = (brand, influencer)
    arrays[feature] = (
      bundle_arrays.load_array(brand),
      bundle_arrays.load_array(influencer),
    )
  first: tuple[pathlib.Path, int] | None = None
  for feature, pair in arrays.items():
    for path, array in zip(paths[feature], pair, strict=True):
      if array.ndim != 2 or 0 in array.shape:
        raise ReleaseError(
          f'{path}: has shape {array.shape}, expected [rows, features]'
        )
      if len(array) % 2:
        raise ReleaseError(
          f'{path}: has {len(array):,} rows, an odd number; every pair takes'
          ' two rows'
        )
      first = first or (path, len(array))
      if len(array) != first[1]:
        raise ReleaseError(
          f'{path}: has {len(array):,} rows, {first[0]} has {first[1]:,};'
          ' they must be as many'
        )
  if not arrays:
    return None
  split = 'train' if part == 'train' else 'test'
  return _Part(split, paths, arrays, step=2 if part == 'test_2' else 1)


def _check_sizes(train: _Part, test: _Part | None) -> None:
  """Checks that brands, influencers and splits have the same features."""
  parts = [p for p in (train, test) if p is not None]
  for feature in _FILES:
    size: tuple[pathlib.Path, int] | None = None
    for part in parts:
      if feature not in part.arrays:
        other = next((p for p in parts if feature in p.arrays), None)
        if other is not None:
          raise ReleaseError(
            f'{other.paths[feature][0]}: the {part.split} set has no such'
            f' feature ({feature}); add its files or leave out these'
          )
        continue
      for path, array in zip(
        part.paths[feature], part.arrays[feature], strict=True
      ):
        size = size or (path, array.shape[1])
        if array.shape[1] != size[1]:
          raise ReleaseError(
            f'{path}: has {array.shape[1]} columns, {size[0]} has {size[1]};'
            ' a feature has one size'
          )


def _as_float32(rows: np.ndarray) -> np.ndarray:
  """Copies rows so that equal values have equal bytes: one zero, one NaN."""
  with np.errstate(over='ignore'):
    block = np.array(rows, np.float32, order='C')
  block += np.float32(0)  # -0.0 becomes 0.0
  nan = np.isnan(block)
  if nan.any():
    block[nan] = np.nan
  return block


def _digest(array: np.ndarray, step: int, bar: tqdm.tqdm) -> np.ndarray:
  """Returns a digest of each row that counts, uint64 [rows // step, 2]."""
  rows = len(array) // step
  row_bytes = 4 * array.shape[1]
  block_rows = max(1, _BLOCK_BYTES // row_bytes)
  digests = bytearray()
  for start in range(0, rows, block_rows):
    stop = min(start + block_rows, rows)
    for row in _as_float32(array[start * step : stop * step : step]):
      digests += hashlib.blake2b(row, digest_size=_DIGEST_BYTES).digest()
    bar.update((stop - start) * row_bytes)
  return np.frombuffer(digests, np.uint64).reshape(rows, 2)


def _digest_part(part: _Part, bar: tqdm.tqdm) -> tuple[np.ndarray, np.ndarray]:
  """Returns the digests of brands and influencers, uint64 [pairs, K, 2]."""
  brand, influencer = (
    np.stack(
      [_digest(pair[role], part.step, bar) for pair in part.arrays.values()],
      axis=1,
    )
    for role in (0, 1)
  )
  return brand, influencer


def _keys(digests: np.ndarray) -> list[bytes]:
  return [row.tobytes() for row in digests]


def _cells_of_xlsx(path: pathlib.Path) -> Iterator[Sequence[object]]:
  try:
    import openpyxl
    from openpyxl.utils import exceptions
  except ImportError:
    raise ReleaseError(
      f"{path}: needs openpyxl; run pip install 'morning_jax[release]', or"
      ' save the spreadsheet as .csv'
    ) from None
  try:
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
      sheet = book.worksheets[0]
      sheet.reset_dimensions()  # the stored ones need not be right
      yield from sheet.iter_rows(values_only=True)
    finally:
      book.close()
  except (
    exceptions.InvalidFileException,
    zipfile.BadZipFile,
    KeyError,
    IndexError,
    ValueError,
    EOFError,
    zlib.error,
    SyntaxError,  # which broken XML raises
  ) as e:
    raise ReleaseError(f'{path}: not a readable .xlsx file ({e})') from None
  except OSError as e:
    raise ReleaseError(f'{path}: {e.strerror or e}') from None


def _cells_of_csv(path: pathlib.Path) -> Iterator[Sequence[object]]:
  try:
    with path.open(encoding='utf-8-sig', newline='') as f:
      yield from csv.reader(f, strict=True)
  except UnicodeDecodeError as e:
    raise ReleaseError(f'{path}: not UTF-8 text ({e.reason})') from None
  except csv.Error as e:
    raise ReleaseError(f'{path}: not a readable .csv file ({e})') from None
  except OSError as e:
    raise ReleaseError(f'{path}: {e.strerror}') from None


def _text(cell: object) -> str | None:
  """Returns a cell as text; None for what is no name (a date, a boolean)."""
  if cell is None:
    return ''
  if isinstance(cell, float) and cell.is_integer():
    cell = int(cell)
  if isinstance(cell, bool) or not isinstance(cell, str | int | float):
    return None
  return str(cell).replace('\ufeff', '').strip()


def _read_sheet(path: pathlib.Path) -> _Sheet:
  """Reads the test pairs from a spreadsheet of three columns, no header."""
  readers = {'.xlsx': _cells_of_xlsx, '.csv': _cells_of_csv}
  if path.suffix.lower() not in readers:
    raise ReleaseError(f'{path}: the test pairs come as .xlsx or .csv')
  indices: tuple[dict[str, int], dict[str, int]] = ({}, {})
  pairs: list[tuple[int, int]] = []
  positive: list[bool] = []
  blank: int | None = None
  for number, cells in enumerate(readers[path.suffix.lower()](path), start=1):
    row = [_text(c) for c in cells]
    while row and row[-1] == '':
      row.pop()
    if not row:
      blank = blank or number
      continue
    where = f'{path}, row {number}'
    if blank is not None:
      raise ReleaseError(f'{path}, row {blank}: is empty, yet more rows follow')
    if len(row) != 3 or not row[0] or not row[1]:
      raise ReleaseError(
        f'{where}: must hold a brand name, an influencer name and a label as'
        ' text or numbers'
      )
    if row[2] not in ('0', '1', '0.0', '1.0'):
      raise ReleaseError(
        f'{where}: label {row[2]!r} is neither 1 nor 0'
        + (' (the spreadsheet has no header)' if number == 1 else '')
      )
    brand, influencer = (
      index.setdefault(name, len(index))
      for index, name in zip(indices, (row[0], row[1]), strict=True)
    )
    pairs.append((brand, influencer))
    positive.append(row[2].startswith('1'))
  if not any(positive):
    raise ReleaseError(f'{path}: no row has label 1')
  sheet = _Sheet(
    path,
    (list(indices[0]), list(indices[1])),
    np.array(pairs, np.int64),
    np.array(positive),
  )
  _check_labels(sheet)
  return sheet


def _first_rows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the first row of each code, and for each row its code's first."""
  _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
  return first, first[inverse]


def _pair_codes(pairs: np.ndarray) -> np.ndarray:
  return pairs[:, 0] * (pairs[:, 1].max() + 1) + pairs[:, 1]


def _check_labels(sheet: _Sheet) -> None:
  _, first = _first_rows(_pair_codes(sheet.pairs))
  wrong = sheet.positive != sheet.positive[first]
  if wrong.any():
    row = int(wrong.argmax())
    brand, influencer = (
      names[i] for names, i in zip(sheet.names, sheet.pairs[row], strict=True)
    )
    raise ReleaseError(
      f'{sheet.path}, row {row + 1}: the label of ({brand!r}, {influencer!r})'
      f' contradicts row {first[row] + 1}'
    )


def _find_sheet(
  root: pathlib.Path, test_pairs: str | os.PathLike[str] | None
) -> pathlib.Path | None:
  """Returns the spreadsheet that was named or lies in the usual places."""
  if test_pairs is not None:
    path = pathlib.Path(test_pairs)
    if not path.is_file():
      raise ReleaseError(f'{path}: no such file (the test pairs)')
    return path
  for folder in (root, root / 'testset'):
    for suffix in ('.xlsx', '.csv'):
      path = folder / (TEST_PAIRS + suffix)
      if path.is_file():
        return path
  return None


def _check_same_brand(part: _Part, digests: np.ndarray) -> None:
  """Checks that the brand of every odd row is the brand of the row before."""
  differs = (digests[0::2] != digests[1::2]).any(axis=-1)
  if differs.any():
    triplet = int(differs.any(axis=1).argmax())
    feature = list(part.paths)[int(differs[triplet].argmax())]
    raise ReleaseError(
      f'{part.paths[feature][0]}, row {2 * triplet + 1}: is another brand than'
      f' row {2 * triplet}; rows 2k and 2k + 1 belong to one brand'
    )


def _add_triplets(
  part: _Part, found: tuple[_Found, _Found], bar: tqdm.tqdm, notes: list[str]
) -> np.ndarray:
  """Finds the accounts of alternating rows; returns the positives [P, 2]."""
  digests = _digest_part(part, bar)
  _check_same_brand(part, digests[0])
  columns = []
  for role, role_found in enumerate(found):
    # A brand has one split: what stands in the test part is another account,
    # even where a training brand has the same features.
    apart = role == accounts_lib.BRAND and part.split == 'test'
    index: dict[bytes, int] = {} if apart else role_found.index
    column = []
    for row, key in enumerate(_keys(digests[role])):
      account = index.get(key)
      if account is None:
        account = index[key] = role_found.add(None, part.split, row)
      column.append(account)
    if apart:
      _note_brands_in_both(len(index.keys() & role_found.index.keys()), notes)
    columns.append(column)
  pairs = np.array(columns, np.int64).T
  codes = _pair_codes(pairs)
  first, _ = _first_rows(codes[0::2])
  _, counts = np.unique(codes[0::2], return_counts=True)
  each = (
    f'{counts.min()} each'
    if counts.min() == counts.max()
    else f'{counts.min()} to {counts.max()} each'
  )
  notes.append(
    f'{part.split} set: {len(pairs) // 2:,} triplets hold {len(first):,}'
    f' distinct positives ({each}), {len(pairs) // 2 - len(first):,} duplicates'
    ' merged'
  )
  clash = int(np.isin(codes[1::2], codes[0::2]).sum())
  if clash:
    notes.append(
      f'{part.split} set: {clash:,} negatives are elsewhere a positive of the'
      ' same brand; they are kept as positives only'
    )
  return pairs[0::2][np.sort(first)]


def _note_brands_in_both(count: int, notes: list[str]) -> None:
  if count:
    notes.append(
      f'{count:,} test brands have the features of a training brand; each'
      ' stays two accounts, as a brand has one split, but their test is not of'
      ' an unseen brand'
    )


def _check_same_features(
  part: _Part, sheet: _Sheet, role: int, digests: np.ndarray, first: np.ndarray
) -> None:
  """Checks that rows of one name have one account's features."""
  differs = (digests != digests[first]).any(axis=-1)
  if differs.any():
    pair = int(differs.any(axis=1).argmax())
    feature = list(part.paths)[int(differs[pair].argmax())]
    name = sheet.names[role][sheet.pairs[pair, role]]
    raise ReleaseError(
      f'{part.paths[feature][role]}, row {2 * pair}:'
      f' {accounts_lib.ROLES[role]} {name!r} ({sheet.path.name}, row'
      f' {pair + 1}) has other features than in row {2 * first[pair]}'
      f' ({sheet.path.name}, row {first[pair] + 1})'
    )


def _add_ranking(
  part: _Part,
  sheet: _Sheet,
  found: tuple[_Found, _Found],
  bar: tqdm.tqdm,
  notes: list[str],
) -> np.ndarray:
  """Finds the named accounts of the test pairs; returns the positives."""
  digests = _digest_part(part, bar)
  columns = []
  shared = 0
  for role, role_found in enumerate(found):
    names, codes = sheet.names[role], sheet.pairs[:, role]
    first_of_name, first = _first_rows(codes)
    _check_same_features(part, sheet, role, digests[role], first)
    # Names are numbered as they appear, so this is the order of the names.
    keys = _keys(digests[role][first_of_name])
    in_train = [role_found.index.get(key) for key in keys]
    twins = len(keys) - len(set(keys))
    if twins:
      notes.append(
        f'{sheet.path.name}: {twins:,} {accounts_lib.ROLES[role]} names have'
        ' the features of another name; they stay accounts of their own'
      )
    of_name = []
    for name, row, known in zip(
      names, first_of_name.tolist(), in_train, strict=True
    ):
      if (
        role == accounts_lib.INFLUENCER
        and known is not None
        and role_found.names[known] is None
      ):
        role_found.names[known] = name
        shared += 1
        of_name.append(known)
      else:
        of_name.append(role_found.add(name, 'test', row))
    if role == accounts_lib.BRAND:
      _note_brands_in_both(sum(k is not None for k in in_train), notes)
    columns.append(np.array(of_name, np.int64)[codes])
  distinct, _ = _first_rows(_pair_codes(sheet.pairs))
  notes.append(
    f'{sheet.path.name}: {len(sheet.pairs):,} rows, of which'
    f' {len(sheet.pairs) - len(distinct):,} repeat a pair; {shared:,} of'
    f' {len(sheet.names[1]):,} influencers are training influencers too'
  )
  absent = len(sheet.names[0]) * len(sheet.names[1]) - len(distinct)
  if absent:
    notes.append(
      f'{sheet.path.name}: {absent:,} pairs of its brands and influencers are'
      ' not listed; an evaluation takes them for negatives'
    )
  kept = np.sort(distinct)
  return np.stack(columns, axis=1)[kept[sheet.positive[kept]]]


def _unusable(feature: str, values: np.ndarray) -> np.ndarray:
  """Marks the values that a bundle may not hold, as `bundle` checks them."""
  lacks = np.isnan(values).all(axis=1, keepdims=True)
  negative = (values < 0) & (feature in _TOPICS)
  return (~np.isfinite(values) & ~lacks) | negative


def _gather(
  feature: str,
  parts: Mapping[str, _Part],
  found: tuple[_Found, _Found],
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
      values = _as_float32(part.arrays[feature][role][file_rows])
      block[mine] = values
      bad = _unusable(feature, values)
      if bad.any():
        i = int(bad.any(axis=1).argmax())
        column = int(bad[i].argmax())
        raise ReleaseError(
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


def _ids(role: int, found: _Found, source: str) -> list[str]:
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
      raise ReleaseError(
        f'{source}: {accounts_lib.ROLES[role]} name {name!r} is one that is'
        ' given to training accounts; rename it'
      )
    seen.add(name)
  return ids


def _open_test(
  root: pathlib.Path,
  test_pairs: str | os.PathLike[str] | None,
  notes: list[str],
) -> tuple[_Part | None, _Sheet | None]:
  """Opens the ranking test set, or else the test set of the loss."""
  sheet_path = _find_sheet(root, test_pairs)
  ranking = _open_part(root, 'test_2')
  if ranking is None:
    loss = _open_part(root, 'test')
    example = _path(root, 'content_text', 0, 'test_2')
    if test_pairs is not None:
      raise ReleaseError(
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
    raise ReleaseError(
      f'{root / (TEST_PAIRS + ".xlsx")}: no such file; it names the pairs of'
      f' {next(iter(ranking.paths.values()))[0].name} (if it lies elsewhere,'
      ' name it: --test_pairs=FILE)'
    )
  sheet = _read_sheet(sheet_path)
  if len(sheet.pairs) != ranking.pairs:
    raise ReleaseError(
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
    raise ReleaseError(f'{folder}: no such folder')
  notes: list[str] = []
  train = _open_part(folder, 'train')
  if train is None:
    raise ReleaseError(
      f'{folder}: no training features; expected files such as'
      f' {_path(folder, "content_text", 0, "train")}'
    )
  test, sheet = _open_test(folder, test_pairs, notes)
  _check_sizes(train, test)
  parts = {p.split: p for p in (train, test) if p is not None}
  found = (_Found(), _Found())
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
    pairs = [_add_triplets(train, found, bar, notes)]
    if test is not None and sheet is not None:
      pairs.append(_add_ranking(test, sheet, found, bar, notes))
    elif test is not None:
      pairs.append(_add_triplets(test, found, bar, notes))
  features = {f: _gather(f, parts, found, notes) for f in train.arrays}
  empty = np.logical_and.reduce(
    [((a == 0) | np.isnan(a)).all(axis=1) for a in features.values()]
  ).sum()
  if empty:
    notes.append(
      f'{empty:,} accounts have no feature at all; training accounts without'
      ' any are one account here, however many they were'
    )
  notes.extend(f'no files of {f}' for f in _FILES if f not in features)
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
