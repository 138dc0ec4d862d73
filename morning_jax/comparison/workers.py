"""Runs measurements, several at a time, and keeps what is finished.

Each worker is a process with a single thread of computation: two trainings
side by side on two cores are faster than one on both, and their numbers do not
depend on how many cores there are.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
import contextlib
import dataclasses
import hashlib
from importlib import metadata
import json
import os
import pathlib

import jax
import ml_collections

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import pool
from morning_jax.comparison import results
from morning_jax.comparison.methods import table as table_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.evaluation import metrics as metrics_lib

_ONE_THREAD = {
  'NPROC': '1',  # of XLA
  'OMP_NUM_THREADS': '1',
  'OPENBLAS_NUM_THREADS': '1',
  'MKL_NUM_THREADS': '1',
}
_FOLDER = 'parts'


@dataclasses.dataclass(frozen=True)
class Unit:
  """One training and its measurement.

  Attributes:
    method: key of the method.
    place: fold, seed and share of the training brands.
    epochs: after which epochs to measure; empty for the last one.
  """

  method: str
  place: folds_lib.Place
  epochs: tuple[int, ...] = ()

  @property
  def file(self) -> pathlib.PurePosixPath:
    """Where its result is kept, below the working folder."""
    place = self.place
    name = f'seed-{place.seed}-fold-{place.fold + 1}-of-{place.folds}'
    if place.share < 1:
      name += f'-share-{100 * place.share:g}'
    if self.epochs:
      name += '-epochs'
    return pathlib.PurePosixPath(_FOLDER, self.method, f'{name}.json')


@dataclasses.dataclass(frozen=True)
class Failure:
  """Why a unit has no result.

  Attributes:
    reason: what the data lacks, or what went wrong.
    diverged: whether the training ran, and lost its numbers.
  """

  reason: str
  diverged: bool = False


def measure(
  unit: Unit,
  dataset: accounts_lib.Dataset,
  recipes: Mapping[str, ml_collections.ConfigDict],
) -> list[metrics_lib.BrandStatistics] | Failure:
  """Trains and measures one unit.

  Args:
    unit: what to measure.
    dataset: the data set as it is stored.
    recipes: variant -> configuration.

  Returns:
    What each held-out brand adds to the metrics, after each of the epochs; or
    why the method can't be measured on the data.
  """
  method = table_lib.table(recipes)[unit.method]
  try:
    scores = method.score(folds_lib.make_task(dataset, unit.place), unit.epochs)
    return [folds_lib.judge(dataset, unit.place, s) for s in scores]
  except FloatingPointError as e:  # DivergedError is one
    return Failure(str(e), diverged=True)
  except errors.UserError as e:
    return Failure(str(e))


def _measure_in_worker(
  unit: Unit, dataset: accounts_lib.Dataset, recipes: Mapping[str, str]
) -> list[metrics_lib.BrandStatistics] | Failure:
  read = {
    k: ml_collections.ConfigDict(json.loads(v)) for k, v in recipes.items()
  }
  return measure(unit, dataset, read)


def default_jobs() -> int:
  """Returns a worker per core; none where an accelerator does the work."""
  if jax.default_backend() != 'cpu':
    return 0
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def run(
  units: Sequence[Unit],
  dataset: accounts_lib.Dataset,
  recipes: Mapping[str, ml_collections.ConfigDict],
  *,
  jobs: int,
) -> Generator[
  tuple[Unit, list[metrics_lib.BrandStatistics] | Failure], None, None
]:
  """Measures units and yields each as it is finished.

  Args:
    units: what to measure.
    dataset: the data set as it is stored.
    recipes: variant -> configuration.
    jobs: number of workers; 0 measures in this process.

  Yields:
    A unit, and what was measured or why that is not possible. Closing the
    iterator ends the workers at once.

  Raises:
    UserError: a worker died.
  """
  if not jobs:
    for unit in units:
      yield unit, measure(unit, dataset, recipes)
    return
  plain = {k: v.to_json() for k, v in recipes.items()}
  with contextlib.closing(
    pool.run(
      _measure_in_worker,
      units,
      (dataset, plain),
      jobs=jobs,
      environment=_ONE_THREAD,
    )
  ) as outcomes:
    try:
      yield from outcomes
    except pool.WorkerDied:
      raise errors.UserError(
        f'--jobs={jobs}: a worker died, perhaps for want of memory; what is'
        ' finished is kept: run the same command with fewer jobs'
      ) from None


# Modules that no measurement depends on.
_NOT_MEASURING = (
  'comparison/compare.py',
  'comparison/curves.py',
  'comparison/plots.py',
  'comparison/protocol.py',
  'comparison/report.py',
  'comparison/statistics.py',
  'comparison/tables.py',
)


# Distributions whose version can change a result's bits.
_LIBRARIES = (
  'flax',
  'jax',
  'jaxlib',
  'lightgbm',
  'numpy',
  'optax',
  'scipy',
)


def _version(library: str) -> str:
  try:
    return metadata.version(library)
  except metadata.PackageNotFoundError:
    return 'absent'


def source_fingerprint(*, in_workers: bool) -> str:
  """Returns a SHA-256 of what measures: software, libraries and device.

  Args:
    in_workers: whether workers of a single thread measure, or this process
      with all of its threads, whose sums may be in another order.

  Returns:
    The digest in hexadecimal.
  """
  parts = [f'{name} {_version(name)}' for name in _LIBRARIES]
  parts += [jax.default_backend(), jax.devices()[0].device_kind]
  parts.append('one thread' if in_workers else 'all threads')
  digest = hashlib.sha256('\n'.join(parts).encode())
  root = pathlib.Path(__file__).resolve().parent.parent
  for path in sorted(root.rglob('*.py')):
    name = path.relative_to(root).as_posix()
    if name not in _NOT_MEASURING:
      digest.update(name.encode() + path.read_bytes())
  return digest.hexdigest()


class Kept:
  """Results of finished units in the working folder."""

  def __init__(self, workdir: pathlib.Path, *fingerprints: str):
    """Opens the results.

    Args:
      workdir: the working folder.
      *fingerprints: of everything that results depend on beside the unit.
    """
    self._workdir = workdir
    self._fingerprints = fingerprints

  def folder(self, method: table_lib.Method) -> pathlib.Path:
    """Returns where a method's results are kept."""
    return self._workdir / _FOLDER / method.key

  def _fingerprint(self, unit: Unit, method: table_lib.Method) -> str:
    recipe = method.recipe
    parts = [
      *self._fingerprints,
      json.dumps(dataclasses.asdict(unit), sort_keys=True),
      '' if recipe is None else recipe.to_json(sort_keys=True),
    ]
    return hashlib.sha256('\n'.join(parts).encode()).hexdigest()

  def read(
    self, unit: Unit, method: table_lib.Method
  ) -> list[metrics_lib.BrandStatistics] | None:
    """Returns a unit's result; None where it is absent, damaged or stale."""
    try:
      text = (self._workdir / unit.file).read_text('utf-8')
      stored = json.loads(text)
      if stored['fingerprint'] != self._fingerprint(unit, method):
        return None
      return [results.from_json(s) for s in stored['statistics']]
    except (OSError, ValueError, KeyError, TypeError):
      return None

  def write(
    self,
    unit: Unit,
    method: table_lib.Method,
    statistics: list[metrics_lib.BrandStatistics],
  ) -> None:
    """Keeps a unit's result; the file appears whole or not at all."""
    path = self._workdir / unit.file
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + '.draft')
    stored = {
      'fingerprint': self._fingerprint(unit, method),
      'statistics': [results.to_json(s) for s in statistics],
    }
    draft.write_text(json.dumps(stored) + '\n', encoding='utf-8')
    draft.replace(path)
