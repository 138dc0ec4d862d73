"""Trains and evaluates every fold over brands."""

from __future__ import annotations

import os
from typing import Any

import ml_collections

from morning_jax.checkpoint import workdir as workdir_lib
from morning_jax.core import files
from morning_jax.core import multihost
from morning_jax.data import dataset as dataset_lib
from morning_jax.evaluation import tables
from morning_jax.reporting import console
from morning_jax.training import programs as programs_lib
from morning_jax.training import termination as termination_lib
from morning_jax.training import train


def cross_validate(
  config: ml_collections.ConfigDict, workdir: str | os.PathLike[str]
) -> bool:
  """Trains and evaluates each fold in a folder of its own.

  Args:
    config: with `data.folds` set and `data.fold` below 0.
    workdir: gets `fold-1`, `fold-2`, ... and a `metrics.json` with the mean
      and standard error over the folds.

  Returns:
    Whether all folds are finished; False after a SIGTERM.
  """
  workdir = files.real_path(workdir)
  dataset = dataset_lib.load(config.data)
  count = config.data.folds
  folds: list[dict[str, Any]] = []
  programs = programs_lib.Kept()
  with termination_lib.remembered() as termination:
    for index in range(count):
      # Also one that came while a fold was evaluated in the end.
      if folds and multihost.any_of(termination.requested):
        console.say(f'stopped by SIGTERM after fold {index} of {count}')
        return False
      # A plain copy would share the parts, and the caller's would change.
      fold_config = config.copy_and_resolve_references()
      fold_config.data.fold = index
      console.say(f'\n== fold {index + 1} of {count}')
      outcome = train.train(
        fold_config,
        workdir / f'fold-{index + 1}',
        dataset=dataset,
        programs=programs,
      )
      if not outcome.finished:
        return False
      folds.append(outcome.metrics['test'])
  table, summary = tables.of_folds(folds)
  workdir_lib.write_metrics(
    workdir / workdir_lib.METRICS_FILE,
    {'cross_validation': summary, 'folds': folds},
  )
  console.say(f'\n== cross-validation\n{table}')
  return True
