"""Runs tasks on this machine: in this process, or in one for each core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import dataclasses
import os
from typing import Protocol

from morning_jax.core import errors
from morning_jax.core import pool
from morning_jax.features.stages import task as task_lib
from morning_jax.reporting import console

# Workers have one core each, and leave the accelerators to this process.
_WORKER = {
  'JAX_PLATFORMS': 'cpu',
  'NPROC': '1',
  'OMP_NUM_THREADS': '1',
  'OPENBLAS_NUM_THREADS': '1',
  'MKL_NUM_THREADS': '1',
}


class Runner(Protocol):
  """Whoever gets shards done."""

  def run(
    self, task: task_lib.Task, shards: Sequence[int]
  ) -> Iterator[task_lib.Failure | None]:
    """Does shards in any order and yields each one's outcome when it is known.

    Args:
      task: what to do.
      shards: those to do, at least one.
    """


@dataclasses.dataclass(frozen=True)
class LocalRunner:
  """Works on this machine.

  Attributes:
    workers: processes; 1 works in this one.
  """

  workers: int = 1

  def run(
    self, task: task_lib.Task, shards: Sequence[int]
  ) -> Iterator[task_lib.Failure | None]:
    """Does shards; see `Runner`."""
    if task.in_process or self.workers == 1 or len(shards) == 1:
      for shard in shards:
        yield task.do(shard)
      return
    found = pool.run(
      task_lib.do, shards, (task,), jobs=self.workers, environment=_WORKER
    )
    with contextlib.closing(found):
      try:
        for _, failure in found:
          yield failure
      except pool.WorkerDied:
        raise errors.UserError(
          f'{task.name}: a worker process ended on its own; memory may not'
          ' suffice for so many: try --workers=1'
        ) from None


def cores() -> int:
  """Returns how many cores this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def complete(task: task_lib.Task, runner: Runner) -> None:
  """Gets all shards of a task done that are not done yet, showing progress.

  Args:
    task: what to do.
    runner: who does it.

  Raises:
    UserError: a shard can't be done; of several, the first one's reason.
    OSError: a result can't be written.
  """
  left = [i for i in range(task.shards) if not task.is_done(i)]
  if not left:
    return
  failures: list[task_lib.Failure] = []
  with console.Progress(
    total=task.shards,
    unit='shards',
    title=task.name,
    initial=task.shards - len(left),
  ) as progress:
    outcomes = runner.run(task, left)
    for failure in outcomes:
      progress.advance(1)
      if failure is not None:
        failures.append(failure)
        if failure.number is not None:
          break  # a full disk gets no emptier
  if failures:
    raise min(failures, key=lambda f: f.shard).raised()
