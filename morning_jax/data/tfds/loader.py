"""Loads a data set through TFDS: prepares a copy where needed, reads it back.

What is loaded is the very `Dataset` that was generated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
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


def _check_name(name: str) -> str:
  """Returns the configuration's name of `builder/config`."""
  builder, _, config = name.partition('/')
  known = [c.name for c in builder_lib.BrandMicroInfluencer.BUILDER_CONFIGS]
  if builder != builder_lib.NAME:
    raise errors.UserError(
      f'{errors.quoted(name)}: no such data set; known are {builder_lib.NAME}/'
      + f' and {builder_lib.NAME}/'.join(known)
    )
  config = config or known[0]
  if config not in known:
    near = difflib.get_close_matches(config, known) or known
    raise errors.UserError(
      f'{errors.quoted(name)}: no such configuration of {builder_lib.NAME}'
      f' (near: {", ".join(near)})'
    )
  return config


def _damaged(folder: pathlib.Path, why: str) -> errors.UserError:
  return errors.UserError(
    errors.in_file(
      folder,
      f'the prepared copy is damaged ({why[:80]}); remove that folder to have'
      ' it prepared again',
    )
  )


@contextlib.contextmanager
def _damage_is_reported(folder: pathlib.Path) -> Iterator[None]:
  """Turns whatever a damaged folder raises in TFDS into one line."""
  try:
    yield
  except (errors.UserError, MemoryError):
    raise
  except Exception as e:
    why = str(e).strip().split('\n')[0] or type(e).__name__
    raise _damaged(folder, why) from e


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


def _reason(error: Exception) -> str:
  """Returns why a copy can't be written, in one line."""
  text = getattr(error, 'strerror', None) or str(error)
  return ' '.join(text.split())[:120]


def load(
  name: str = f'{builder_lib.NAME}/synthetic',
  data_dir: str | os.PathLike[str] | None = None,
) -> accounts_lib.Dataset:
  """Loads a data set through TFDS, preparing it where needed.

  A prepared copy is used only if it was made from the same world by the same
  generator; otherwise it is prepared again.

  Args:
    name: `brand_micro_influencer/synthetic` or `.../synthetic_small`.
    data_dir: where prepared copies are; by default the environment variable
      `TFDS_DATA_DIR`, or `~/tensorflow_datasets`.

  Returns:
    The data set, equal to the generated one.

  Raises:
    UserError: no such data set, a place that can't be written, or a damaged
      copy.
  """
  config = _check_name(name)
  root = os.path.expanduser(data_dir or tfds.core.constants.DATA_DIR)
  where = (
    pathlib.Path(root)
    / builder_lib.NAME
    / config
    / str(builder_lib.BrandMicroInfluencer.VERSION)
  )
  if where.exists() and not (where / 'dataset_info.json').exists():
    raise _damaged(where, 'no dataset_info.json')
  with _damage_is_reported(where):
    builder = builder_lib.BrandMicroInfluencer(data_dir=root, config=config)
  try:
    with _quiet():
      builder.download_and_prepare()
  except (OSError, RuntimeError) as e:  # its writers raise both
    # If another process was first, its copy is as good.
    if not (where / 'dataset_info.json').exists():
      raise errors.UserError(
        errors.in_file(
          where, f'cannot be written ({_reason(e)}); name another data_dir'
        )
      ) from e
  with _damage_is_reported(where):
    builder = builder_lib.BrandMicroInfluencer(data_dir=root, config=config)
    if not builder.is_current():
      raise errors.UserError(
        errors.in_file(
          where,
          'another process has just prepared another world there; name another'
          ' data_dir',
        )
      )
    return _read(builder)


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

  def lists(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the row of every entry, and the entries."""
    entries = [r[name] for r in accounts]
    rows = np.repeat(np.arange(num), [len(e) for e in entries])
    return rows, np.concatenate(entries).astype(np.int64)

  brand, influencer = lists('positives')
  _, position = lists('positive_positions')
  if not np.array_equal(np.sort(position), np.arange(len(position))):
    raise ValueError('the positives are incomplete')
  positives = np.empty((len(position), 2), np.int64)
  positives[position] = np.stack([brand, influencer], axis=1)
  holder, held = lists('attributes')
  return accounts_lib.Dataset(
    name=metadata['name'],
    accounts=accounts_lib.Accounts(
      ids=texts('account_id'),
      roles=np.array([r['role'] for r in accounts], np.int8),
      categories=texts('category'),
      splits=np.array(splits),
      found_under=texts('found_under_category'),
      followers=np.array([r['followers'] for r in accounts], np.int64),
      biographies=texts('biography'),
    ),
    features={
      f: np.stack([r[f] for r in accounts]) for f in accounts_lib.FEATURES
    },
    positives_Px2=positives,
    attributes=accounts_lib.Attributes(
      names_V=np.array(metadata['attribute_names']),
      ids_V=np.array(metadata['attribute_ids']),
      holder=holder,
      held=held,
    ),
    feature_names={
      feature: tuple(names)
      for feature, names in metadata['feature_names'].items()
    },
    planted=np.stack([r['planted'] for r in accounts]),
  )
