"""Runs measurements, several at a time.

Each worker is a process with a single thread of computation: two trainings
side by side on two cores are faster than one on both, and their numbers do not
depend on how many cores there are.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
import contextlib
import dataclasses
import os
import time
from typing import Any

import jax
import ml_collections

from morning_jax.comparison import measurement
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import pool
from morning_jax.evaluation import metrics as metrics_lib

_ONE_THREAD: Mapping[str, str] = {
  'NPROC': '1',  # of XLA
  'OMP_NUM_THREADS': '1',
  'OPENBLAS_NUM_THREADS': '1',
  'MKL_NUM_THREADS': '1',
}


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What became of a trial.

  Attributes:
    measured: what each held-out brand adds to the metrics, after each of the
      trial's epochs; or why there is no result.
    seconds: that it took.
  """

  measured: list[metrics_lib.BrandStatistics] | measurement.Failure
  seconds: float


def environment(jobs: int) -> Mapping[str, str]:
  """Returns the variables that are set where is measured."""
  return _ONE_THREAD if jobs else {}


def _timed(
  trial: measurement.Trial,
  dataset: accounts_lib.Dataset,
  recipes: Mapping[str, ml_collections.ConfigDict],
) -> Outcome:
  start = time.monotonic()
  measured = measurement.measure(trial, dataset, recipes)
  return Outcome(measured, time.monotonic() - start)


def _in_worker(
  trial: measurement.Trial,
  dataset: accounts_lib.Dataset,
  recipes: Mapping[str, Mapping[str, Any]],
) -> Outcome:
  configs = {k: ml_collections.ConfigDict(v) for k, v in recipes.items()}
  return _timed(trial, dataset, configs)


def default_jobs() -> int:
  """Returns a worker per core; none where an accelerator does the work."""
  if jax.default_backend() != 'cpu':
    return 0
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def run(
  trials: Sequence[measurement.Trial],
  dataset: accounts_lib.Dataset,
  recipes: Mapping[str, ml_collections.ConfigDict],
  *,
  jobs: int,
) -> Generator[tuple[measurement.Trial, Outcome], None, None]:
  """Measures trials and yields each as it is finished.

  Args:
    trials: what to measure.
    dataset: the data set as it is stored.
    recipes: variant -> configuration.
    jobs: number of workers; 0 measures in this process.

  Yields:
    A trial, and what became of it. Closing the iterator ends the workers at
    once.

  Raises:
    UserError: a worker died, or could not be started.
  """
  if not jobs:
    for trial in trials:
      yield trial, _timed(trial, dataset, recipes)
    return
  plain = {k: v.to_dict() for k, v in recipes.items()}
  with contextlib.closing(
    pool.run(
      _in_worker,
      trials,
      (dataset, plain),
      jobs=jobs,
      environment=environment(jobs),
    )
  ) as outcomes:
    try:
      yield from outcomes
    except pool.WorkerDied:
      raise errors.UserError(
        f'--jobs={jobs}: a worker died, perhaps for lack of memory; finished'
        ' results are stored: run the same command with fewer jobs'
      ) from None
