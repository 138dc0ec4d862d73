"""Writes what a comparison found: tables, every number, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from morning_jax.comparison import curves as curves_lib
from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import plots
from morning_jax.comparison import protocol
from morning_jax.comparison import results
from morning_jax.comparison import statistics
from morning_jax.comparison import tables
from morning_jax.comparison.methods import table as table_lib
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.reporting import console

# What not every comparison writes.
_OPTIONAL = (
  'per_category.csv',
  'per_category.md',
  'epochs.png',
  'epochs.csv',
  'brands.png',
  'brands.csv',
  'categories.png',
)
# What `write` may write.
FILES = (
  'table.txt',
  'table.csv',
  'table.md',
  'table.tex',
  'results.json',
  *_OPTIONAL,
)
# Methods whose categories are drawn.
_CATEGORY_METHODS = curves_lib.METHODS


def _notes(run: protocol.Comparison) -> list[str]:
  """Returns the lines below the table."""
  options = run.options
  lines = [
    f'cross-validation over {len(run.brand_rows)} brands, {options.seeds}'
    f' deal(s) to {options.folds} folds; a fold ranks the influencers that work'
    ' for one of its brands; means over folds and deals',
    f'± and brackets: 95 % intervals of {options.resamples:,} bootstrap'
    ' resamples of the brands (± is half the width), none (-) for fewer than'
    f' {statistics.FEWEST_BRANDS} brands; p-values: table.csv',
  ]
  if any(m.key == table_lib.REFERENCE for m in run.methods) and (
    len(run.methods) > 1
  ):
    lines.append(
      'an asterisk: differs from MORNING, p < 0.05 in a randomisation test,'
      ' paired by brands, corrected for the number of rows (Holm)'
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
  run: protocol.Comparison,
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
      'costly_seeds': run.options.costly_seeds,
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
  run: protocol.Comparison, groups: Mapping[str, list[results.Group]]
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
      reference=table_lib.REFERENCE,
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


def _draw(
  run: protocol.Comparison, categories: Sequence[tables.Row]
) -> list[str]:
  """Draws the pictures that were asked for; returns their files."""
  folds, kinds = run.options.folds, run.options.curves
  weight_WxB = statistics.draw_weights(
    len(run.brand_rows), resamples=run.options.resamples, seed=0
  )
  caption = (
    f'{len(run.brand_rows)} brands, {folds} folds, bands: 95 % intervals'
  )
  written = []

  def draw_lines(
    kind: str, lines: Sequence[curves_lib.Line], **how: Any
  ) -> None:
    if not lines:
      console.note(
        f'--curves={kind}: no picture, as none of its methods is measured:'
        f' {", ".join(curves_lib.METHODS)}'
      )
      return
    plots.draw_lines(lines, run.workdir / f'{kind}.png', **how)
    _write(run.workdir / f'{kind}.csv', curves_lib.to_csv(kind, lines))
    written.append(f'{kind}.png')

  if 'epochs' in kinds:
    draw_lines(
      'epochs',
      curves_lib.of_epochs(run.methods, folds, run.measured_group, weight_WxB),
      title=f'Held-out brands while training ({caption})',
      label='epochs of training (logarithmic above 1)',
      logarithmic=True,
    )
  if 'brands' in kinds:
    draw_lines(
      'brands',
      curves_lib.of_brands(
        run.methods,
        folds,
        run.measured_group,
        weight_WxB,
        run.shares,
        lambda p: folds_lib.trainable_brands(run.dataset, p),
      ),
      title=f'Held-out brands by training data ({caption})',
      label='training brands',
    )
  if 'categories' in kinds:
    names = [m.peer.name for m in run.methods if m.key in _CATEGORY_METHODS]
    rows = [r for r in categories if r.name in names]
    if rows:
      plots.draw_categories(
        rows,
        run.workdir / 'categories.png',
        title='Held-out brands by category (number of brands),'
        ' bars: 95 % intervals',
      )
      written.append('categories.png')
    elif categories:
      console.note(
        '--curves=categories: no picture, as none of its methods is measured:'
        f' {", ".join(_CATEGORY_METHODS)}'
      )
    else:
      console.note(
        '--curves=categories: no picture, as the training brands have no'
        ' category'
      )
  return written


def write(run: protocol.Comparison) -> dict[str, Any]:
  """Writes tables, numbers and pictures into the working folder.

  Args:
    run: a comparison that has been measured.

  Returns:
    What `results.json` holds.
  """
  workdir, options = run.workdir, run.options
  groups = run.groups()
  summary = statistics.summarize(
    groups,
    num_brands=len(run.brand_rows),
    reference=table_lib.REFERENCE,
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
  for name in _OPTIONAL:
    # An earlier run's would stand beside tables that it does not belong to.
    (workdir / name).unlink(missing_ok=True)
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
