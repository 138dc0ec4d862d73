"""Writes what a comparison found: tables, every number, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json
from typing import Any

import numpy as np

from morning_jax.comparison import figures
from morning_jax.comparison import protocol
from morning_jax.comparison import results
from morning_jax.comparison import statistics
from morning_jax.comparison import tables
from morning_jax.comparison.methods import morning_rows
from morning_jax.core import files
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.reporting import console

# What not every comparison writes.
_OPTIONAL = (
  'per_category.csv',
  'per_category.md',
  *figures.FILES,
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


def _notes(run: protocol.Comparison) -> list[str]:
  """Returns the lines below the table."""
  options = run.options
  lines = [
    f'cross-validation over {len(run.brand_rows)} brands, {options.seeds}'
    f' repetition(s) of {options.folds} folds; a fold ranks the influencers'
    ' that work for one of its brands; means over folds and repetitions',
    f'± and brackets: 95 % intervals of {options.resamples:,} bootstrap'
    ' resamples of the brands (± is half the width), none (-) for fewer than'
    f' {statistics.FEWEST_BRANDS} brands; p-values: table.csv',
  ]
  if any(m.key == morning_rows.REFERENCE for m in run.methods) and (
    len(run.methods) > 1
  ):
    lines.append(
      'an asterisk: differs from MORNING, p < 0.05 in a randomisation test,'
      ' paired by brands, corrected for the number of rows (Holm)'
    )
  fewer = [m for m in run.methods if run.repetitions(m) < options.seeds]
  if fewer:
    names = ', '.join(m.name for m in fewer)
    lines.append(
      f'{names}: {options.costly_seeds} of {options.seeds} repetitions, as a'
      ' training takes long (--costly_seeds); differences are taken over these'
      ' repetitions'
    )
  lines += run.left_out
  for method in run.methods:
    lines.append(f'{method.name}: {method.source}')
    lines += [f'{method.name}: {note}' for note in method.missing(run.dataset)]
  return lines


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
        'name': m.name,
        'source': m.source,
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
      reference=morning_rows.REFERENCE,
      resamples=run.options.resamples,
    )
    rows += [
      tables.Row(
        name=m.name,
        runs=len(groups[m.key]),
        cells=summary[m.key],
        group=category,
        brands=len(members),
      )
      for m in run.methods
      if m.key in summary
    ]
  return rows


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
    reference=morning_rows.REFERENCE,
    resamples=options.resamples,
  )
  rows = [
    tables.Row(m.name, len(groups[m.key]), summary[m.key]) for m in run.methods
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
    # An earlier comparison's do not belong to these tables.
    (workdir / name).unlink(missing_ok=True)
  files.write_text(workdir / 'table.txt', text)
  files.write_text(workdir / 'table.csv', tables.to_csv(rows))
  files.write_text(
    workdir / 'table.md',
    tables.document(
      sections, notes, write=tables.to_markdown, bullet='* ', heading='## '
    ),
  )
  files.write_text(
    workdir / 'table.tex',
    '\n\n'.join(tables.to_latex(t, caption=title) for title, t in sections)
    + '\n\n'
    + '\n'.join(f'% {note}' for note in notes)
    + '\n',
  )
  categories = _categories(run, groups)
  if categories:
    category_notes = [
      'pooled over the folds of a repetition, mean over the repetitions;'
      ' intervals and * as in the table of all brands, within each category',
      *notes,
    ]
    files.write_text(workdir / 'per_category.csv', tables.to_csv(categories))
    files.write_text(
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
  files.write_text(workdir / 'results.json', json.dumps(found) + '\n')
  console.say('\n' + text)
  for name in figures.draw(run, categories):
    console.say(f'picture: {workdir / name}')
  return found
