"""Where a run's steps get their accounts from: `config.data.placement`.

'device' keeps the table of all accounts on device, 'stream' on disk. Which it
is changes where the numbers lie and not the numbers.
"""

from __future__ import annotations

import pathlib
from typing import cast

from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import feature_rows
from morning_jax.core import files
from morning_jax.core import input_spec
from morning_jax.core import multihost
from morning_jax.data import preprocessing
from morning_jax.data import splits
from morning_jax.data.records import store
from morning_jax.data.records import stream
from morning_jax.reporting import console
from morning_jax.training import loss_table
from morning_jax.training import sampler
from morning_jax.training import schedule as schedule_lib


def open_table(
  config: ml_collections.ConfigDict,
  spec: input_spec.InputSpec,
  fitted: preprocessing.Fitted,
  dataset: accounts_lib.Dataset,
  *,
  data_fingerprint: str,
  workdir: pathlib.Path,
) -> accounts_lib.Rows:
  """Collects the accounts, or opens them on disk.

  Where they are to be on disk and are not yet, they are written first. Features
  that are on disk already are transformed as they are read, and not written a
  second time.

  Args:
    config: the whole configuration.
    spec: what takes part.
    fitted: what was fitted to the training accounts.
    dataset: the data set.
    data_fingerprint: of the data set.
    workdir: where they go if the configuration names no folder.

  Returns:
    The transformed features of all accounts.

  Raises:
    UserError: they can't be written, or are damaged.
  """
  stored = isinstance(dataset.features, feature_rows.Stored)
  if config.data.placement == 'device':
    if stored:
      console.note(
        f'{dataset.name}: all of its features are read into memory; they stay'
        ' on disk with config.data.placement=stream'
      )
    return preprocessing.account_table(spec, fitted, dataset)
  if stored:
    return preprocessing.account_source(spec, fitted, dataset)
  place = files.real_path(config.data.stream_dir or workdir / 'stream')
  made_from = store.fingerprint(
    data_fingerprint, spec.transforms, fitted, list(spec.attribute_names)
  )

  def write() -> None:
    store.write(
      place,
      made_from,
      preprocessing.account_rows(spec, fitted, dataset),
      len(dataset.accounts),
    )

  if multihost.is_first():
    write()
  multihost.wait_for_all('accounts written')
  # Where the place is no shared one, every host writes its own.
  write()
  return store.AccountRecords(place, made_from)


def most_steps(
  config: ml_collections.ConfigDict, table: accounts_lib.Rows
) -> int:
  """Returns how many steps a dispatch may have.

  Args:
    config: the whole configuration.
    table: what `open_table` returned.
  """
  most: int = config.train.steps_per_call
  if not isinstance(table, accounts_lib.AccountTable):
    drawn = loss_table.negatives(config)
    fitting = stream.steps_that_fit(
      _stored(table).row_bytes,
      config.train.batch_size * (2 + drawn),
      mebibytes=config.data.stream_mib,
    )
    most = min(most, fitting)
  return most


def open_stream(
  config: ml_collections.ConfigDict,
  table: accounts_lib.Rows,
  split: splits.Split,
  mesh: Mesh,
  *,
  steps_per_epoch: int,
  schedule: schedule_lib.Schedule,
) -> stream.Stream | None:
  """Prepares to load batches ahead of the device.

  Args:
    config: the whole configuration.
    table: what `open_table` returned.
    split: what is trained on.
    mesh: the mesh.
    steps_per_epoch: steps of one epoch.
    schedule: where dispatches end.

  Returns:
    The stream; None where the accounts lie on device.
  """
  if isinstance(table, accounts_lib.AccountTable):
    return None
  on_host = sampler.make_on_host(config, split, steps_per_epoch=steps_per_epoch)

  def rows_of(step: int, stop: int) -> stream.Dispatch:
    steps = [on_host(s) for s in range(step, stop)]
    brand_SxP = np.stack([s.brand_P for s in steps])
    return stream.Dispatch(
      brand_SxP=brand_SxP,
      candidate_SxP=np.stack([s.candidate_P for s in steps]),
      brand_row_SxP=split.brand_row_B[brand_SxP],
      influencer_row_SxQ=split.candidate_row_M[
        np.stack([s.influencers for s in steps])
      ],
    )

  return stream.Stream(
    _stored(table),
    mesh,
    rows_of=rows_of,
    next_stop=schedule.next_stop,
    num_steps=schedule.num_steps,
    threads=config.data.stream_threads,
  )


def _stored(table: accounts_lib.Rows) -> accounts_lib.StoredRows:
  """Returns a table that is no AccountTable as what it is then."""
  return cast(accounts_lib.StoredRows, table)
