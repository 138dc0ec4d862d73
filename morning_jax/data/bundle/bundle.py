"""The bundle: the on-disk form of a data set (SPEC section 9).

`read_bundle` validates everything before it returns, so that whatever it
returns can be trained on; every mistake ends in one line with file and row.
`write_bundle` writes what `read_bundle` gives back.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib
from typing import Any

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.bundle import accounts as bundle_accounts
from morning_jax.data.bundle import arrays
from morning_jax.data.bundle import attributes as bundle_attributes
from morning_jax.data.bundle import audience as bundle_audience
from morning_jax.data.bundle import feature_names
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import writing


def read_bundle(
  path: str | os.PathLike[str], *, mapped: bool = False
) -> accounts_lib.Dataset:
  """Reads and validates a bundle, of arrays or of ArrayRecord files.

  Features in ArrayRecord files are opened and not read (`feature_rows.Stored`).

  Args:
    path: the bundle's folder.
    mapped: whether arrays of other types than float32 stay on disk too.

  Returns:
    The data set; its `notes` say what was merged, left out or absent.

  Raises:
    BundleError: anything is wrong with it; nothing was written.
  """
  folder = pathlib.Path(path)
  check_folder(folder)
  notes: list[str] = []
  accounts = bundle_accounts.read_accounts(folder)
  positives = bundle_accounts.read_interactions(folder, accounts, notes)
  features, planted = _read_features(folder, accounts, mapped=mapped)
  attributes = bundle_attributes.read_attributes(folder, accounts, notes)
  if not features and attributes is None:
    raise layout.BundleError(
      errors.in_file(
        folder,
        'no feature file; at least one of'
        f' {", ".join(f + ".npy" for f in accounts_lib.FEATURES)} is needed',
      )
    )
  return accounts_lib.Dataset(
    name=str(folder),
    accounts=accounts,
    features=features,
    positives_Px2=positives,
    attributes=attributes,
    feature_names=feature_names.read_feature_names(folder, features),
    audience=bundle_audience.read_audience(folder, accounts, notes),
    planted=planted,
    notes=tuple(notes),
  )


def _read_features(
  folder: pathlib.Path, accounts: accounts_lib.Accounts, *, mapped: bool
) -> tuple[Mapping[str, Any], Any]:
  """Reads the features that a bundle has, and the planted interests."""
  # A link to nothing is a mistake, not an absent feature.
  found = [
    name
    for name in (*(f'{f}.npy' for f in accounts_lib.FEATURES), layout.PLANTED)
    if os.path.lexists(folder / name)
  ]
  if os.path.lexists(folder / layout.RECORDS):
    if found:
      raise layout.BundleError(
        errors.in_file(
          folder / found[0],
          f'stands beside {layout.RECORDS}; a bundle has arrays or records, not'
          ' both',
        )
      )
    return _open_records(folder, accounts)
  arrays_of = {
    name.removesuffix('.npy'): arrays.read_feature(
      folder / name,
      accounts,
      topics=name.removesuffix('.npy') in accounts_lib.TOPIC_FEATURES,
      mapped=mapped,
    )
    for name in found
  }
  planted = arrays_of.pop(layout.PLANTED.removesuffix('.npy'), None)
  return arrays_of, planted


def _open_records(
  folder: pathlib.Path, accounts: accounts_lib.Accounts
) -> tuple[Mapping[str, Any], Any]:
  # ArrayRecord and JAX take half a second to import.
  from morning_jax.data.records import bundle_features

  try:
    stored = bundle_features.StoredFeatures(folder)
  except errors.UserError as e:
    raise layout.BundleError(str(e)) from None
  if stored.accounts != writing.digest_of_accounts(accounts):
    raise layout.BundleError(
      errors.in_file(
        folder / layout.ACCOUNTS,
        f'names other accounts than {layout.RECORDS} was written for, or in'
        ' another order; write the bundle again (launch.records)',
      )
    )
  return stored, stored.planted


def check_folder(folder: pathlib.Path) -> None:
  """Checks that a folder has the two tables that every bundle needs.

  Raises:
    BundleError: it has not, or is no folder that can be read.
  """
  try:
    names = os.listdir(folder)
  except FileNotFoundError:
    problem = 'no such folder; a bundle is a folder'
  except NotADirectoryError:
    problem = 'is not a folder; a bundle is a folder'
  except (OSError, ValueError) as e:
    problem = getattr(e, 'strerror', None) or str(e)
  else:
    for name in (layout.ACCOUNTS, layout.INTERACTIONS):
      if name not in names:
        raise layout.BundleError(
          errors.in_file(folder / name, 'no such file; a bundle needs it')
        )
    return
  raise layout.BundleError(errors.in_file(folder, problem))


def check_new(path: str | os.PathLike[str]) -> None:
  """Checks that a bundle can be made at a place.

  Args:
    path: the folder to make; it may exist if it is empty.

  Raises:
    BundleError: something is there already.
  """
  folder = pathlib.Path(path)
  if os.path.lexists(folder) and (
    folder.is_symlink() or not folder.is_dir() or any(folder.iterdir())
  ):
    raise layout.BundleError(
      errors.in_file(folder, 'exists already; name a new folder')
    )


def write_bundle(
  dataset: accounts_lib.Dataset, path: str | os.PathLike[str]
) -> None:
  """Writes a data set as a bundle; the folder appears complete or not at all.

  What was written is read back and compared first.

  Args:
    dataset: what to write.
    path: the folder to make; it may exist if it is empty.

  Raises:
    BundleError: the folder exists and is not empty, or the data set is none
      that a bundle can hold, such as a fold, whose other brands have no split.
  """
  folder = pathlib.Path(path)
  check_new(folder)
  with (
    files.new_folder(folder) as draft,
    writing.explained(folder, draft),
  ):
    writing.write_files(dataset, draft)
    writing.check_same(dataset, read_bundle(draft))
