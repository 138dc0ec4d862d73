"""Complete, checked checkpoints; Orbax lives only here.

A checkpoint holds named trees of arrays (the parameters, the optimizer's state,
what was fitted to the data) and `meta`: configuration, data fingerprint,
progress, checksums, format version. Orbax restores flipped bits without a word,
so every array carries a checksum, and the checksums a checksum of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from typing import Any
import zlib

from orbax import checkpoint as ocp

from morning_jax import errors
from morning_jax import processes
from morning_jax import stored_arrays
from morning_jax.reporting import console

FORMAT_VERSION = 1
_FOLDER = 'checkpoints'


class CheckpointError(errors.UserError):
  """A checkpoint that can't be used; the message says why."""


class _CorruptError(Exception):
  """One checkpoint is damaged; an earlier one may serve."""


@dataclasses.dataclass(frozen=True)
class Restored:
  """What came back from a checkpoint.

  Attributes:
    step: the step after which it was saved.
    items: item -> pytree, those that were asked for.
    meta: what was saved beside the arrays.
  """

  step: int
  items: dict[str, Any]
  meta: dict[str, Any]


def _digest(meta: Mapping[str, Any]) -> int:
  return zlib.crc32(json.dumps(meta, sort_keys=True).encode())


class Checkpoints:
  """The checkpoints of one working folder.

  Saves run in the background. The newest `max_to_keep` are kept, and the best
  by `best_metric`.
  """

  def __init__(
    self,
    workdir: str | os.PathLike[str],
    *,
    max_to_keep: int = 2,
    best_metric: str = 'map',
    read_only: bool = False,
  ):
    """Opens the folder.

    Args:
      workdir: the working folder.
      max_to_keep: how many of the newest to keep, at least 1.
      best_metric: the metric, higher is better, whose best is kept too.
      read_only: whether nothing may be written or removed.
    """
    if max_to_keep < 1:
      raise errors.UserError('config.checkpoint.max_to_keep must be at least 1')
    self._folder = pathlib.Path(workdir).resolve() / _FOLDER
    self._best_metric = best_metric
    self._read_only = read_only
    policies = ocp.checkpoint_managers
    self._options = ocp.CheckpointManagerOptions(
      best_fn=lambda metrics: metrics[best_metric],
      preservation_policy=policies.AnyPreservationPolicy(
        [
          policies.LatestN(max_to_keep),
          policies.BestN(
            get_metric_fn=lambda metrics: metrics[best_metric],
            n=1,
            keep_checkpoints_without_metrics=False,
          ),
        ]
      ),
      cleanup_tmp_directories=not read_only,
      create=not read_only,
      read_only=read_only,
    )
    self._manager: ocp.CheckpointManager | None = None

  def _open(self) -> ocp.CheckpointManager:
    if self._manager is None:
      self._manager = ocp.CheckpointManager(self._folder, options=self._options)
    return self._manager

  def _reader(self) -> ocp.CheckpointManager:
    return ocp.CheckpointManager(
      self._folder,
      options=ocp.CheckpointManagerOptions(
        create=False, read_only=True, enable_async_checkpointing=False
      ),
    )

  def steps(self) -> list[int]:
    """Lists the steps that have a checkpoint, ascending."""
    if not self._folder.is_dir():
      return []
    return sorted(
      int(p.name) for p in self._folder.iterdir() if p.name.isdigit()
    )

  def save(
    self,
    step: int,
    *,
    items: Mapping[str, Any],
    meta: Mapping[str, Any],
    metrics: Mapping[str, float] | None,
  ) -> None:
    """Starts to save; returns once the arrays may be donated.

    Args:
      step: the step after which the state stands; newer than all saved ones.
      items: item -> pytree of arrays; none is empty.
      meta: JSON-able: configuration, data fingerprint, progress.
      metrics: of the validation brands, if they were evaluated.
    """
    whole = {
      **meta,
      'format_version': FORMAT_VERSION,
      'step': step,
      'arrays': {
        name: stored_arrays.describe(tree) for name, tree in items.items()
      },
    }
    saved = self._open().save(
      step,
      args=ocp.args.Composite(
        **{k: ocp.args.StandardSave(tree) for k, tree in items.items()},
        meta=ocp.args.JsonSave({'content': whole, 'crc32': _digest(whole)}),
      ),
      metrics=None if metrics is None else dict(metrics),
    )
    if not saved:
      raise RuntimeError(f'step {step} is not newer than the saved ones')

  def read_meta(self, step: int) -> dict[str, Any]:
    """Reads what was saved beside the arrays of one checkpoint.

    Raises:
      _CorruptError: it is damaged.
      CheckpointError: a newer version of the software wrote it.
    """
    path = self._folder / str(step) / 'meta' / 'metadata'
    try:
      stored = json.loads(path.read_text(encoding='utf-8'))
      content = stored['content']
      intact = stored['crc32'] == _digest(content)
    except (OSError, ValueError, KeyError, TypeError) as e:
      raise _CorruptError(f'its metadata is unreadable ({_short(e)})') from e
    if not intact:
      raise _CorruptError('its metadata fails its checksum')
    if content['format_version'] != FORMAT_VERSION:
      raise CheckpointError(
        f'{path.parent.parent}: has format version'
        f' {content["format_version"]}, this software reads {FORMAT_VERSION}'
      )
    return content

  def best_step(self) -> int | None:
    """Returns the step with the best validation metric; None without one."""
    best, value = None, -float('inf')
    for step in self.steps():
      path = self._folder / str(step) / 'metrics' / 'metrics'
      try:
        metric = json.loads(path.read_text(encoding='utf-8'))[self._best_metric]
      except (OSError, ValueError, KeyError, TypeError):
        continue
      if metric is not None and metric >= value:
        best, value = step, metric
    return best

  def restore(
    self,
    targets: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    *,
    prefer_best: bool = False,
  ) -> Restored:
    """Restores the newest intact checkpoint, or the best one.

    A damaged one is reported and passed over for the newest of the others;
    when not read-only it is moved aside, so that its step can be saved again.

    Args:
      targets: given a checkpoint's `meta`, returns trees of ShapeDtypeStructs
        with shardings for the items that are wanted.
      prefer_best: whether to try the best checkpoint first.

    Returns:
      The arrays, on the shardings asked for.

    Raises:
      CheckpointError: there is none, none is intact, or the arrays are not
        those of the model; then every difference is listed.
    """
    order = self.steps()[::-1]
    if not order:
      raise CheckpointError(f'{self._folder.parent}: has no checkpoint')
    if prefer_best:
      best = self.best_step()
      order.sort(key=lambda step: step != best)
    for step in order:
      try:
        return self._restore_step(step, targets)
      except _CorruptError as e:
        console.note(
          f'checkpoint {step} of {self._folder.parent} is corrupt ({e});'
          ' falling back to another one'
        )
        if not self._read_only:
          self._set_aside(step)
    raise CheckpointError(
      f'{self._folder.parent}: all {len(order)} checkpoints are corrupt; train'
      ' in a new folder, or bring the files back from a copy'
    )

  def _restore_step(
    self,
    step: int,
    targets: Callable[[Mapping[str, Any]], Mapping[str, Any]],
  ) -> Restored:
    meta = self.read_meta(step)
    wanted = targets(meta)
    lines = [
      f'{name}/{line}'
      for name, tree in wanted.items()
      for line in stored_arrays.mismatches(meta['arrays'].get(name, {}), tree)
    ]
    if lines:
      raise CheckpointError(
        f'{self._folder.parent}: checkpoint {step} does not fit the model: '
        + '; '.join(lines)
      )
    if not wanted:
      return Restored(step=step, items={}, meta=meta)
    failure: Exception | None = None
    try:
      with contextlib.closing(self._reader()) as manager:
        arrays = manager.restore(
          step,
          args=ocp.args.Composite(
            **{k: ocp.args.StandardRestore(v) for k, v in wanted.items()}
          ),
        )
    except Exception as e:  # Orbax raises many kinds for damaged files.
      failure = e
    # Each process reads its own part: what one can't read is corrupt for all.
    if processes.any_of(failure is not None):
      raise _CorruptError(
        _short(failure) if failure else 'another process can not read it'
      ) from failure
    for name in wanted:
      actual = stored_arrays.describe(arrays[name])
      for path, expected in meta['arrays'][name].items():
        if actual[path] != expected:
          raise _CorruptError(f'array {name}/{path} fails its checksum')
    return Restored(
      step=step, items={name: arrays[name] for name in wanted}, meta=meta
    )

  def _set_aside(self, step: int) -> None:
    self.close()
    if processes.is_first():
      source = self._folder / str(step)
      target = self._folder / f'corrupt-{step}'
      shutil.rmtree(target, ignore_errors=True)
      source.rename(target)
    processes.wait_for_all('checkpoint set aside')

  def wait(self) -> None:
    """Waits until everything is on disk."""
    if self._manager is not None:
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits and releases the folder."""
    if self._manager is not None:
      self._manager.close()
      self._manager = None


def _short(error: Exception) -> str:
  text = ' '.join(str(error).split())
  return f'{type(error).__name__}: {text[:120]}'
