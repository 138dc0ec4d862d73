"""Loads a data set through TFDS: prepares a copy where needed, reads it back.

What is loaded is the very `Dataset` that was generated or bundled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import difflib
import io
import os
import pathlib
import sys
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.tfds import builder as builder_lib
from morning_jax.data.tfds import sources


def _check_name(name: str) -> str:
  """Returns the configuration's name of `builder/config`."""
  builder, _, config = name.partition('/')
  known = [c.name for c in builder_lib.BrandMicroInfluencer.BUILDER_CONFIGS]
  if builder != builder_lib.NAME:
    raise errors.UserError(
      f'{name}: unknown data set {builder!r}; known is {builder_lib.NAME}/'
      + f', {builder_lib.NAME}/'.join(known)
    )
  config = config or known[0]
  if config not in known:
    near = difflib.get_close_matches(config, known) or known
    raise errors.UserError(
      f'{name}: {builder_lib.NAME} has no configuration {config!r} (near:'
      f' {", ".join(near)})'
    )
  return config


@contextlib.contextmanager
def _broken_is_users(folder: str | os.PathLike[str]) -> Iterator[None]:
  """Turns what a damaged folder provokes in TFDS into one line."""
  try:
    yield
  except (errors.UserError, MemoryError):
    raise
  except Exception as e:
    why = str(e).strip().split('\n')[0] or type(e).__name__
    raise errors.UserError(
      f'{folder}: the prepared copy is damaged ({why}); remove that folder, and'
      ' it is prepared anew'
    ) from e


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps TFDS off standard output, and its bars to terminals."""
  bars = sys.stderr.isatty()
  if not bars:
    tfds.disable_progress_bar()
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    if not bars:
      tfds.enable_progress_bar()


def load(
  name: str = f'{builder_lib.NAME}/synthetic',
  data_dir: str | os.PathLike[str] | None = None,
  manual_dir: str | os.PathLike[str] | None = None,
) -> accounts_lib.Dataset:
  """Loads a data set through TFDS, preparing it where needed.

  A prepared copy is used only if it was made from the same world, or from a
  bundle whose files are byte for byte those of now; else it is made anew.

  Args:
    name: `brand_micro_influencer/` and `synthetic`, `synthetic_small` or
      `bundle`.
    data_dir: where prepared copies are; by default the environment variable
      `TFDS_DATA_DIR`, or `~/tensorflow_datasets`.
    manual_dir: for `bundle`: the bundle, or the folder that holds it.

  Returns:
    The data set, equal to the generated or bundled one.

  Raises:
    UserError: no such data set, no bundle or a faulty one, or a damaged copy.
  """
  config = _check_name(name)
  folder = None
  if config == 'bundle':
    if manual_dir is None:
      raise errors.UserError(
        f'{name}: needs manual_dir, the bundle or a folder that holds it'
      )
    folder = sources.find_bundle(manual_dir)
  root = os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR)
  where = (
    pathlib.Path(root)
    / builder_lib.NAME
    / config
    / str(builder_lib.BrandMicroInfluencer.VERSION)
  )
  if where.exists() and not (where / 'dataset_info.json').exists():
    raise errors.UserError(
      f'{where}: the prepared copy is damaged (no dataset_info.json); remove'
      ' that folder, and it is prepared anew'
    )
  with _broken_is_users(where):
    builder = builder_lib.BrandMicroInfluencer(data_dir=root, config=config)
  download = tfds.download.DownloadConfig(manual_dir=folder)
  try:
    with _quiet():
      builder.download_and_prepare(download_config=download)
  except OSError as e:
    # Where another process was first, its copy is as good.
    if not (where / 'dataset_info.json').exists():
      raise errors.UserError(
        f'{where}: cannot be written ({e.strerror or e}); name another data_dir'
      ) from e
  with _broken_is_users(where):
    builder = builder_lib.BrandMicroInfluencer(data_dir=root, config=config)
    fingerprint = builder.info.metadata['fingerprint']
  if fingerprint != builder.fingerprint(folder):
    raise errors.UserError(
      f'{where}: another process has just prepared another source there; name'
      ' another data_dir'
    )
  with _broken_is_users(where):
    dataset = _read(builder)
  if folder is not None:  # the folder may have moved since
    dataset = dataclasses.replace(dataset, name=str(folder))
  return dataset


def _read(builder: builder_lib.BrandMicroInfluencer) -> accounts_lib.Dataset:
  """Reads every record of a prepared builder."""
  metadata = builder.info.metadata
  num = metadata['num_accounts']
  records: list[Mapping[str, Any] | None] = [None] * num
  splits = [''] * num
  for split in builder.info.splits:
    source = builder.as_data_source(split)
    for record in source.__getitems__(range(len(source))):
      row = int(record['row'])
      records[row] = record
      splits[row] = split if split in accounts_lib.SPLITS else ''
  accounts: list[Mapping[str, Any]] = [r for r in records if r is not None]
  if len(accounts) < num:
    raise ValueError(f'{num - len(accounts)} of {num} accounts are missing')

  def texts(name: str) -> np.ndarray:
    return np.array([r[name].decode('utf-8') for r in accounts])

  def block(name: str, size: int) -> np.ndarray:
    out = np.empty((num, size), np.float32)
    for row, record in enumerate(accounts):
      out[row] = record[name]
    return out

  def lists(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the row of every entry, and the entries."""
    entries = [r[name] for r in accounts]
    rows = np.repeat(np.arange(num), [len(e) for e in entries])
    return rows, np.concatenate(entries).astype(np.int64)

  has = metadata['columns']
  brand, influencer = lists('positives')
  _, position = lists('positive_positions')
  if not np.array_equal(np.sort(position), np.arange(len(position))):
    raise ValueError('the positives are incomplete')
  positives = np.empty((len(position), 2), np.int64)
  positives[position] = np.stack([brand, influencer], axis=1)
  attributes = None
  if metadata['attributes']:
    holder, held = lists('attributes')
    attributes = accounts_lib.Attributes(
      holder=holder, held=held, **metadata.arrays
    )
  planted_size = metadata['planted_size']
  return accounts_lib.Dataset(
    name=metadata['name'],
    accounts=accounts_lib.Accounts(
      ids=texts('account_id'),
      roles=np.array([r['role'] for r in accounts], np.int8),
      categories=texts('category'),
      splits=np.array(splits),
      found_under=texts('found_under_category')
      if 'found_under' in has
      else None,
      followers=np.array([r['followers'] for r in accounts], np.int64)
      if 'followers' in has
      else None,
      biographies=texts('biography') if 'biographies' in has else None,
    ),
    features={f: block(f, n) for f, n in metadata['feature_sizes'].items()},
    positives_Px2=positives,
    attributes=attributes,
    planted=None if planted_size is None else block('planted', planted_size),
    notes=tuple(metadata['notes']),
  )
