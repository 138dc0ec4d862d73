"""Writes a data set as a bundle whose features are ArrayRecord files.

That is the form for data that is larger than memory: no step of writing or
reading it holds more than a block of features (docs/how-to/large-data.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
import pathlib
import shutil
from typing import Any

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data import dataset as dataset_lib
from morning_jax.data.bundle import bundle
from morning_jax.data.bundle import layout
from morning_jax.data.bundle import writing
from morning_jax.data.records import bundle_features
from morning_jax.data.records import row_files

FITTED = 'fitted'  # what launch.prepare learned; it moves along


def pack(
  dataset: accounts_lib.Dataset,
  path: str | os.PathLike[str],
  *,
  file_bytes: int = row_files.FILE_BYTES,
  write_fitted: Callable[[pathlib.Path], None] | None = None,
) -> None:
  """Writes a data set as a bundle of ArrayRecord files, whole or not at all.

  Features are read twice, some 64 MiB at a time: to fingerprint and to write
  them; what was written is read back once and compared.

  Args:
    dataset: what to write, in memory, mapped from files, or stored.
    path: the folder to make; it may exist if it is empty.
    file_bytes: of a file, about.
    write_fitted: makes the folder of what `launch.prepare` learned; that of the
      data set's own folder is copied, if there is one, without.

  Raises:
    BundleError: the folder exists and is not empty, or the data set has no
      features, or is none that a bundle can hold.
    UserError: it can't be written.
  """
  folder = pathlib.Path(path)
  bundle.check_new(folder)
  if not dataset.features:
    raise layout.BundleError(
      errors.in_file(
        dataset.name, 'has no features, so there is nothing to put in records'
      )
    )
  try:
    files.remove_abandoned(folder.parent)
    with files.new_folder(folder) as draft:
      writing.write_tables(dataset, draft)
      if write_fitted is not None:
        write_fitted(draft / FITTED)
      else:
        _copy_fitted(dataset, draft)
      bundle_features.write(
        draft,
        _columns(dataset),
        accounts=writing.digest_of_accounts(dataset.accounts),
        tables=dataset_lib.fingerprint_of_tables(dataset),
        fingerprint=dataset_lib.fingerprint(dataset),
        file_bytes=file_bytes,
      )
      with writing.explained(folder, draft):
        read = bundle.read_bundle(draft)
        assert isinstance(read.features, bundle_features.StoredFeatures)
        read.features.check()
        writing.check_same(dataset, read, features=False)
      files.sync_tree(draft)
  except (OSError, RuntimeError) as e:
    reason = getattr(e, 'strerror', None) or ' '.join(str(e).split())
    raise errors.UserError(
      errors.in_file(folder, f'cannot be written ({reason[:80]})')
    ) from e


def check(path: str | os.PathLike[str]) -> int:
  """Reads all records of a bundle and compares them with its index.

  Args:
    path: the bundle's folder.

  Returns:
    How many accounts it has.

  Raises:
    BundleError: it is none, or has no records.
    UserError: a record is damaged.
  """
  dataset = bundle.read_bundle(path)
  if not isinstance(dataset.features, bundle_features.StoredFeatures):
    raise layout.BundleError(
      errors.in_file(path, f'has arrays and no {layout.RECORDS}')
    )
  dataset.features.check()
  return len(dataset.accounts)


def _columns(dataset: accounts_lib.Dataset) -> Mapping[str, Any]:
  """Returns what becomes columns of records, in the order of `FEATURES`."""
  columns = {f: dataset.features[f] for f in dataset.feature_sizes}
  if dataset.planted is not None:
    columns[bundle_features.PLANTED] = dataset.planted
  return columns


def _copy_fitted(dataset: accounts_lib.Dataset, draft: pathlib.Path) -> None:
  source = pathlib.Path(dataset.name) / FITTED
  if source.is_dir():
    shutil.copytree(source, draft / FITTED)
