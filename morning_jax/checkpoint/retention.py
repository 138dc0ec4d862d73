"""Which checkpoints are kept: the newest, and the best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import contextlib
import pathlib
import shutil
from typing import Any

# Of folders that are not complete. Orbax removes them before it saves.
INCOMPLETE = '.orbax-checkpoint-tmp'


def best(metrics: Mapping[int, float | None]) -> int | None:
  """Returns the step with the highest metric, the newest of equal ones.

  Args:
    metrics: step -> its metric, None where it was not measured.

  Returns:
    None where no step has a metric.
  """
  measured = {step: m for step, m in metrics.items() if m is not None}
  return max(measured, key=lambda s: (measured[s], s), default=None)


def kept(metrics: Mapping[int, float | None], max_to_keep: int) -> set[int]:
  """Returns the steps to keep: the newest `max_to_keep`, and the best."""
  steps = set(sorted(metrics)[-max_to_keep:])
  best_step = best(metrics)
  return steps if best_step is None else steps | {best_step}


class Policy:
  """Tells Orbax which checkpoints to keep; it removes the others."""

  def __init__(self, kept_of: Callable[[Iterable[int]], set[int]]):
    """Takes a function from the steps that there are to those to keep."""
    self._kept_of = kept_of

  def should_preserve(
    self, checkpoints: Sequence[Any], *, context: Any
  ) -> Sequence[bool]:
    """Answers for each checkpoint, ascending by step."""
    del context
    keep = self._kept_of(info.step for info in checkpoints)
    return [info.step in keep for info in checkpoints]


def remove(folder: pathlib.Path) -> None:
  """Removes a checkpoint, in one operation for all who list the folder.

  What can't be removed stays; the next save tries again.
  """
  doomed = folder.with_name(folder.name + INCOMPLETE)
  with contextlib.suppress(OSError):
    if doomed.exists():
      shutil.rmtree(doomed)
    folder.rename(doomed)
    shutil.rmtree(doomed)
