"""Trains a model in a working folder, from scratch or from where it stopped."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import jax
import ml_collections

from morning_jax.checkpoint import workdir as workdir_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import multihost
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import splits as splits_lib
from morning_jax.evaluation import evaluate as evaluate_lib
from morning_jax.evaluation import tables
from morning_jax.reporting import console
from morning_jax.reporting import parameters
from morning_jax.reporting import tensorboard
from morning_jax.training import config_check
from morning_jax.training import loop as loop_lib
from morning_jax.training import programs as programs_lib
from morning_jax.training import run as run_lib
from morning_jax.training import termination as termination_lib
from morning_jax.training import trainer as trainer_lib


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a run ended.

  Attributes:
    finished: False where SIGTERM stopped it after a save.
    step: the step it reached.
    metrics: split -> metrics of the best model; empty if unfinished.
  """

  finished: bool
  step: int
  metrics: dict[str, dict[str, Any]]


def _held_out(
  run: trainer_lib.Trainer,
) -> tuple[list[splits_lib.Split], list[str]]:
  """Chooses the splits to evaluate in the end; adds notes to them."""
  names = [
    name
    for name in ('valid', 'test')
    if splits_lib.select(run.dataset, name) is not None
  ]
  return evaluate_lib.choose_splits(
    run.dataset, tuple(names) if 'test' in names else None
  )


def _known(run: trainer_lib.Trainer) -> dict[str, dict[str, Any]] | None:
  """Returns the best checkpoint's metrics, if they are written."""
  best = run.checkpoints.best_step()
  if best is None:
    best = run.checkpoints.steps()[-1]
  return workdir_lib.known_metrics(
    run.workdir, splits={s.name for s in _held_out(run)[0]}, step=best
  )


def _finish(run: trainer_lib.Trainer) -> dict[str, dict[str, Any]]:
  """Evaluates the best checkpoint on the brands held out."""
  restored = run.checkpoints.restore(
    lambda _: {'params': run.abstract_params}, prefer_best=True
  )
  chosen, notes = _held_out(run)
  console.notes(notes)
  return {
    split.name: loop_lib.evaluate(
      run, restored.items['params'], split, step=restored.step
    )
    for split in chosen
  }


def train(
  config: ml_collections.ConfigDict,
  workdir: str | os.PathLike[str],
  *,
  dataset: accounts_lib.Dataset | None = None,
  programs: programs_lib.Kept | None = None,
) -> Outcome:
  """Trains, or resumes, and evaluates at the end.

  Args:
    config: the configuration (configs/morning.py).
    workdir: where checkpoints, TensorBoard scalars and `metrics.json` go. With
      checkpoints in it, training goes on from the newest; where training is
      finished, nothing is trained.
    dataset: the data, if it is loaded already; else what the configuration
      names.
    programs: what was compiled for earlier runs, if any; gets this run's.

  Returns:
    How the run ended.

  Raises:
    UserError: the configuration, the data or the folder can't be used.
    DivergedError: a loss part is not finite any more.
  """
  config_check.check(config)
  workdir = files.real_path(workdir)
  if os.path.lexists(workdir) and not workdir.is_dir():
    raise errors.UserError(f'--workdir={workdir}: is no folder')
  if dataset is None:
    dataset = dataset_lib.load(config.data)
  data_fingerprint = dataset_lib.fingerprint(dataset)
  multihost.check_same(
    {
      '--workdir': str(workdir),
      '--config': config.to_json(),
      'the data': data_fingerprint,
    }
  )
  dataset = dataset_lib.assign_splits(dataset, config)
  config = _with_absolute_paths(config)
  with workdir_lib.hold(workdir), termination_lib.remembered() as termination:
    run, state, progress = run_lib.build(
      config, dataset, data_fingerprint, workdir, programs=programs
    )
    with jax.set_mesh(run.mesh):
      at = loop_lib.Position(
        state=state, step=int(state.step), progress=progress
      )
      return _train(run, at, termination)


def _with_absolute_paths(
  config: ml_collections.ConfigDict,
) -> ml_collections.ConfigDict:
  """Returns a configuration whose data is found from any folder."""
  config = config.copy_and_resolve_references()
  for field in ('bundle', 'data_dir'):
    if config.data[field]:
      config.data[field] = os.path.abspath(config.data[field])
  return config


def _train(
  run: trainer_lib.Trainer,
  at: loop_lib.Position,
  termination: termination_lib.Termination,
) -> Outcome:
  """Does what `train` does, in a working folder of its own."""
  workdir, num_steps = run.workdir, run.plan.num_steps
  console.say(f'working folder: {workdir}')
  patience = run.config.evaluation.patience
  finished = at.step >= num_steps or at.progress.is_over(patience)
  known = _known(run) if finished else None
  if known is not None:
    console.say(
      f'{workdir} is finished: {at.step} steps are trained; nothing to do'
    )
    console.say('\n' + tables.of_splits(known))
    return Outcome(finished=True, step=at.step, metrics=known)
  workdir_lib.remove_metrics(workdir)
  if at.step:
    console.say(f'resuming after step {at.step} of {num_steps}')
  else:
    console.say(parameters.of_parameters(at.state.params))
    console.say(
      f'\n{int(run.data.num_positives):,} positives of'
      f' {run.num_brands:,} brands,'
      f' {int(run.data.lists.num_candidates):,} influencers;'
      f' {num_steps:,} steps of {run.config.train.batch_size} on'
      f' {run.mesh.size} device(s)'
    )
  written = tensorboard.Scalars(workdir, first_step=at.step)
  try:
    finished = loop_lib.run_to_end(run, at, written, termination)
    if run.stream:
      console.say(run.stream.clock.summary())
    run.checkpoints.wait()
    # What is saved can be evaluated by the next run.
    if not finished or multihost.any_of(termination.requested):
      console.say(
        f'stopped by SIGTERM after step {at.step} of {num_steps}, saved'
      )
      return Outcome(finished=False, step=at.step, metrics={})
    results = _finish(run)
  finally:
    if run.stream:
      run.stream.close()
    run.checkpoints.close()
    written.close()
  workdir_lib.write_metrics(workdir / workdir_lib.METRICS_FILE, results)
  multihost.wait_for_all('metrics written')
  console.say('\n' + tables.of_splits(results))
  return Outcome(finished=True, step=at.step, metrics=results)
