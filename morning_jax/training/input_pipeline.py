"""Where a run's steps get their accounts from: `config.data.placement`.

'device' keeps the table of all accounts on device, 'stream' on disk. Which it
is changes where the numbers lie and not the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import pathlib

from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import multihost
from morning_jax.data import pipeline
from morning_jax.data import splits
from morning_jax.data import transforms
from morning_jax.data.records import store
from morning_jax.data.records import stream
from morning_jax.training import sampler

_DEVICE, _STREAM = 'device', 'stream'


def check(config: ml_collections.ConfigDict) -> None:
  """Checks the fields that say where accounts lie.

  Raises:
    UserError: names the field and what would be right, or JAX is set up so
      that the host can't tell who is in a batch.
  """
  data = config.data
  if data.placement not in (_DEVICE, _STREAM):
    raise errors.UserError(
      f'config.data.placement={data.placement!r} is neither {_DEVICE} nor'
      f' {_STREAM}'
    )
  for field in ('stream_mib', 'stream_threads'):
    if data[field] < 1:
      raise errors.UserError(
        f'config.data.{field}={data[field]} must be at least 1'
      )
  if data.placement == _STREAM:
    sampler.host_device()


def open_table(
  config: ml_collections.ConfigDict,
  dataset: accounts_lib.Dataset,
  data_fingerprint: str,
  *,
  kinds: Mapping[str, str],
  fitted: Mapping[str, transforms.Fitted],
  attribute_names: list[str],
  workdir: pathlib.Path,
) -> accounts_lib.AccountTable | store.AccountRecords:
  """Collects the accounts, or opens them on disk.

  Where they are to be on disk and are not yet, they are written first.

  Args:
    config: the whole configuration.
    dataset: the data set.
    data_fingerprint: of the data set.
    kinds: feature -> kind of transform.
    fitted: what was fitted to the training accounts.
    attribute_names: of the model's attributes, in order.
    workdir: where they go if the configuration names no folder.

  Returns:
    The transformed features of all accounts.

  Raises:
    UserError: they can't be written, or are damaged.
  """
  if config.data.placement == _DEVICE:
    return pipeline.account_table(
      dataset, kinds, fitted, attribute_names=attribute_names
    )
  place = pathlib.Path(config.data.stream_dir or workdir / 'stream').resolve()
  made_from = store.fingerprint(
    data_fingerprint, kinds, fitted, attribute_names
  )

  def write() -> None:
    store.write(
      place,
      made_from,
      pipeline.account_rows(
        dataset, kinds, fitted, attribute_names=attribute_names
      ),
      len(dataset.accounts),
    )

  if multihost.is_first():
    write()
  multihost.wait_for_all('accounts written')
  # Where the place is no shared one, every host writes its own.
  write()
  return store.AccountRecords(place, made_from)


def steps_per_dispatch(
  config: ml_collections.ConfigDict, table: accounts_lib.Rows, period: int
) -> int:
  """Divides the steps between two evaluations into dispatches.

  Each length is another program to compile, so some more dispatches than needed
  are taken where that makes all equal; else the last of a period is shorter.

  Args:
    config: the whole configuration.
    table: what `open_table` returned.
    period: steps from one evaluation to the next.

  Returns:
    The steps of a dispatch.
  """
  most = config.train.steps_per_call
  if isinstance(table, store.AccountRecords):
    drawn = config.train.negatives if config.loss.kind == 'triplet' else 0
    fitting = stream.steps_that_fit(
      table.row_bytes,
      config.train.batch_size * (2 + drawn),
      mebibytes=config.data.stream_mib,
    )
    most = min(most, fitting)
  fewest = -(-period // most)
  equal = (n for n in range(fewest, 2 * fewest) if period % n == 0)
  return -(-period // next(equal, fewest))


def open_stream(
  config: ml_collections.ConfigDict,
  table: accounts_lib.Rows,
  split: splits.Split,
  mesh: Mesh,
  *,
  steps_per_epoch: int,
  num_steps: int,
  next_stop: Callable[[int], int],
) -> stream.Stream | None:
  """Prepares to load batches ahead of the device.

  Args:
    config: the whole configuration.
    table: what `open_table` returned.
    split: what is trained on.
    mesh: the mesh.
    steps_per_epoch: steps of one epoch.
    num_steps: steps of the run.
    next_stop: where the dispatch that starts at a step ends.

  Returns:
    The stream; None where the accounts lie on device.
  """
  if not isinstance(table, store.AccountRecords):
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
    table,
    mesh,
    rows_of=rows_of,
    next_stop=next_stop,
    num_steps=num_steps,
    threads=config.data.stream_threads,
  )
