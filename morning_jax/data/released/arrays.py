"""The arrays of the MORNING authors' released program.

Their program reads arrays in which an account's features are repeated for
every pair that it is in. Under one root folder, for brands (`brand_`) and for
influencers (`in_`), in a `train` and a `test` variant:

  trainset/brand_{image,text}_train.npy             content
  audience_trainset/brand_{image,text}_train.npy    audience
  attribute_trainset_n2v/brand_attribute_train_n2v_new.npy
  attribute_trainset_n2v/in_attribute_train_n2v.npy

Rows `2k` and `2k + 1` are (brand, positive) and (same brand, negative). The
ranking test set, with suffix `_test_2`, has two rows a scored pair, of which
the even one counts. (The test set of their loss, suffix `_test`, alternates as
the training rows do.) Rows count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import npy_file

# Feature -> its file; `split` is train or test, `part` the file's suffix.
FILES: Mapping[str, str] = {
  'content_image': '{split}set/{role}_image_{part}.npy',
  'content_text': '{split}set/{role}_text_{part}.npy',
  'audience_image': 'audience_{split}set/{role}_image_{part}.npy',
  'audience_text': 'audience_{split}set/{role}_text_{part}.npy',
  'attribute_embedding': (
    'attribute_{split}set_n2v/{role}_attribute_{part}_n2v{new}.npy'
  ),
}
_ROLE_PREFIX = ('brand', 'in')


class ReleaseError(errors.UserError):
  """Released files that can't be imported; one line names file and row."""


def shown(path: pathlib.Path) -> str:
  """Returns a file and its folder, for a message that names two files."""
  return '/'.join(path.parts[-2:])


@dataclasses.dataclass(frozen=True)
class Part:
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


def path_of(
  root: pathlib.Path, feature: str, role: int, part: str
) -> pathlib.Path:
  """Returns a feature's file; `part` is train, test or test_2."""
  return root / FILES[feature].format(
    split='train' if part == 'train' else 'test',
    role=_ROLE_PREFIX[role],
    part=part,
    new='_new' if role == accounts_lib.BRAND else '',
  )


def open_part(root: pathlib.Path, part: str) -> Part | None:
  """Opens the arrays of one part.

  Args:
    root: the folder that holds `trainset` and its neighbours.
    part: train, test or test_2.

  Returns:
    The arrays; None where the part has no file at all.

  Raises:
    ReleaseError, BundleError: a file is missing beside its partner, damaged,
      no table, or has an odd or another number of rows.
  """
  paths, arrays = {}, {}
  for feature in FILES:
    brand, influencer = (path_of(root, feature, role, part) for role in (0, 1))
    # A link to nothing is a mistake, not an absent feature.
    found = [os.path.lexists(path) for path in (brand, influencer)]
    if not any(found):
      continue
    for path, partner, there in zip(
      (brand, influencer), (influencer, brand), found, strict=True
    ):
      if not there:
        raise ReleaseError(
          errors.in_file(
            path,
            f'no such file; {partner.name} beside it needs it (a feature is'
            ' left out by leaving out both)',
          )
        )
    paths[feature] = (brand, influencer)
    arrays[feature] = (
      npy_file.load_array(brand),
      npy_file.load_array(influencer),
    )
  first: tuple[pathlib.Path, int] | None = None
  for feature, pair in arrays.items():
    for path, array in zip(paths[feature], pair, strict=True):
      if len(array) % 2:
        raise ReleaseError(
          errors.in_file(
            path,
            f'has {len(array):,} rows, an odd number; every pair takes two',
          )
        )
      first = first or (path, len(array))
      if len(array) != first[1]:
        raise ReleaseError(
          errors.in_file(
            path,
            f'has {len(array):,} rows, {shown(first[0])} has {first[1]:,};'
            ' they must be as many',
          )
        )
  if not arrays:
    return None
  split = 'train' if part == 'train' else 'test'
  return Part(split, paths, arrays, step=2 if part == 'test_2' else 1)


def check_sizes(train: Part, test: Part | None) -> None:
  """Checks that brands, influencers and splits have the same features.

  Args:
    train: the training set.
    test: the test set, if there is one.

  Raises:
    ReleaseError: a feature is in one split only, or has two sizes.
  """
  parts = [p for p in (train, test) if p is not None]
  for feature in FILES:
    size: tuple[pathlib.Path, int] | None = None
    for part in parts:
      if feature not in part.arrays:
        other = next((p for p in parts if feature in p.arrays), None)
        if other is not None:
          raise ReleaseError(
            errors.in_file(
              other.paths[feature][0],
              f'the {part.split} set has no such feature ({feature}); add its'
              ' files or leave out these',
            )
          )
        continue
      for path, array in zip(
        part.paths[feature], part.arrays[feature], strict=True
      ):
        size = size or (path, array.shape[1])
        if array.shape[1] != size[1]:
          raise ReleaseError(
            errors.in_file(
              path,
              f'has {array.shape[1]:,} columns, {shown(size[0])} has'
              f' {size[1]:,}; a feature has one size',
            )
          )


def as_float32(rows: np.ndarray) -> np.ndarray:
  """Copies rows so that equal values have equal bytes: one zero, one NaN."""
  with np.errstate(all='ignore'):
    block = np.array(rows, np.float32, order='C')
  block += np.float32(0)  # -0.0 becomes 0.0
  nan = np.isnan(block)
  if nan.any():
    block[nan] = np.nan
  return block
