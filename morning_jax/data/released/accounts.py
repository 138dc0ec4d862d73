"""The accounts behind the repeated rows of the released arrays.

Rows are compared by digests of their features. Two accounts whose features are
equal in every file can't be distinguished by their rows.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tqdm

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.released import arrays as released_arrays
from morning_jax.data.released import pairs as released_pairs

_BLOCK_BYTES = 1 << 25  # of float32 rows, in memory at a time
_DIGEST_BYTES = 16


@dataclasses.dataclass
class Found:
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
    """Adds an account and returns its number; `index` stays as it is."""
    self.names.append(name)
    self.splits.append(split)
    self.rows.append(row)
    return len(self.names) - 1


def _digest(array: np.ndarray, step: int, bar: tqdm.tqdm) -> np.ndarray:
  """Returns a digest of each row that counts, uint64 [rows // step, 2]."""
  rows = len(array) // step
  row_bytes = 4 * array.shape[1]
  block_rows = max(1, _BLOCK_BYTES // row_bytes)
  digests = bytearray()
  for start in range(0, rows, block_rows):
    stop = min(start + block_rows, rows)
    block = array[start * step : stop * step : step]
    for row in released_arrays.as_float32(block):
      digests += bytes.fromhex(files.digest(row))[:_DIGEST_BYTES]
    bar.update((stop - start) * row_bytes)
  return np.frombuffer(digests, np.uint64).reshape(rows, 2)


def _digest_part(
  part: released_arrays.Part, bar: tqdm.tqdm
) -> tuple[np.ndarray, np.ndarray]:
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


def _check_same_brand(part: released_arrays.Part, digests: np.ndarray) -> None:
  """Checks that the brand of every odd row is the brand of the row before."""
  differs = (digests[0::2] != digests[1::2]).any(axis=-1)
  if differs.any():
    triplet = int(differs.any(axis=1).argmax())
    feature = list(part.paths)[int(differs[triplet].argmax())]
    raise released_arrays.ReleaseError(
      errors.in_file(
        part.paths[feature][0],
        f'is another brand than row {2 * triplet}; rows 2k and 2k + 1 belong to'
        ' one brand',
        row=2 * triplet + 1,
      )
    )


def add_triplets(
  part: released_arrays.Part,
  found: tuple[Found, Found],
  bar: tqdm.tqdm,
  notes: list[str],
) -> np.ndarray:
  """Finds the accounts of alternating rows.

  Args:
    part: a set whose rows 2k and 2k + 1 belong to one brand.
    found: the brands and influencers so far; new ones are added, without names.
    bar: advances by the bytes that are read.
    notes: gets lines about duplicates and clashes.

  Returns:
    The positives, int64 [P, 2], numbers of accounts within their roles, in the
    order of first appearance.

  Raises:
    ReleaseError: rows of one brand differ.
  """
  digests = _digest_part(part, bar)
  _check_same_brand(part, digests[0])
  columns = []
  for role, role_found in enumerate(found):
    # A brand has one split: a brand of the test part is another account, even
    # where a training brand has the same features.
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
  codes = released_pairs.pair_codes(pairs)
  first, _ = released_pairs.first_rows(codes[0::2])
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
  part: released_arrays.Part,
  sheet: released_pairs.Sheet,
  role: int,
  digests: np.ndarray,
  first: np.ndarray,
) -> None:
  """Checks that rows of one name have one account's features."""
  differs = (digests != digests[first]).any(axis=-1)
  if differs.any():
    pair = int(differs.any(axis=1).argmax())
    feature = list(part.paths)[int(differs[pair].argmax())]
    name = sheet.names[role][sheet.pairs[pair, role]]
    raise released_arrays.ReleaseError(
      errors.in_file(
        part.paths[feature][role],
        f'{accounts_lib.ROLES[role]} {errors.quoted(name, limit=40)}'
        f' ({sheet.path.name}, row {pair + 1}) has other features than in row'
        f' {2 * first[pair]} ({sheet.path.name}, row {first[pair] + 1})',
        row=2 * pair,
      )
    )


def add_ranking(
  part: released_arrays.Part,
  sheet: released_pairs.Sheet,
  found: tuple[Found, Found],
  bar: tqdm.tqdm,
  notes: list[str],
) -> np.ndarray:
  """Finds the named accounts of the test pairs.

  Args:
    part: the ranking test set.
    sheet: the names and labels of its pairs.
    found: the brands and influencers so far; new ones are added, and a known
      influencer with the features of a name gets that name.
    bar: advances by the bytes that are read.
    notes: gets lines about repeated, shared and absent accounts and pairs.

  Returns:
    The positives, int64 [P, 2], numbers of accounts within their roles, in the
    order of first appearance.

  Raises:
    ReleaseError: rows of one name differ.
  """
  digests = _digest_part(part, bar)
  columns = []
  shared = 0
  for role, role_found in enumerate(found):
    names, codes = sheet.names[role], sheet.pairs[:, role]
    first_of_name, first = released_pairs.first_rows(codes)
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
  distinct, _ = released_pairs.first_rows(
    released_pairs.pair_codes(sheet.pairs)
  )
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
