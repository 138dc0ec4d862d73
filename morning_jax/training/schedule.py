"""When a run dispatches, evaluates and ends."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Schedule:
  """Where dispatches end.

  The stops depend on the configuration alone, never on where a run was
  interrupted, so that a resumed run takes its steps in the very same programs.

  Attributes:
    num_steps: steps of the whole run.
    evaluate_every: steps from one evaluation and save to the next.
    steps_per_call: most steps of a dispatch.
  """

  num_steps: int
  evaluate_every: int
  steps_per_call: int

  def next_stop(self, step: int) -> int:
    """Returns where the dispatch that starts at a step ends."""
    evaluated = step - step % self.evaluate_every
    dispatches = (step - evaluated) // self.steps_per_call + 1
    return min(
      evaluated + dispatches * self.steps_per_call,
      evaluated + self.evaluate_every,
      self.num_steps,
    )

  def is_saved(self, step: int) -> bool:
    """Tells whether a run evaluates and saves after a step."""
    return step % self.evaluate_every == 0 or step >= self.num_steps


def steps_per_call(period: int, *, most: int) -> int:
  """Divides the steps between two evaluations into dispatches.

  Some more dispatches than needed are taken where that makes all equally long;
  else the last of a period is shorter.

  Args:
    period: steps from one evaluation to the next.
    most: most steps of a dispatch.

  Returns:
    The steps of a dispatch.
  """
  fewest = -(-period // most)
  equal = (n for n in range(fewest, 2 * fewest) if period % n == 0)
  return -(-period // next(equal, fewest))


@dataclasses.dataclass(frozen=True)
class Progress:
  """What a run knows of its evaluations; saved with every checkpoint.

  Attributes:
    best_map: the best MAP of the validation brands; None before the first.
    best_step: the step that has it; of equals the newest.
    evaluations_without_gain: evaluations since MAP last rose.
  """

  best_map: float | None = None
  best_step: int | None = None
  evaluations_without_gain: int = 0

  def after(self, step: int, metrics: Mapping[str, Any]) -> Progress:
    """Returns the progress after an evaluation of the validation brands."""
    gained = self.best_map is None or metrics['map'] > self.best_map
    best = gained or metrics['map'] == self.best_map
    return Progress(
      best_map=metrics['map'] if best else self.best_map,
      best_step=step if best else self.best_step,
      evaluations_without_gain=0
      if gained
      else self.evaluations_without_gain + 1,
    )

  def is_over(self, patience: int) -> bool:
    """Tells whether MAP has stopped rising; never where patience is 0."""
    return bool(patience) and self.evaluations_without_gain >= patience
