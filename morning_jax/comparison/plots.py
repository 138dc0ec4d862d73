"""Draws learning curves and categories with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import importlib.util
import pathlib
from typing import Any

import numpy as np

from morning_jax.comparison import curves
from morning_jax.comparison import statistics
from morning_jax.comparison import tables
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.evaluation import metrics as metrics_lib

# Okabe and Ito's colours, that the colour-blind tell apart; and shapes.
_STYLES = (
  ('#0072B2', 'o', '-'),
  ('#D55E00', 's', '--'),
  ('#009E73', '^', '-.'),
  ('#CC79A7', 'D', ':'),
)
_INK = '#22313f'
_PANELS = ('auc', 'recall@50', 'mrr', 'map')
_DPI = 100


def check_installed() -> None:
  """Checks that pictures can be drawn.

  Raises:
    UserError: matplotlib is not installed.
  """
  if importlib.util.find_spec('matplotlib') is None:
    raise errors.UserError(
      "--curves needs matplotlib: pip install 'morning_jax[report]'"
    )


def _figure(width: float, height: float, rows: int, columns: int) -> Any:
  from matplotlib.backends import backend_agg
  from matplotlib.figure import Figure

  figure = Figure(
    figsize=(width, height), dpi=_DPI, facecolor='white', layout='constrained'
  )
  backend_agg.FigureCanvasAgg(figure)
  return figure, figure.subplots(rows, columns, squeeze=False)


def _dress(axes: Any) -> None:
  axes.grid(axis='y', color='#dfe4e8', linewidth=0.8)
  axes.set_axisbelow(True)
  for side in ('top', 'right'):
    axes.spines[side].set_visible(False)
  for side in ('left', 'bottom'):
    axes.spines[side].set_color('#8796a3')
  axes.tick_params(colors=_INK, labelsize=9)


def _save(figure: Any, path: pathlib.Path) -> None:
  # Nothing that depends on the day or the version goes into the file.
  metadata = {'Software': None}
  try:
    files.write_whole(
      path, lambda f: figure.savefig(f, format='png', metadata=metadata)
    )
  except OSError as e:
    raise errors.UserError(f'{path}: {e.strerror or e}') from None


def _bounds(
  points: Iterable[tuple[float, statistics.Cell]],
) -> tuple[list[float], list[float], list[float], list[float]]:
  """Returns positions, means, and both ends, of the cells that have a mean.

  Without an interval both ends are the mean.
  """
  ends = [
    (
      at,
      c.mean,
      c.mean if c.low is None else c.low,
      c.mean if c.high is None else c.high,
    )
    for at, c in points
    if c.mean is not None
  ]
  return (
    [e[0] for e in ends],
    [e[1] for e in ends],
    [e[2] for e in ends],
    [e[3] for e in ends],
  )


def _legend(figure: Any, axes: Any) -> None:
  handles, names = axes.get_legend_handles_labels()
  figure.legend(
    handles,
    names,
    loc='outside lower center',
    ncols=len(names),
    frameon=False,
    fontsize=10,
    handlelength=3.2,
  )


def draw_lines(
  lines: Sequence[curves.Line],
  path: pathlib.Path,
  *,
  title: str,
  label: str,
  logarithmic: bool = False,
) -> None:
  """Draws four metrics against the same quantity, bands for the intervals.

  Args:
    lines: of the methods.
    path: the PNG.
    title: of the picture.
    label: of the axis that the metrics are drawn against, with its unit.
    logarithmic: whether that axis is, above 1.
  """
  figure, panels = _figure(9.0, 6.6, 2, 2)
  figure.suptitle(title, fontsize=12, color=_INK)
  every_x = sorted({x for line in lines for x in line.x})
  ends = [min(every_x, default=0.0), max(every_x, default=1.0)]
  for i, (axes, metric) in enumerate(zip(panels.flat, _PANELS, strict=True)):
    for line, (color, marker, dash) in zip(lines, _STYLES, strict=False):
      cells = line.cells[metric]
      # What is not trained is level.
      points = zip(line.x or ends, cells if line.x else cells * 2, strict=True)
      at, mean, low, high = _bounds(points)
      axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
      axes.plot(
        at,
        mean,
        color=color,
        linestyle=dash,
        marker=marker if line.x else None,
        markersize=4.5,
        linewidth=1.8,
        label=line.name,
      )
    if logarithmic:
      axes.set_xscale('symlog', linthresh=1.0, linscale=0.5)
      axes.set_xticks(every_x, [f'{x:g}' for x in every_x])
      axes.minorticks_off()
    _dress(axes)
    axes.set_ylabel(metrics_lib.TITLES[metric], fontsize=10, color=_INK)
    if i >= 2:
      axes.set_xlabel(label, fontsize=10, color=_INK)
  _legend(figure, panels[0][0])
  _save(figure, path)


def draw_categories(
  rows: Sequence[tables.Row], path: pathlib.Path, *, title: str
) -> None:
  """Draws AUC and MAP of each category, bars for the intervals.

  Args:
    rows: of the table per category; categories from top to bottom.
    path: the PNG.
    title: of the picture.
  """
  labels = {r.group: f'{r.group} ({r.brands})' for r in rows}
  height = {group: -float(i) for i, group in enumerate(labels)}
  methods = list(dict.fromkeys(r.name for r in rows))
  figure, panels = _figure(9.0, 1.6 + 0.42 * len(labels), 1, 2)
  figure.suptitle(title, fontsize=12, color=_INK)
  for i, (axes, metric) in enumerate(
    zip(panels.flat, ('auc', 'map'), strict=True)
  ):
    for j, (method, (color, marker, _)) in enumerate(
      zip(methods, _STYLES, strict=False)
    ):
      shift = 0.24 * ((len(methods) - 1) / 2 - j)
      at, mean, low, high = _bounds(
        (height[r.group] + shift, r.cells[metric])
        for r in rows
        if r.name == method
      )
      below = [m - x for m, x in zip(mean, low, strict=True)]
      above = [x - m for m, x in zip(mean, high, strict=True)]
      axes.errorbar(
        mean,
        at,
        # A mean may lie beyond an end where a category is very small.
        xerr=np.maximum([below, above], 0.0),
        fmt=marker,
        color=color,
        markersize=5,
        linewidth=1.5,
        label=method,
      )
    _dress(axes)
    axes.grid(axis='x', color='#dfe4e8', linewidth=0.8)
    axes.grid(visible=False, axis='y')
    for k in range(1, len(labels)):
      axes.axhline(0.5 - k, color='#eef1f3', linewidth=0.8, zorder=0)
    axes.set_yticks(
      list(height.values()), [''] * len(height) if i else list(labels.values())
    )
    axes.set_ylim(0.5 - len(labels), 0.5)
    axes.set_xlabel(metrics_lib.TITLES[metric], fontsize=10, color=_INK)
  _legend(figure, panels[0][0])
  _save(figure, path)
