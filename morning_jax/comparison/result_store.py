"""Results of finished trials in the working folder, a file each."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from morning_jax.comparison import measurement
from morning_jax.comparison import results
from morning_jax.comparison.methods import interface
from morning_jax.core import files
from morning_jax.evaluation import metrics as metrics_lib

_FOLDER = 'parts'


def file_of(trial: measurement.Trial) -> pathlib.PurePosixPath:
  """Returns where a trial's result is stored, below the working folder."""
  fold = trial.fold
  place = f'fold-{fold.index + 1}-of-{fold.count}'
  name = f'seed-{fold.seed}-{place if fold.count > 1 else "test"}'
  if fold.share < 1:
    name += f'-share-{100 * fold.share:g}'
  if trial.epochs:
    name += '-epochs'
  return pathlib.PurePosixPath(_FOLDER, trial.method, f'{name}.json')


class ResultStore:
  """The results that are valid for what would be measured now."""

  def __init__(self, workdir: pathlib.Path, *depends_on: str):
    """Opens the results.

    Args:
      workdir: the working folder.
      *depends_on: digests of everything that results depend on beside the
        trial and its method.
    """
    self._workdir = workdir
    self._depends_on = depends_on

  def folder(self, method: interface.Method) -> pathlib.Path:
    """Returns where a method's results are stored."""
    return self._workdir / _FOLDER / method.key

  def _fingerprint(
    self, trial: measurement.Trial, method: interface.Method
  ) -> str:
    recipe = method.recipe
    return files.digest(
      *self._depends_on,
      dataclasses.asdict(trial),
      None if recipe is None else json.loads(recipe.to_json()),
    )

  def read(
    self, trial: measurement.Trial, method: interface.Method
  ) -> list[metrics_lib.BrandStatistics] | None:
    """Returns a trial's result; None where it is missing, damaged or stale."""
    try:
      text = (self._workdir / file_of(trial)).read_text('utf-8')
      stored = json.loads(text)
      if stored['fingerprint'] != self._fingerprint(trial, method):
        return None
      statistics = stored['statistics']
      if stored['digest'] != files.digest(statistics):
        return None
      return [results.from_json(s) for s in statistics]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
      return None

  def write(
    self,
    trial: measurement.Trial,
    method: interface.Method,
    statistics: list[metrics_lib.BrandStatistics],
  ) -> None:
    """Stores a trial's result; the file appears whole or not at all."""
    plain = [results.to_json(s) for s in statistics]
    files.write_json(
      self._workdir / file_of(trial),
      {
        'fingerprint': self._fingerprint(trial, method),
        'digest': files.digest(plain),
        'statistics': plain,
      },
    )
