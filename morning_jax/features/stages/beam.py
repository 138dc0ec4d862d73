"""Runs tasks under Apache Beam: the same functions, on other machines.

A task's shards are the elements of a pipeline; each worker computes a shard and
stores its result in the folder of stored results, which all must reach under
the same path, and hands back nothing but its outcome. What a process needs
once (a tagger, weights, JAX's devices) it makes with its first shard and keeps.

`--runner=FnApiRunner` runs on this machine. Beam's own default first downloads
a program; it is never asked for here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import json
import pathlib
from typing import Any

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.features.stages import task as task_lib

LOCAL = 'FnApiRunner'


@dataclasses.dataclass(frozen=True)
class BeamRunner:
  """Works through Apache Beam.

  Attributes:
    runner: Beam's name of who runs pipelines, such as `FnApiRunner`,
      `DataflowRunner`, `FlinkRunner`.
    arguments: further options of Beam, as on its command lines.
  """

  runner: str
  arguments: tuple[str, ...] = ()

  def run(
    self, task: task_lib.Task, shards: Sequence[int]
  ) -> Iterator[task_lib.Failure | None]:
    """Does shards; see `runner.Runner`.

    Outcomes are known when the whole pipeline has ended.

    Raises:
      UserError: Beam is not installed, or the pipeline failed.
    """
    beam = _beam()
    outcomes = task.work / 'outcomes'
    outcomes.mkdir(exist_ok=True)
    for old in outcomes.glob(f'{task.key[:24]}-*'):
      old.unlink()
    options = beam.options.pipeline_options.PipelineOptions(
      [f'--runner={self.runner}', *self.arguments]
    )
    try:
      with beam.Pipeline(options=options) as pipeline:
        _ = (
          pipeline
          | 'shards' >> beam.Create(list(shards))
          # Shards that lie side by side would go to one worker.
          | 'spread' >> beam.Reshuffle()
          | task.name >> beam.Map(_do, task)
        )
    except Exception as e:  # of any runner
      raise errors.UserError(
        f'{task.name}: the pipeline of {self.runner} failed:'
        f' {errors.quoted(" ".join(str(e).split())[-200:], limit=200)}'
      ) from e
    for shard in shards:
      yield _outcome(task, shard)


def check(runner: str) -> None:
  """Checks that Beam is there before the work.

  Raises:
    UserError: it is not, or the runner's name is none that is run.
  """
  _beam()
  if runner in ('DirectRunner', 'PrismRunner', 'SwitchingDirectRunner'):
    raise errors.UserError(
      f'--runner={runner}: downloads a program first; {LOCAL} runs here without'
    )


def _do(shard: int, task: task_lib.Task) -> int:
  """Does a shard on a worker; why it could not be is left as a file."""
  failure = task.do(shard)
  if failure is not None:
    files.write_json(_place(task, shard), dataclasses.asdict(failure))
  return shard


def _outcome(task: task_lib.Task, shard: int) -> task_lib.Failure | None:
  place = _place(task, shard)
  if place.exists():
    return task_lib.Failure(**json.loads(place.read_text('utf-8')))
  if not task.is_done(shard):
    raise errors.UserError(
      f'{task.name}: a worker stored nothing of shard {shard} in {task.work};'
      ' can all workers reach that folder?'
    )
  return None


def _place(task: task_lib.Task, shard: int) -> pathlib.Path:
  return task.work / 'outcomes' / f'{task.key[:24]}-{shard:06d}.json'


def _beam() -> Any:
  try:
    import apache_beam as beam
    from apache_beam.options import pipeline_options  # noqa: F401
  except ImportError:
    raise errors.UserError(
      "--runner: needs Apache Beam: pip install 'morning_jax[beam]'"
    ) from None
  return beam
