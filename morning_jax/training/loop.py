"""The loop of training: steps, evaluations and saves until the end."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax

from morning_jax.core import multihost
from morning_jax.data import splits as splits_lib
from morning_jax.evaluation import evaluator
from morning_jax.reporting import console
from morning_jax.reporting import tensorboard
from morning_jax.training import history
from morning_jax.training import schedule as schedule_lib
from morning_jax.training import step as step_lib
from morning_jax.training import termination as termination_lib
from morning_jax.training import trainer as trainer_lib


@dataclasses.dataclass
class Position:
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


def run_to_end(
  run: trainer_lib.Trainer,
  at: Position,
  written: tensorboard.Scalars,
  termination: termination_lib.Termination,
) -> bool:
  """Takes steps, evaluates and saves, to the end or to a SIGTERM.

  Args:
    run: what to train.
    at: where to begin; where it ended, afterwards.
    written: takes scalars.
    termination: tells of a SIGTERM.

  Returns:
    Whether training is finished.

  Raises:
    DivergedError: a loss part or a score is not finite any more.
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
        metrics = evaluate(run, at.state.params, run.valid, step=stop)
        at.progress = at.progress.after(stop, metrics)
        written.write(stop, 'valid', metrics)
        evaluations.add(stop, metrics)
      save(metrics)
  return True


def evaluate(
  run: trainer_lib.Trainer, params: Any, split: splits_lib.Split, *, step: int
) -> dict[str, Any]:
  """Returns the metrics of a split's held-out brands.

  Raises:
    DivergedError: a score is not finite.
  """
  try:
    return evaluator.evaluate_split(
      run.scorer, params, run.dataset, split, step=step
    ).metrics
  except FloatingPointError:
    raise run.diverged(
      f'at step {step}, scores of the {split.name} brands are not finite'
    ) from None
