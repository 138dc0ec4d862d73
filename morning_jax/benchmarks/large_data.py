"""Data larger than memory, from writing to recommending, with its peak memory.

Each stage is a command in a process of its own, as a user would start it, so
that its peak is its own: the kernel's count of resident memory, mapped files
included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

from morning_jax.benchmarks import child_process
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import feature_rows
from morning_jax.core import files
from morning_jax.data import packing

SIZES = {'content_image': 1365, 'audience_image': 1365}
LEAST_ACCOUNTS = 2000
_NOISE_ROWS = 1024  # that are drawn from one seed
_BRANDS = 100  # accounts for each brand
_PARTNERS = 10  # of a brand
_SMALL = 100_000  # accounts that memory holds, to compare the time of a step
_BATCH = 4096
_MODEL = (
  '--config.model.encoder=paper',
  '--config.model.image_widths=128,64',
  '--config.model.text_widths=128,64',
)


class Noise(feature_rows.Stored):
  """Features of noise that are drawn when they are read; each row its own."""

  def __init__(self, accounts: int):
    """Takes the number of accounts."""
    self._accounts = accounts

  @property
  def row_bytes(self) -> int:
    """Bytes of a row, all features together."""
    return 4 * sum(SIZES.values())

  def __getitem__(self, name: str) -> _NoiseColumn:
    return _NoiseColumn(self, name, (self._accounts, SIZES[name]))

  def __iter__(self) -> Iterator[str]:
    return iter(SIZES)

  def __len__(self) -> int:
    return len(SIZES)

  def read(
    self, names: Sequence[str], rows: feature_rows.Rows
  ) -> dict[str, np.ndarray]:
    """Draws rows; see `feature_rows.Stored`."""
    if isinstance(rows, slice):
      rows = np.arange(*rows.indices(self._accounts))
    found = np.empty((len(rows), sum(SIZES.values())), np.float32)
    for seed in np.unique(rows // _NOISE_ROWS).tolist():
      mine = rows // _NOISE_ROWS == seed
      rng = np.random.default_rng(seed)
      drawn = rng.random((_NOISE_ROWS, found.shape[1]), np.float32)
      found[mine] = drawn[rows[mine] % _NOISE_ROWS]
    ends = np.cumsum(list(SIZES.values()))
    where = {n: (e - SIZES[n], e) for n, e in zip(SIZES, ends, strict=True)}
    return {n: found[:, slice(*where[n])] for n in names}

  def present(self, name: str) -> np.ndarray:
    """Returns that everybody has a feature."""
    return np.ones(self._accounts, bool)

  def fingerprint(self, tables: str) -> str:
    """Identifies the data; see `feature_rows.Stored`."""
    return files.digest('noise', SIZES, self._accounts, tables)


class _NoiseColumn:
  """One feature of `Noise`."""

  dtype = np.dtype(np.float32)

  def __init__(self, noise: Noise, name: str, shape: tuple[int, int]):
    self._noise, self._name, self.shape = noise, name, shape

  def __len__(self) -> int:
    return self.shape[0]

  def __getitem__(self, rows: feature_rows.Rows) -> np.ndarray:
    return self._noise.read([self._name], rows)[self._name]


def world(accounts: int) -> accounts_lib.Dataset:
  """Makes a data set of noise whose features are in no memory.

  Args:
    accounts: how many, at least `LEAST_ACCOUNTS`; one of 100 is a brand with 10
      partners, one brand of 100, and one at least, is for validation, and as
      many are for the test.
  """
  brands = accounts // _BRANDS
  influencers = accounts - brands
  rng = np.random.default_rng(0)
  first_B = rng.integers(influencers, size=brands)
  step = influencers // _PARTNERS
  chosen_BxP = (first_B[:, None] + step * np.arange(_PARTNERS)) % influencers
  pairs_Px2 = np.stack(
    [np.repeat(np.arange(brands), _PARTNERS), brands + chosen_BxP.ravel()], 1
  )
  number = np.arange(accounts)
  place = number % max(4, min(_BRANDS, brands // 2))
  split = np.where(place == 0, 'valid', np.where(place == 1, 'test', 'train'))
  return accounts_lib.Dataset(
    name='noise',
    accounts=accounts_lib.Accounts(
      ids=number.astype(str),
      roles=(number >= brands).astype(np.int8),
      categories=np.full(accounts, ''),
      splits=np.where(number < brands, split, ''),
    ),
    features=Noise(accounts),
    positives_Px2=pairs_Px2.astype(np.int64),
  )


def write(folder: str, accounts: int) -> None:
  """Writes a world of noise as a bundle of records."""
  packing.pack(world(accounts), folder)


@dataclasses.dataclass(frozen=True)
class Stage:
  """What a stage took.

  Attributes:
    name: what it did.
    seconds: from its start to its end.
    peak_bytes: most resident memory of its process.
    said: the last lines that it printed.
  """

  name: str
  seconds: float
  peak_bytes: int
  said: str


def run(accounts: int, folder: pathlib.Path) -> Iterator[Stage]:
  """Writes a world, trains, resumes, evaluates and recommends.

  Args:
    accounts: how many.
    folder: where data and runs go; it has the space for them (11 KB an
      account) and nothing of these names.

  Yields:
    A figure for each stage.

  Raises:
    RuntimeError: a command failed.
  """
  data, workdir = folder / 'records', folder / 'run'
  python = [sys.executable]
  module = 'morning_jax.benchmarks.large_data'
  call = f'from {module.rpartition(".")[0]} import large_data as x; x.'
  yield _stage(
    'write', [*python, '-c', f'{call}write({str(data)!r}, {accounts})']
  )
  train = [
    *(*python, '-m', 'launch.train', '--config=configs/morning.py', *_MODEL),
    f'--config.data.bundle={data}',
    '--config.data.placement=stream',
    f'--config.train.batch_size={_batch(accounts)}',
    '--config.evaluation.every_epochs=1',
    '--config.data.stream_mib=128',
    f'--workdir={workdir}',
  ]
  yield _stage('train', [*train, '--config.train.epochs=1'])
  yield _stage('resume', [*train, '--config.train.epochs=2'])
  of_run = f'--workdir={workdir}'
  yield _stage('evaluate', [*python, '-m', 'launch.evaluate', of_run])
  ask = [*python, '-m', 'launch.recommend', of_run, '--brand=1', '--reasons=0']
  yield _stage('recommend', ask)
  yield _stage('recommend again', ask)
  yield _stage('check', [*python, '-m', 'launch.records', f'--check={data}'])
  small = folder / 'small'
  write(str(small), min(accounts, _SMALL))
  for name, bundle, placement in (
    ('step, in memory', small, 'device'),
    ('step, from disk', data, 'stream'),
  ):
    arguments = str(bundle), placement, _batch(min(accounts, _SMALL))
    yield _stage(name, [*python, '-c', f'{call}time_steps{arguments!r}'])


def _batch(accounts: int) -> int:
  """Returns positives of a batch, in an epoch of some batches at least."""
  return min(_BATCH, accounts // _BRANDS * _PARTNERS // 4)


def _stage(name: str, command: Sequence[str]) -> Stage:
  began = time.monotonic()
  with subprocess.Popen(
    command,
    env=child_process.variables({}),
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  ) as process:
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    raise RuntimeError(f'{name} failed: {said[-2000:]}')
  kilo = 1 if sys.platform == 'darwin' else 1024
  return Stage(
    name=name,
    seconds=time.monotonic() - began,
    peak_bytes=usage.ru_maxrss * kilo,
    said=said[-4000:],
  )


def time_steps(bundle: str, placement: str, batch_size: int) -> None:
  """Prints the seconds of a step, and of reading its rows alone.

  Args:
    bundle: of records.
    placement: 'device' or 'stream'.
    batch_size: positives of a batch.
  """
  # All of training; the stages above do not need it.
  from morning_jax.benchmarks import large_data_steps

  print(large_data_steps.measure(bundle, placement, batch_size))
