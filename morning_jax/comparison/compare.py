"""Compares methods on the same folds, with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Mapping
import os
import tempfile
from typing import Any

import ml_collections

from morning_jax.checkpoint import workdir as workdir_lib
from morning_jax.comparison import options as options_lib
from morning_jax.comparison import protocol
from morning_jax.comparison import report
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.reporting import console

Options = options_lib.Options
SPLITS = options_lib.SPLITS


def _prepare(run: protocol.Comparison) -> None:
  """Makes the folders of a comparison, and tries to write there.

  Raises:
    UserError: that can't be done, or there is a folder where a file goes.
  """
  try:
    for folder in (run.workdir, *map(run.store.folder, run.methods)):
      folder.mkdir(parents=True, exist_ok=True)
      with tempfile.TemporaryFile(dir=folder):
        pass
  except OSError as e:
    raise errors.UserError(
      f'--workdir={run.workdir}: is no folder that can be written:'
      f' {folder}: {e.strerror or e}'
    ) from None
  for name in report.FILES:
    if (run.workdir / name).is_dir():
      raise errors.UserError(
        f'--workdir={run.workdir}: {name} there is a folder; a file of this'
        ' name is to be written'
      )


def compare(
  dataset: accounts_lib.Dataset,
  recipes: Mapping[str, ml_collections.ConfigDict],
  options: Options,
  workdir: str | os.PathLike[str],
) -> dict[str, Any]:
  """Trains and evaluates every method on the same folds; writes tables.

  Args:
    dataset: the data set; its training brands are split into folds.
    recipes: variant of configs/morning.py -> configuration.
    options: what to compare.
    workdir: gets `table.txt`, `.csv`, `.md`, `.tex`, `per_category.csv`,
      `.md`, `results.json`, and pictures; of the test brands, the tables with
      `test_` before their names. What was measured before is taken from it.

  Returns:
    What `results.json` holds.

  Raises:
    UserError: an option, the data or the folder can't be used, or another
      comparison works in the folder.
  """
  workdir = files.real_path(workdir)
  run = protocol.Comparison(dataset, recipes, options, workdir)
  _prepare(run)
  with workdir_lib.hold(workdir):
    for folder in (workdir, *map(run.store.folder, run.methods)):
      files.remove_abandoned(folder)
    console.say(f'working folder: {workdir}')
    run.measure()
    return report.write(run)
