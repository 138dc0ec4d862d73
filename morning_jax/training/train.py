"""Trains a model in a working folder, from scratch or from where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
import pathlib
from typing import Any

import jax
import ml_collections

from morning_jax.checkpoint import workdir as workdir_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import multihost
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import splits as splits_lib
from morning_jax.evaluation import evaluate as evaluate_lib
from morning_jax.evaluation import evaluator
from morning_jax.evaluation import tables
from morning_jax.reporting import console
from morning_jax.reporting import parameters
from morning_jax.reporting import tensorboard
from morning_jax.training import config_check
from morning_jax.training import history
from morning_jax.training import run as run_lib
from morning_jax.training import schedule as schedule_lib
from morning_jax.training import step as step_lib
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


@dataclasses.dataclass
class _Position:
  """Where a run's loop is.

  Attributes:
    state: after `step` steps.
    step: steps that were dispatched.
    progress: of the evaluations.
  """

  state: step_lib.TrainState
  step: int
  progress: schedule_lib.Progress


class _Scalars:
  """Takes in the scalars of dispatches, one dispatch behind the device."""

  def __init__(
    self,
    run: trainer_lib.Trainer,
    written: tensorboard.Scalars,
    bar: console.Progress,
  ):
    self._run, self._written, self._bar = run, written, bar
    self._pending: tuple[int, int, dict[str, jax.Array]] | None = None

  def settle(self) -> None:
    """Waits for the dispatch before, checks it and writes it down."""
    if self._pending is None:
      return
    first, count, on_device = self._pending
    self._pending = None
    values = {k: v[:count] for k, v in jax.device_get(on_device).items()}
    run = self._run
    run.check_finite(first, values)
    means = {k: float(v.mean()) for k, v in values.items()}
    rates = run.plan.learning_rates(first + count - 1, 1)
    means['learning_rate'] = float(rates[0])
    if run.stream:
      means['input_wait'] = run.stream.clock.settle()
    self._written.write(first + count, 'train', means)
    self._bar.advance(
      count * run.config.train.batch_size, loss=f'{means["loss"]:.4g}'
    )

  def add(self, first: int, count: int, scalars: dict[str, jax.Array]) -> None:
    """Settles the dispatch before, while this one runs."""
    self.settle()
    self._pending = (first, count, scalars)


def _loop(
  run: trainer_lib.Trainer,
  at: _Position,
  written: tensorboard.Scalars,
  termination: termination_lib.Termination,
) -> bool:
  """Runs to the end, or to a SIGTERM.

  Returns:
    Whether training is finished; `at` is where it ended.
  """
  batch_size = run.config.train.batch_size
  saved = set(run.checkpoints.steps())
  vote = multihost.Vote(run.mesh)
  evaluations = history.History(run.workdir, step=at.step)
  patience = run.config.evaluation.patience
  unit = 'triplets' if run.config.loss.kind == 'triplet' else 'positives'

  def save(metrics: Mapping[str, Any] | None) -> None:
    if at.step not in saved:
      written.flush()  # what is behind a checkpoint is not written again
      run.save(at.step, at.state, at.progress, metrics)
      saved.add(at.step)

  with console.Progress(
    total=run.plan.num_steps * batch_size,
    initial=at.step * batch_size,
    unit=unit,
    title='training',
  ) as bar:
    scalars = _Scalars(run, written, bar)
    while at.step < run.plan.num_steps and not at.progress.is_over(patience):
      if vote.ask(termination.requested):
        scalars.settle()
        save(None)
        return False
      stop = run.schedule.next_stop(at.step)
      at.state, on_device = run.take_steps(at.state, at.step, stop)
      scalars.add(at.step, stop - at.step, on_device)
      at.step = stop
      if not run.schedule.is_saved(stop):
        continue
      scalars.settle()
      metrics = None
      if run.valid is not None:
        metrics = _evaluate(run, at.state.params, run.valid, step=stop)
        at.progress = at.progress.after(stop, metrics)
        written.write(stop, 'valid', metrics)
        evaluations.add(stop, metrics)
      save(metrics)
  return True


def _evaluate(
  run: trainer_lib.Trainer, params: Any, split: splits_lib.Split, *, step: int
) -> dict[str, Any]:
  try:
    return evaluator.evaluate_split(
      run.scorer, params, run.dataset, split, step=step
    ).metrics
  except FloatingPointError:
    raise run.diverged(
      f'at step {step}, scores of the {split.name} brands are not finite'
    ) from None


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
    split.name: _evaluate(
      run, restored.items['params'], split, step=restored.step
    )
    for split in chosen
  }


def train(
  config: ml_collections.ConfigDict,
  workdir: str | os.PathLike[str],
  *,
  dataset: accounts_lib.Dataset | None = None,
) -> Outcome:
  """Trains, or resumes, and evaluates at the end.

  Args:
    config: the configuration (configs/morning.py).
    workdir: where checkpoints, TensorBoard scalars and `metrics.json` go. With
      checkpoints in it, training goes on from the newest; where training is
      finished, nothing is trained.
    dataset: the data, if it is loaded already; else what the configuration
      names.

  Returns:
    How the run ended.

  Raises:
    UserError: the configuration, the data or the folder can't be used.
    DivergedError: a loss part is not finite any more.
  """
  config_check.check(config)
  workdir = pathlib.Path(workdir).resolve()
  if workdir.exists() and not workdir.is_dir():
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
      config, dataset, data_fingerprint, workdir
    )
    with jax.set_mesh(run.mesh):
      at = _Position(state=state, step=int(state.step), progress=progress)
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
  at: _Position,
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
      f' {len(run.data.brand_row_B):,} brands,'
      f' {int(run.data.lists.num_candidates):,} influencers;'
      f' {num_steps:,} steps of {run.config.train.batch_size} on'
      f' {run.mesh.size} device(s)'
    )
  written = tensorboard.Scalars(workdir, first_step=at.step)
  try:
    finished = _loop(run, at, written, termination)
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
