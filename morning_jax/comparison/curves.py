"""Learning curves: metrics against epochs and against training brands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import csv
import dataclasses
import io

import numpy as np

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import measurement
from morning_jax.comparison import results
from morning_jax.comparison import statistics
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import morning_rows
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.evaluation import metrics as metrics_lib

KINDS = ('epochs', 'brands', 'categories')
# Whose curves are drawn, of those that take part.
METHODS = ('similarity', 'morning-paper', morning_rows.REFERENCE)
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
_FEWEST_BRANDS = 2  # to train on
_SEED = 0  # curves take the first repetition alone
_EPOCHS = (0, 1, 2, 5, 10, 20, 40, 70, 100, 200, 500, 1000)

# (trial, index among its epochs) -> what was measured; None where it failed.
Measured = Callable[[measurement.Trial, int], results.Group | None]


@dataclasses.dataclass(frozen=True)
class Line:
  """One method's line in a picture, with its band.

  Attributes:
    name: of the method.
    x: epochs, or numbers of brands; empty where the line is level.
    cells: metric -> a number with its interval for each x, or one if level.
  """

  name: str
  x: list[float]
  cells: dict[str, list[statistics.Cell]]


def check_kinds(kinds: Sequence[str]) -> None:
  """Checks which pictures were asked for.

  Raises:
    UserError: one is unknown.
  """
  for kind in kinds:
    if kind not in KINDS:
      raise errors.UserError(
        f'--curves={errors.quoted(kind)}: there are the curves'
        f' {", ".join(KINDS)}'
      )


def _epochs(method: interface.Method) -> tuple[int, ...]:
  assert method.recipe is not None
  last = method.recipe.train.epochs
  return (*(e for e in _EPOCHS if e < last), last)


def _drawn(methods: Sequence[interface.Method]) -> list[interface.Method]:
  return [m for m in methods if m.key in METHODS]


def _epoch_trial(
  method: interface.Method, *, fold: int, folds: int
) -> measurement.Trial:
  epochs = _epochs(method) if method.recipe is not None else ()
  return measurement.Trial(
    method.key, folds_lib.FoldSpec(_SEED, fold, folds), epochs
  )


def usable_shares(
  dataset: accounts_lib.Dataset, folds: int
) -> tuple[tuple[float, ...], list[str]]:
  """Finds the shares of the training brands that can be trained on.

  Args:
    dataset: the data set as it is stored.
    folds: number of folds.

  Returns:
    The shares, and a note for each that leaves a fold fewer than two brands
    with a negative.
  """
  usable, notes = [], []
  for share in SHARES:
    fewest = min(
      folds_lib.trainable_brands(
        dataset, folds_lib.FoldSpec(_SEED, fold, folds, share)
      )
      for fold in range(folds)
    )
    if fewest >= _FEWEST_BRANDS:
      usable.append(share)
    else:
      notes.append(
        f'--curves=brands: without the share of {100 * share:g} % of the'
        f' training brands, which leaves a fold {fewest} with a negative'
      )
  return tuple(usable), notes


def trials(
  kinds: Sequence[str],
  methods: Sequence[interface.Method],
  folds: int,
  shares: Sequence[float],
) -> list[measurement.Trial]:
  """Lists what has to be measured beside the table.

  Args:
    kinds: of pictures.
    methods: that take part.
    folds: number of folds.
    shares: of `usable_shares`.

  Returns:
    The trainings, some of which may be the table's.
  """
  found = []
  for method in _drawn(methods):
    for fold in range(folds):
      if 'epochs' in kinds:
        found.append(_epoch_trial(method, fold=fold, folds=folds))
      if 'brands' in kinds:
        found += [
          measurement.Trial(
            method.key, folds_lib.FoldSpec(_SEED, fold, folds, share)
          )
          for share in shares
        ]
  return list(dict.fromkeys(found))


def _complete(
  groups: Sequence[results.Group | None],
) -> list[results.Group] | None:
  """Returns a point's groups; None where a fold of it failed."""
  found = [g for g in groups if g is not None]
  return found if len(found) == len(groups) else None


def _cells(
  points: list[list[results.Group]], weight_WxB: np.ndarray
) -> dict[str, list[statistics.Cell]]:
  cells: dict[str, list[statistics.Cell]] = {m: [] for m in metrics_lib.METRICS}
  for groups in points:
    drawn = statistics.resample(groups, weight_WxB)
    for metric, mean in results.point(groups).items():
      low, high = statistics.interval(
        drawn[metric], num_brands=weight_WxB.shape[1]
      )
      cells[metric].append(statistics.Cell(mean=mean, low=low, high=high))
  return cells


def of_epochs(
  methods: Sequence[interface.Method],
  folds: int,
  measured: Measured,
  weight_WxB: np.ndarray,
) -> list[Line]:
  """Collects metrics against epochs; what is not trained is level."""
  lines = []
  for method in _drawn(methods):
    own = [
      _epoch_trial(method, fold=fold, folds=folds) for fold in range(folds)
    ]
    epochs = own[0].epochs
    found = [
      _complete([measured(trial, i) for trial in own])
      for i in range(max(len(epochs), 1))
    ]
    points = [p for p in found if p is not None]
    if len(points) < len(found):
      continue  # one training measures all epochs
    lines.append(
      Line(
        method.name,
        [float(e) for e in epochs],
        _cells(points, weight_WxB),
      )
    )
  return lines


def of_brands(
  methods: Sequence[interface.Method],
  folds: int,
  measured: Measured,
  weight_WxB: np.ndarray,
  shares: Sequence[float],
  num_brands: Callable[[folds_lib.FoldSpec], int],
) -> list[Line]:
  """Collects metrics against the number of training brands.

  Args:
    methods: that take part.
    folds: number of folds.
    measured: returns what was measured.
    weight_WxB: resamples of the brands.
    shares: of `usable_shares`.
    num_brands: how many brands are trained on in a fold.

  Returns:
    A line a method.
  """
  lines = []
  for method in _drawn(methods):
    points, x = [], []
    for share in shares:
      specs = [
        folds_lib.FoldSpec(_SEED, fold, folds, share) for fold in range(folds)
      ]
      groups = _complete(
        [measured(measurement.Trial(method.key, s), 0) for s in specs]
      )
      if groups is not None:
        x.append(float(np.mean([num_brands(s) for s in specs])))
        points.append(groups)
    if points:
      lines.append(Line(method.name, x, _cells(points, weight_WxB)))
  return lines


def to_csv(kind: str, lines: Sequence[Line]) -> str:
  """Writes every number of a picture."""
  out = io.StringIO()
  writer = csv.writer(out, lineterminator='\n')
  writer.writerow([kind, 'method', 'metric', 'mean', 'low', 'high'])
  for line in lines:
    for metric, cells in line.cells.items():
      at: list[object] = [*line.x] or ['']
      for x, cell in zip(at, cells, strict=True):
        writer.writerow(
          '' if v is None else v
          for v in (x, line.name, metric, cell.mean, cell.low, cell.high)
        )
  return out.getvalue()
