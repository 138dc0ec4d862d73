"""Draws the pictures that a comparison was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from morning_jax.comparison import curves as curves_lib
from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import plots
from morning_jax.comparison import protocol
from morning_jax.comparison import statistics
from morning_jax.comparison import tables
from morning_jax.core import files
from morning_jax.reporting import console

# What `draw` may write.
FILES = (
  'epochs.png',
  'epochs.csv',
  'brands.png',
  'brands.csv',
  'categories.png',
)


def draw(
  run: protocol.Comparison, categories: Sequence[tables.Row]
) -> list[str]:
  """Draws pictures into the working folder.

  Args:
    run: a comparison that has been measured.
    categories: rows of the table per category.

  Returns:
    Names of the pictures.
  """
  folds, kinds = run.options.folds, run.options.curves
  brands = len(run.cohorts[0].brand_row_B)
  weight_WxB = statistics.draw_weights(
    brands, resamples=run.options.resamples, seed=0
  )
  caption = f'{brands} brands, {folds} folds, bands: 95 % intervals'
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
    files.write_text(
      run.workdir / f'{kind}.csv', curves_lib.to_csv(kind, lines)
    )
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
        lambda spec: folds_lib.trainable_brands(run.dataset, spec),
      ),
      title=f'Held-out brands by training data ({caption})',
      label='training brands',
    )
  if 'categories' in kinds:
    names = [m.name for m in run.methods if m.key in curves_lib.METHODS]
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
        f' {", ".join(curves_lib.METHODS)}'
      )
    else:
      console.note(
        '--curves=categories: no picture, as the training brands have no'
        ' category'
      )
  return written
