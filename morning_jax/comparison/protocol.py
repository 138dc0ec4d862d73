"""A comparison: which trials it takes, and what they measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
import contextlib
import pathlib

import ml_collections

from morning_jax.comparison import cohorts as cohorts_lib
from morning_jax.comparison import curves as curves_lib
from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import measurement
from morning_jax.comparison import options as options_lib
from morning_jax.comparison import plots
from morning_jax.comparison import result_store
from morning_jax.comparison import results
from morning_jax.comparison import time_left
from morning_jax.comparison import workers
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import registry
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.reporting import console

_MOST_TRIALS = 100_000


class Comparison:
  """Everything that the steps of a comparison share."""

  def __init__(
    self,
    dataset: accounts_lib.Dataset,
    recipes: Mapping[str, ml_collections.ConfigDict],
    options: options_lib.Options,
    workdir: pathlib.Path,
  ):
    """Checks the options with the data.

    Args:
      dataset: the data set as it is stored.
      recipes: variant of configs/morning.py -> configuration.
      options: what to compare.
      workdir: where results are stored.

    Raises:
      UserError: an option can't be used.
    """
    if options.curves:
      plots.check_installed()
    folds_lib.check_folds(dataset, options.folds)
    self.cohorts = [cohorts_lib.of_training_brands(dataset, options.folds)]
    if options.split == 'test':
      self.cohorts.append(cohorts_lib.of_test_brands(dataset))
    self.dataset, self.recipes, self.options = dataset, recipes, options
    self.workdir = workdir
    self.jobs = workers.default_jobs() if options.jobs is None else options.jobs
    self.methods, self.left_out = registry.choose(
      registry.table(recipes), options.methods, dataset
    )
    self._check_size()
    self.shares: tuple[float, ...] = ()
    if 'brands' in options.curves:
      self.shares, notes = curves_lib.usable_shares(dataset, options.folds)
      self.left_out += notes
    self.data_fingerprint = dataset_lib.fingerprint(dataset)
    self.store = result_store.ResultStore(
      workdir,
      self.data_fingerprint,
      measurement.source_digest(workers.environment(self.jobs)),
    )
    self.measured: dict[
      measurement.Trial, list[metrics_lib.BrandStatistics]
    ] = {}

  def _check_size(self) -> None:
    """Checks that the trials are not too many.

    Raises:
      UserError: they are.
    """
    options = self.options
    folds = sum(cohort.folds for cohort in self.cohorts)
    trials = folds * sum(map(self.repetitions, self.methods))
    if trials > _MOST_TRIALS:
      raise errors.UserError(
        f'--seeds={options.seeds}: {folds} folds of'
        f' {len(self.methods)} methods take {trials:,} trainings, more than'
        f' {_MOST_TRIALS:,}; takes fewer repetitions, folds or methods'
      )

  def repetitions(self, method: interface.Method) -> int:
    """Returns how often a method is repeated."""
    seeds = self.options.seeds
    return min(seeds, self.options.costly_seeds) if method.costly else seeds

  def trials(
    self, method: interface.Method, cohort: cohorts_lib.Cohort
  ) -> list[measurement.Trial]:
    """Lists a method's trials of a cohort's table."""
    return [
      measurement.Trial(method.key, spec)
      for spec in cohort.specs(self.repetitions(method))
    ]

  def measure(self) -> None:
    """Measures everything that is not stored already.

    Raises:
      UserError: a method that was asked for can't be measured, or none can.
    """
    by_key = {m.key: m for m in self.methods}
    in_table = [
      t for c in self.cohorts for m in self.methods for t in self.trials(m, c)
    ]
    wanted = dict.fromkeys(
      in_table
      + curves_lib.trials(
        self.options.curves, self.methods, self.options.folds, self.shares
      )
    )
    left = []
    for trial in wanted:
      found = self.store.read(trial, by_key[trial.method])
      if found is None:
        left.append(trial)
      else:
        self.measured[trial] = found
    if self.measured:
      console.say(
        f'{len(self.measured)} of {len(wanted)} results were found in'
        f' {self.workdir}'
      )
    failures = self._measure(left, set(in_table))
    self._leave_out(failures, set(in_table))

  def _measure(
    self, trials: Sequence[measurement.Trial], in_table: Set[measurement.Trial]
  ) -> dict[measurement.Trial, measurement.Failure]:
    """Measures trials and stores each; returns those that failed.

    Raises:
      UserError: a method that was asked for can't be measured on the data.
    """
    by_key = {m.key: m for m in self.methods}
    estimate = time_left.TimeLeft(
      {k: m.cost for k, m in by_key.items()}, trials
    )
    # The long ones first, so that no core is idle at the end.
    ordered = sorted(trials, key=estimate.cost, reverse=True)
    failures = {}
    with (
      console.Progress(
        total=_tenths(estimate.seconds), unit='of work', title='comparing'
      ) as bar,
      contextlib.closing(
        workers.run(ordered, self.dataset, self.recipes, jobs=self.jobs)
      ) as outcomes,
    ):
      for trial, outcome in outcomes:
        method, measured = by_key[trial.method], outcome.measured
        if not isinstance(measured, measurement.Failure):
          self.measured[trial] = measured
          self.store.write(trial, method, measured)
        elif (
          trial in in_table
          and self.options.methods is not None
          and not measured.diverged
        ):
          raise errors.UserError(f'--methods={method.key}: {measured.reason}')
        else:
          failures[trial] = measured
        estimate.finish(trial, outcome.seconds)
        bar.advance(
          _tenths(outcome.seconds),
          left=_tenths(estimate.seconds),
          method=method.name,
          repetition=f'{trial.fold.seed + 1}/{self.options.seeds}',
          fold=f'{trial.fold.index + 1}/{trial.fold.count}',
        )
    return failures

  def _leave_out(
    self,
    failures: Mapping[measurement.Trial, measurement.Failure],
    in_table: Set[measurement.Trial],
  ) -> None:
    """Leaves out the rows and the points of curves that failed.

    Raises:
      UserError: no row is left.
    """
    rows = {t.method: f.reason for t, f in failures.items() if t in in_table}
    points = {t.method: f.reason for t, f in failures.items()}
    for method in self.methods:
      if method.key in rows:
        self.left_out.append(f'{method.name} is left out: {rows[method.key]}')
      elif method.key in points:
        self.left_out.append(
          f'--curves: {method.name} lacks points: {points[method.key]}'
        )
    self.methods = [m for m in self.methods if m.key not in rows]
    if not self.methods:
      raise errors.UserError(
        f'{self.dataset.name}: no method can run: ' + '; '.join(self.left_out)
      )

  def measured_group(
    self, trial: measurement.Trial, index: int
  ) -> results.Group | None:
    """Returns what was measured of a trial of a curve; None if it failed."""
    if trial not in self.measured:
      return None
    return self._group(trial, self.cohorts[0], index)

  def _group(
    self,
    trial: measurement.Trial,
    cohort: cohorts_lib.Cohort,
    index: int = 0,
  ) -> results.Group:
    """Returns what was measured of a trial, with its brands."""
    fold = trial.fold
    rows = folds_lib.held_out(self.dataset, fold).brand_row_B
    return results.Group(
      (fold.seed, fold.index),
      cohort.indices(rows),
      self.measured[trial][index],
    )

  def groups(
    self, cohort: cohorts_lib.Cohort
  ) -> dict[str, list[results.Group]]:
    """Returns method -> what was measured for a cohort's table."""
    return {
      m.key: [self._group(t, cohort) for t in self.trials(m, cohort)]
      for m in self.methods
    }


def _tenths(seconds: float) -> int:
  """Returns tenths of seconds, in which the progress bar counts."""
  return max(1, round(10 * seconds))
