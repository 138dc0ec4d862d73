"""Writes what a comparison found: tables, every number, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json
from typing import Any

import numpy as np

from morning_jax.comparison import cohorts as cohorts_lib
from morning_jax.comparison import figures
from morning_jax.comparison import protocol
from morning_jax.comparison import results
from morning_jax.comparison import statistics
from morning_jax.comparison import tables
from morning_jax.comparison.methods import morning_rows
from morning_jax.core import files
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.reporting import console

_TABLES = ('table.txt', 'table.csv', 'table.md', 'table.tex')
_CATEGORIES = ('per_category.csv', 'per_category.md')
# What not every comparison writes.
_OPTIONAL = (
  *_CATEGORIES,
  *(f'test_{name}' for name in (*_TABLES, *_CATEGORIES)),
  *figures.FILES,
)
# What `write` may write.
FILES = (*_TABLES, 'results.json', *_OPTIONAL)


def _notes(run: protocol.Comparison, cohort: cohorts_lib.Cohort) -> list[str]:
  """Returns the lines below a cohort's table."""
  options, brands = run.options, len(cohort.brand_row_B)
  protocol_line = (
    f'cross-validation over {brands} brands, {options.seeds}'
    f' repetition(s) of {options.folds} folds; a fold ranks the influencers'
    ' that work for one of its brands; means over folds and repetitions'
  )
  if cohort.folds == 1:
    protocol_line = (
      f'{brands} test brands, all training brands to train on,'
      f' {options.seeds} repetition(s) that differ in the seed of the method;'
      ' the influencers that work for a test brand are ranked; means over the'
      ' repetitions'
    )
  lines = [
    protocol_line,
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


@dataclasses.dataclass(frozen=True)
class _Found:
  """What was found of a cohort.

  Attributes:
    cohort: the brands.
    groups: method -> what was measured.
    summary: method -> metric -> its mean with interval and difference.
    notes: lines below the table.
  """

  cohort: cohorts_lib.Cohort
  groups: Mapping[str, list[results.Group]]
  summary: Mapping[str, Mapping[str, statistics.Cell]]
  notes: Sequence[str]


def _find(run: protocol.Comparison, cohort: cohorts_lib.Cohort) -> _Found:
  groups = run.groups(cohort)
  return _Found(
    cohort=cohort,
    groups=groups,
    summary=statistics.summarize(
      groups,
      num_brands=len(cohort.brand_row_B),
      reference=morning_rows.REFERENCE,
      resamples=run.options.resamples,
    ),
    notes=_notes(run, cohort),
  )


def _results(run: protocol.Comparison, found: _Found) -> dict[str, Any]:
  """Collects every number of a cohort, down to single brands."""
  return {
    'brands': found.cohort.ids_B.tolist(),
    'categories': found.cohort.category_B.tolist(),
    'notes': list(found.notes),
    'methods': {
      m.key: {
        'name': m.name,
        'source': m.source,
        'summary': {
          k: dataclasses.asdict(v) for k, v in found.summary[m.key].items()
        },
        'folds': [
          {
            'seed': g.key[0],
            'fold': g.key[1],
            'metrics': metrics_lib.summarize(g.statistics),
            'brand': g.brand_B.tolist(),
            'per_brand': results.to_json(g.statistics),
          }
          for g in found.groups[m.key]
        ],
      }
      for m in run.methods
    },
  }


def _categories(run: protocol.Comparison, found: _Found) -> list[tables.Row]:
  """Makes the rows of the table per category; each is its own bootstrap."""
  rows = []
  category_B = found.cohort.category_B
  for category in sorted(set(category_B[category_B != ''].tolist())):
    own = {
      key: results.of_category(g, category_B, category)
      for key, g in found.groups.items()
    }
    # Resamples of the category's brands alone.
    members = np.flatnonzero(category_B == category)
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
        runs=len(found.groups[m.key]),
        cells=summary[m.key],
        group=category,
        brands=len(members),
      )
      for m in run.methods
      if m.key in summary
    ]
  return rows


def _write_tables(
  run: protocol.Comparison, found: _Found
) -> tuple[str, list[tables.Row]]:
  """Writes a cohort's tables.

  Returns:
    The text for the terminal, and the rows of the table per category.
  """
  cohort, notes = found.cohort, found.notes
  rows = [
    tables.Row(m.name, len(found.groups[m.key]), found.summary[m.key])
    for m in run.methods
  ]

  def write(name: str, content: str) -> None:
    files.write_text(run.workdir / f'{cohort.prefix}{name}', content)

  values, differences = tables.of_values(rows), tables.of_differences(rows)
  sections = [(cohort.title, values)]
  narrow = list(sections)
  if differences.rows:
    title = 'Differences from MORNING'
    sections.append((title, differences))
    narrow.append((title, tables.of_differences(rows, brackets=False)))
  text = tables.document(
    narrow, notes, write=tables.to_text, bullet='note: ', heading=''
  )
  write('table.txt', text)
  write('table.csv', tables.to_csv(rows))
  write(
    'table.md',
    tables.document(
      sections, notes, write=tables.to_markdown, bullet='* ', heading='## '
    ),
  )
  write(
    'table.tex',
    '\n\n'.join(tables.to_latex(t, caption=title) for title, t in sections)
    + '\n\n'
    + '\n'.join(f'% {note}' for note in notes)
    + '\n',
  )
  categories = _categories(run, found)
  if categories:
    pooled = (
      'pooled over the folds of a repetition, mean over the repetitions;'
      ' intervals and * as in the table of all brands, within each category'
    )
    write('per_category.csv', tables.to_csv(categories))
    write(
      'per_category.md',
      tables.document(
        [(f'{cohort.title} by category', tables.of_values(categories))],
        [pooled, *notes],
        write=tables.to_markdown,
        bullet='* ',
        heading='## ',
      ),
    )
  return text, categories


def write(run: protocol.Comparison) -> dict[str, Any]:
  """Writes tables, numbers and pictures into the working folder.

  Args:
    run: a comparison that has been measured.

  Returns:
    What `results.json` holds.
  """
  options = run.options
  for name in _OPTIONAL:
    # An earlier comparison's do not belong to these tables.
    (run.workdir / name).unlink(missing_ok=True)
  found = [_find(run, cohort) for cohort in run.cohorts]
  cross_validated, *others = found
  text, categories = _write_tables(run, cross_validated)
  texts = [text, *(_write_tables(run, other)[0] for other in others)]
  everything: dict[str, Any] = {
    'protocol': {
      'folds': options.folds,
      'seeds': options.seeds,
      'costly_seeds': options.costly_seeds,
      'resamples': options.resamples,
      'data_fingerprint': run.data_fingerprint,
    },
    **_results(run, cross_validated),
  }
  if others:
    everything['test'] = _results(run, others[0])
  files.write_text(run.workdir / 'results.json', json.dumps(everything) + '\n')
  for text in texts:
    console.say('\n' + text)
  for name in figures.draw(run, categories):
    console.say(f'picture: {run.workdir / name}')
  return everything
