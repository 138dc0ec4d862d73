"""Compares methods on the same folds, with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json
import os
import pathlib
from typing import Any

import ml_collections
import numpy as np

from morning_jax import accounts as accounts_lib
from morning_jax import errors
from morning_jax import metrics as metrics_lib
from morning_jax.comparison import curves as curves_lib
from morning_jax.comparison import methods as methods_lib
from morning_jax.comparison import plots
from morning_jax.comparison import results
from morning_jax.comparison import statistics
from morning_jax.comparison import tables
from morning_jax.comparison import tasks
from morning_jax.comparison import workers
from morning_jax.data import pipeline
from morning_jax.data import splits
from morning_jax.reporting import console

Statistics = metrics_lib.BrandStatistics
# Methods whose categories are listed and drawn.
_CATEGORY_METHODS = curves_lib.METHODS


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


class _Comparison:
  """Everything that the steps of a comparison share."""

  def __init__(
    self,
    dataset: accounts_lib.Dataset,
    recipes: Mapping[str, ml_collections.ConfigDict],
    options: Options,
    workdir: pathlib.Path,
  ):
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
    tasks.check_folds(dataset, options.folds)
    self.dataset, self.recipes, self.options = dataset, recipes, options
    self.workdir = workdir
    self.methods, self.left_out = methods_lib.choose(
      methods_lib.table(recipes), options.methods, dataset
    )
    split = splits.select(dataset, 'train')
    assert split is not None
    self.brand_rows = split.brand_row_B
    self.category_B = dataset.accounts.categories[self.brand_rows]
    self.data_fingerprint = pipeline.fingerprint(dataset)
    self.kept = workers.Kept(
      workdir, self.data_fingerprint, workers.source_fingerprint()
    )
    self.measured: dict[workers.Unit, list[Statistics]] = {}

  def repetitions(self, method: methods_lib.Method) -> int:
    """Returns how often a method is repeated."""
    seeds = self.options.seeds
    return min(seeds, self.options.costly_seeds) if method.costly else seeds

  def units(self, method: methods_lib.Method) -> list[workers.Unit]:
    """Lists a method's trainings of the table."""
    return [
      workers.Unit(method.key, tasks.Place(seed, fold, self.options.folds))
      for seed in range(self.repetitions(method))
      for fold in range(self.options.folds)
    ]

  def measure(self) -> None:
    """Measures everything that is not at hand already."""
    by_key = {m.key: m for m in self.methods}
    wanted = [u for m in self.methods for u in self.units(m)]
    wanted += curves_lib.units(
      self.options.curves, self.methods, self.options.folds
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
    jobs = self.options.jobs
    jobs = workers.default_jobs() if jobs is None else jobs

    def cost(unit: workers.Unit) -> int:
      # In tenths of a second or so: the bar's time left follows from it.
      return max(1, round(10 * by_key[unit.method].cost * unit.place.share))

    failed: dict[str, str] = {}
    with console.Progress(
      total=sum(map(cost, left)), unit='of work', title='comparing'
    ) as bar:
      for unit, outcome in workers.run(
        left, self.dataset, self.recipes, jobs=jobs
      ):
        if isinstance(outcome, workers.Failure):
          if self.options.methods is not None:
            raise errors.UserError(f'--methods={unit.method}: {outcome}')
          failed[unit.method] = str(outcome)
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
    self.methods = [m for m in self.methods if m.key not in failed]
    if not self.methods:
      raise errors.UserError(
        f'{self.dataset.name}: no method can run: ' + '; '.join(self.left_out)
      )

  def group(self, unit: workers.Unit, index: int = 0) -> results.Group:
    """Returns what was measured of a unit, with its brands."""
    place = unit.place
    rows = tasks.held_out(self.dataset, place).brand_row_B
    return results.Group(
      (place.seed, place.fold),
      np.searchsorted(self.brand_rows, rows),
      self.measured[unit][index],
    )

  def groups(self) -> dict[str, list[results.Group]]:
    """Returns method -> what was measured for the table."""
    return {m.key: [self.group(u) for u in self.units(m)] for m in self.methods}


def _notes(run: _Comparison) -> list[str]:
  """Returns the lines below the table."""
  options = run.options
  lines = [
    f'cross-validation over {len(run.brand_rows)} brands, {options.seeds}'
    f' deal(s) to {options.folds} folds; a fold ranks the influencers that work'
    ' for one of its brands; means over folds and deals',
    f'± and brackets: 95 % intervals of {options.resamples:,} bootstrap'
    ' resamples of the brands (± is half the width); p-values: table.csv',
  ]
  if any(m.key == methods_lib.REFERENCE for m in run.methods) and (
    len(run.methods) > 1
  ):
    lines.append(
      '*: differs from MORNING, p < 0.05, paired by brands, corrected for the'
      ' number of rows (Holm)'
    )
  fewer = [m for m in run.methods if run.repetitions(m) < options.seeds]
  if fewer:
    names = ', '.join(m.peer.name for m in fewer)
    lines.append(
      f'{names}: {options.costly_seeds} of {options.seeds} deals, as a training'
      ' takes long (--costly_seeds); differences are taken over these deals'
    )
  lines += run.left_out
  for method in run.methods:
    lines.append(f'{method.peer.name}: {method.peer.source}')
    lines += [
      f'{method.peer.name}: {note}' for note in method.peer.missing(run.dataset)
    ]
  return lines


def _write(path: pathlib.Path, text: str) -> None:
  draft = path.with_name(path.name + '.draft')
  draft.write_text(text, encoding='utf-8')
  draft.replace(path)


def _results(
  run: _Comparison,
  groups: Mapping[str, Sequence[results.Group]],
  summary: Mapping[str, Mapping[str, statistics.Cell]],
  notes: Sequence[str],
) -> dict[str, Any]:
  """Collects every number, down to single brands."""
  ids = run.dataset.accounts.ids[run.brand_rows]
  return {
    'protocol': {
      'folds': run.options.folds,
      'seeds': run.options.seeds,
      'resamples': run.options.resamples,
      'data_fingerprint': run.data_fingerprint,
    },
    'brands': ids.tolist(),
    'categories': run.category_B.tolist(),
    'notes': list(notes),
    'methods': {
      m.key: {
        'name': m.peer.name,
        'source': m.peer.source,
        'summary': {
          k: dataclasses.asdict(v) for k, v in summary[m.key].items()
        },
        'folds': [
          {
            'seed': g.key[0],
            'fold': g.key[1],
            'metrics': metrics_lib.summarize(g.statistics),
            'brand': g.brand_B.tolist(),
            'per_brand': results.to_json(g.statistics),
          }
          for g in groups[m.key]
        ],
      }
      for m in run.methods
    },
  }


def _categories(
  run: _Comparison, groups: Mapping[str, list[results.Group]]
) -> list[tables.Row]:
  """Makes the rows of the table per category; each is its own bootstrap."""
  rows = []
  for category in sorted(set(run.category_B[run.category_B != ''].tolist())):
    own = {
      key: results.of_category(g, run.category_B, category)
      for key, g in groups.items()
    }
    # Resamples of the category's brands alone.
    members = np.flatnonzero(run.category_B == category)
    own = {
      key: [
        dataclasses.replace(g, brand_B=np.searchsorted(members, g.brand_B))
        for g in gs
      ]
      for key, gs in own.items()
      if gs
    }
    summary = statistics.summarize(
      own,
      num_brands=len(members),
      reference=methods_lib.REFERENCE,
      resamples=run.options.resamples,
    )
    rows += [
      tables.Row(
        name=m.peer.name,
        runs=len(groups[m.key]),
        cells=summary[m.key],
        group=category,
        brands=len(members),
      )
      for m in run.methods
      if m.key in summary
    ]
  return rows


def _draw(run: _Comparison, categories: Sequence[tables.Row]) -> list[str]:
  """Draws the pictures that were asked for; returns their files."""
  folds, kinds = run.options.folds, run.options.curves
  weight_WxB = statistics.draw_weights(
    len(run.brand_rows), resamples=run.options.resamples, seed=0
  )
  caption = (
    f'{len(run.brand_rows)} brands, {folds} folds, bands: 95 % intervals'
  )
  written = []
  if 'epochs' in kinds:
    lines = curves_lib.of_epochs(run.methods, folds, run.group, weight_WxB)
    plots.draw_lines(
      lines,
      run.workdir / 'epochs.png',
      title=f'Held-out brands while training ({caption})',
      label='epochs of training',
      logarithmic=True,
    )
    _write(run.workdir / 'epochs.csv', curves_lib.to_csv('epochs', lines))
    written.append('epochs.png')
  if 'brands' in kinds:
    lines = curves_lib.of_brands(
      run.methods,
      folds,
      run.group,
      weight_WxB,
      lambda p: len(tasks.make_task(run.dataset, p).train.brand_row_B),
    )
    plots.draw_lines(
      lines,
      run.workdir / 'brands.png',
      title=f'Held-out brands by training data ({caption})',
      label='training brands',
    )
    _write(run.workdir / 'brands.csv', curves_lib.to_csv('brands', lines))
    written.append('brands.png')
  if 'categories' in kinds:
    names = [m.peer.name for m in run.methods if m.key in _CATEGORY_METHODS]
    plots.draw_categories(
      [r for r in categories if r.name in names],
      run.workdir / 'categories.png',
      title='Held-out brands by category (number of brands),'
      ' bars: 95 % intervals',
    )
    written.append('categories.png')
  return written


def compare(
  dataset: accounts_lib.Dataset,
  recipes: Mapping[str, ml_collections.ConfigDict],
  options: Options,
  workdir: str | os.PathLike[str],
) -> dict[str, Any]:
  """Trains and evaluates every method on the same folds; writes tables.

  Args:
    dataset: the data set; its training brands are dealt out to folds.
    recipes: variant of configs/morning.py -> configuration.
    options: what to compare.
    workdir: gets `table.txt`, `.csv`, `.md`, `.tex`, `per_category.csv`,
      `.md`, `results.json`, and pictures. What was measured before is taken
      from it.

  Returns:
    What `results.json` holds.

  Raises:
    UserError: an option, the data or the folder can't be used.
  """
  workdir = pathlib.Path(workdir).resolve()
  if workdir.exists() and not workdir.is_dir():
    raise errors.UserError(f'--workdir={workdir}: is no folder')
  run = _Comparison(dataset, recipes, options, workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  console.say(f'working folder: {workdir}')
  run.measure()
  groups = run.groups()
  summary = statistics.summarize(
    groups,
    num_brands=len(run.brand_rows),
    reference=methods_lib.REFERENCE,
    resamples=options.resamples,
  )
  rows = [
    tables.Row(m.peer.name, len(groups[m.key]), summary[m.key])
    for m in run.methods
  ]
  notes = _notes(run)
  values, differences = tables.of_values(rows), tables.of_differences(rows)
  sections, narrow = [('Methods', values)], [('Methods', values)]
  if differences.rows:
    title = 'Differences from MORNING'
    sections.append((title, differences))
    narrow.append((title, tables.of_differences(rows, brackets=False)))
  text = tables.document(
    narrow, notes, write=tables.to_text, bullet='note: ', heading=''
  )
  _write(workdir / 'table.txt', text)
  _write(workdir / 'table.csv', tables.to_csv(rows))
  _write(
    workdir / 'table.md',
    tables.document(
      sections, notes, write=tables.to_markdown, bullet='* ', heading='## '
    ),
  )
  _write(
    workdir / 'table.tex',
    '\n\n'.join(tables.to_latex(t, caption=title) for title, t in sections)
    + '\n\n'
    + '\n'.join(f'% {note}' for note in notes)
    + '\n',
  )
  categories = _categories(run, groups)
  if categories:
    category_notes = [
      'pooled over the folds of a deal, mean over the deals; intervals and *'
      ' as in the table of all brands, within each category',
      *notes,
    ]
    _write(workdir / 'per_category.csv', tables.to_csv(categories))
    _write(
      workdir / 'per_category.md',
      tables.document(
        [('Methods by category', tables.of_values(categories))],
        category_notes,
        write=tables.to_markdown,
        bullet='* ',
        heading='## ',
      ),
    )
  found = _results(run, groups, summary, notes)
  _write(workdir / 'results.json', json.dumps(found) + '\n')
  console.say('\n' + text)
  for name in _draw(run, categories):
    console.say(f'picture: {workdir / name}')
  return found
