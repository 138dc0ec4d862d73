"""A comparison: which trainings it takes, and what they measured."""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import dataclasses
import pathlib

import ml_collections
import numpy as np

from morning_jax.comparison import curves as curves_lib
from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import plots
from morning_jax.comparison import results
from morning_jax.comparison import statistics
from morning_jax.comparison import workers
from morning_jax.comparison.methods import table as table_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import splits
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.reporting import console


@dataclasses.dataclass(frozen=True)
class Options:
  """What to compare.

  Attributes:
    methods: keys of the methods; None for all that the data allows.
    folds: folds of a repetition.
    seeds: repetitions: each deals the folds anew and seeds the methods.
    costly_seeds: repetitions of methods that take long.
    curves: pictures to draw, of `curves.KINDS`.
    jobs: workers; 0 for none, None for one a core.
    resamples: of the bootstrap.
  """

  methods: tuple[str, ...] | None = None
  folds: int = 5
  seeds: int = 3
  costly_seeds: int = 1
  curves: tuple[str, ...] = ()
  jobs: int | None = None
  resamples: int = statistics.RESAMPLES


class Comparison:
  """Everything that the steps of a comparison share."""

  def __init__(
    self,
    dataset: accounts_lib.Dataset,
    recipes: Mapping[str, ml_collections.ConfigDict],
    options: Options,
    workdir: pathlib.Path,
  ):
    """Checks the options.

    Args:
      dataset: the data set as it is stored.
      recipes: variant of configs/morning.py -> configuration.
      options: what to compare.
      workdir: where results are kept.

    Raises:
      UserError: an option can't be used.
    """
    for name in ('seeds', 'costly_seeds'):
      if getattr(options, name) < 1:
        raise errors.UserError(
          f'--{name}={getattr(options, name)}: takes 1 repetition at least'
        )
    if options.jobs is not None and options.jobs < 0:
      raise errors.UserError(f'--jobs={options.jobs}: must not be below 0')
    curves_lib.check_kinds(options.curves)
    if options.curves:
      plots.check_installed()
    folds_lib.check_folds(dataset, options.folds)
    self.dataset, self.recipes, self.options = dataset, recipes, options
    self.workdir = workdir
    self.jobs = workers.default_jobs() if options.jobs is None else options.jobs
    self.methods, self.left_out = table_lib.choose(
      table_lib.table(recipes), options.methods, dataset
    )
    self.shares: tuple[float, ...] = ()
    if 'brands' in options.curves:
      self.shares, notes = curves_lib.usable_shares(dataset, options.folds)
      self.left_out += notes
    split = splits.select(dataset, 'train')
    assert split is not None
    self.brand_rows = split.brand_row_B
    self.category_B = dataset.accounts.categories[self.brand_rows]
    self.data_fingerprint = dataset_lib.fingerprint(dataset)
    self.kept = workers.Kept(
      workdir,
      self.data_fingerprint,
      workers.source_fingerprint(in_workers=self.jobs > 0),
    )
    self.measured: dict[workers.Unit, list[metrics_lib.BrandStatistics]] = {}

  def repetitions(self, method: table_lib.Method) -> int:
    """Returns how often a method is repeated."""
    seeds = self.options.seeds
    return min(seeds, self.options.costly_seeds) if method.costly else seeds

  def units(self, method: table_lib.Method) -> list[workers.Unit]:
    """Lists a method's trainings of the table."""
    return [
      workers.Unit(method.key, folds_lib.Place(seed, fold, self.options.folds))
      for seed in range(self.repetitions(method))
      for fold in range(self.options.folds)
    ]

  def measure(self) -> None:
    """Measures everything that is not at hand already."""
    by_key = {m.key: m for m in self.methods}
    of_table = {u for m in self.methods for u in self.units(m)}
    wanted = [u for m in self.methods for u in self.units(m)]
    wanted += curves_lib.units(
      self.options.curves, self.methods, self.options.folds, self.shares
    )
    left = []
    for unit in dict.fromkeys(wanted):
      found = self.kept.read(unit, by_key[unit.method])
      if found is None:
        left.append(unit)
      else:
        self.measured[unit] = found
    if self.measured:
      console.say(
        f'{len(self.measured)} of {len(set(wanted))} results are at hand in'
        f' {self.workdir}'
      )
    # The long ones first, so that no core idles at the end.
    left.sort(key=lambda u: -by_key[u.method].cost)

    def cost(unit: workers.Unit) -> int:
      # In tenths of a second or so: the bar's time left follows from it.
      return max(1, round(10 * by_key[unit.method].cost * unit.place.share))

    failed: dict[str, str] = {}
    failed_in_curves: dict[str, str] = {}
    with (
      console.Progress(
        total=sum(map(cost, left)), unit='of work', title='comparing'
      ) as bar,
      contextlib.closing(
        workers.run(left, self.dataset, self.recipes, jobs=self.jobs)
      ) as outcomes,
    ):
      for unit, outcome in outcomes:
        if isinstance(outcome, workers.Failure):
          named = self.options.methods is not None
          if unit not in of_table:
            failed_in_curves[unit.method] = outcome.reason
          elif named and not outcome.diverged:
            raise errors.UserError(f'--methods={unit.method}: {outcome.reason}')
          else:
            failed[unit.method] = outcome.reason
        else:
          self.measured[unit] = outcome
          self.kept.write(unit, by_key[unit.method], outcome)
        bar.advance(
          cost(unit),
          method=by_key[unit.method].peer.name,
          repetition=f'{unit.place.seed + 1}/{self.options.seeds}',
          fold=f'{unit.place.fold + 1}/{unit.place.folds}',
        )
    for key, reason in failed.items():
      self.left_out.append(f'{by_key[key].peer.name} is left out: {reason}')
    for key, reason in failed_in_curves.items():
      if key not in failed:
        self.left_out.append(
          f'--curves: {by_key[key].peer.name} lacks points: {reason}'
        )
    self.methods = [m for m in self.methods if m.key not in failed]
    if not self.methods:
      raise errors.UserError(
        f'{self.dataset.name}: no method can run: ' + '; '.join(self.left_out)
      )

  def measured_group(
    self, unit: workers.Unit, index: int
  ) -> results.Group | None:
    """Returns what was measured of a unit of a curve; None if it failed."""
    return self.group(unit, index) if unit in self.measured else None

  def group(self, unit: workers.Unit, index: int = 0) -> results.Group:
    """Returns what was measured of a unit, with its brands."""
    place = unit.place
    rows = folds_lib.held_out(self.dataset, place).brand_row_B
    return results.Group(
      (place.seed, place.fold),
      np.searchsorted(self.brand_rows, rows),
      self.measured[unit][index],
    )

  def groups(self) -> dict[str, list[results.Group]]:
    """Returns method -> what was measured for the table."""
    return {m.key: [self.group(u) for u in self.units(m)] for m in self.methods}
