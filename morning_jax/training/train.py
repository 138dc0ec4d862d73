"""Trains a model in a working folder, from scratch or from where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
import pathlib
import signal
import threading
from typing import Any

import jax
import ml_collections

from morning_jax.checkpoint import workdir as workdir_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import multihost
from morning_jax.data import pipeline
from morning_jax.data import splits as splits_lib
from morning_jax.evaluation import evaluate as evaluate_lib
from morning_jax.evaluation import evaluator
from morning_jax.evaluation import tables
from morning_jax.reporting import console
from morning_jax.reporting import parameters
from morning_jax.reporting import tensorboard
from morning_jax.training import run as run_lib
from morning_jax.training import step as step_lib


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a run ended.

  Attributes:
    finished: False where SIGTERM stopped it after a save.
    step: the step it stands at.
    metrics: split -> metrics of the model that was kept; empty if unfinished.
  """

  finished: bool
  step: int
  metrics: dict[str, dict[str, Any]]


class _Termination:
  """Remembers a SIGTERM until the state can be saved."""

  def __init__(self) -> None:
    self.requested = False
    self._previous: Any = None

  def _handle(self, *_: object) -> None:
    self.requested = True

  def __enter__(self) -> _Termination:
    if threading.current_thread() is threading.main_thread():
      self._previous = signal.signal(signal.SIGTERM, self._handle)
    return self

  def __exit__(self, *exception: object) -> None:
    if self._previous is not None:
      signal.signal(signal.SIGTERM, self._previous)


def _loop(
  run: run_lib.Run,
  state: step_lib.TrainState,
  scalars_out: tensorboard.Scalars,
  termination: _Termination,
) -> tuple[int, bool]:
  """Runs to the end, or to a SIGTERM.

  Returns:
    The step reached, and whether training is finished.
  """
  step = int(state.step)
  batch_size = run.config.train.batch_size
  saved = set(run.checkpoints.steps())
  vote = multihost.Vote(run.mesh)
  pending: tuple[int, dict[str, jax.Array]] | None = None
  with console.Progress(
    total=run.plan.num_steps * batch_size,
    initial=step * batch_size,
    unit='triplets',
    title='training',
  ) as bar:

    def settle() -> None:
      """Takes in the scalars of the dispatch before."""
      nonlocal pending
      if pending is None:
        return
      first, on_device = pending
      pending = None
      values = jax.device_get(on_device)
      run.check(first, values)
      count = len(values['loss'])
      means = {k: float(v.mean()) for k, v in values.items()}
      means['learning_rate'] = float(run.plan.schedule(first + count - 1))
      if run.stream:
        means['input_wait'] = run.stream.clock.settle()
      scalars_out.write(first + count, 'train', means)
      bar.advance(count * batch_size, loss=f'{means["loss"]:.4g}')

    def save(metrics: Mapping[str, Any] | None) -> None:
      if step not in saved:
        run.save(step, state, metrics)
        saved.add(step)

    while step < run.plan.num_steps and not run.patience_is_over():
      if vote.ask(termination.requested):
        settle()
        save(None)
        return step, False
      stop = run.next_stop(step)
      state, on_device = run.take_steps(state, step, stop)
      settle()  # of the dispatch before, while this one runs
      pending = (step, on_device)
      step = stop
      if step % run.evaluate_every and step < run.plan.num_steps:
        continue
      settle()
      metrics = None
      if run.valid is not None:
        metrics = evaluator.evaluate_split(
          run.scorer, state.params, run.dataset, run.valid, step=step
        ).metrics
        run.progress.add(step, metrics)
        scalars_out.write(step, 'valid', metrics)
      save(metrics)
  return step, True


def _held_out(
  run: run_lib.Run,
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


def _known(run: run_lib.Run) -> dict[str, dict[str, Any]] | None:
  """Returns the metrics of the checkpoint that is kept, if they are written."""
  kept = run.checkpoints.best_step()
  if kept is None:
    kept = run.checkpoints.steps()[-1]
  return workdir_lib.known_metrics(
    run.workdir, splits={s.name for s in _held_out(run)[0]}, step=kept
  )


def _finish(run: run_lib.Run) -> dict[str, dict[str, Any]]:
  """Evaluates the checkpoint that is kept on the brands held out."""
  restored = run.checkpoints.restore(
    lambda meta: {'params': run.targets(meta)['params']}, prefer_best=True
  )
  chosen, notes = _held_out(run)
  console.notes(notes)
  return {
    split.name: evaluator.evaluate_split(
      run.scorer,
      restored.items['params'],
      run.dataset,
      split,
      step=restored.step,
    ).metrics
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
  workdir = pathlib.Path(workdir).resolve()
  if workdir.exists() and not workdir.is_dir():
    raise errors.UserError(f'--workdir={workdir}: is no folder')
  if dataset is None:
    dataset = pipeline.load(config.data)
  data_fingerprint = pipeline.fingerprint(dataset)
  multihost.check_same(
    {
      '--workdir': str(workdir),
      '--config': config.to_json(),
      'the data': data_fingerprint,
    }
  )
  dataset = pipeline.assign_splits(dataset, config)
  with workdir_lib.hold(workdir):
    return _train(run_lib.Run(config, dataset, data_fingerprint, workdir))


def _train(run: run_lib.Run) -> Outcome:
  """Does what `train` does, in a working folder of its own."""
  workdir = run.workdir
  console.say(f'working folder: {workdir}')
  with _Termination() as termination, jax.set_mesh(run.mesh):
    had = run.checkpoints.steps()
    state = run.start()
    step = int(state.step)
    finished = step >= run.plan.num_steps or run.patience_is_over()
    known = _known(run) if finished else None
    if known is not None:
      console.say(
        f'{workdir} is finished: {step} steps are trained; nothing to do'
      )
      console.say('\n' + tables.of_splits(known))
      return Outcome(finished=True, step=step, metrics=known)
    workdir_lib.remove_metrics(workdir)
    if had:
      console.say(f'resuming after step {step} of {run.plan.num_steps}')
    else:
      console.say(parameters.of_parameters(state.params))
      console.say(
        f'\n{run.num_positives:,} positives of {len(run.data.brand_row_B):,}'
        f' brands, {len(run.data.candidate_row_M):,} influencers;'
        f' {run.plan.num_steps:,} steps of {run.config.train.batch_size} on'
        f' {run.mesh.size} device(s)'
      )
    scalars_out = tensorboard.Scalars(workdir, first_step=step)
    try:
      step, finished = _loop(run, state, scalars_out, termination)
      if run.stream:
        console.say(run.stream.clock.summary())
      run.checkpoints.wait()
      if not finished:
        console.say(
          f'stopped by SIGTERM after step {step} of {run.plan.num_steps},'
          ' saved;'
          f' to resume, run the same command with --workdir={workdir}'
        )
        return Outcome(finished=False, step=step, metrics={})
      results = _finish(run)
    finally:
      if run.stream:
        run.stream.close()
      run.checkpoints.close()
      scalars_out.close()
  workdir_lib.write_metrics(workdir / workdir_lib.METRICS_FILE, results)
  multihost.wait_for_all('metrics written')
  console.say('\n' + tables.of_splits(results))
  return Outcome(finished=True, step=step, metrics=results)
