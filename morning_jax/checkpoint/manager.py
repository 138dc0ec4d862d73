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
from typing import Any
import zlib

from orbax import checkpoint as ocp

import morning_jax
from morning_jax.checkpoint import checksums
from morning_jax.checkpoint import event_loops
from morning_jax.checkpoint import failures
from morning_jax.checkpoint import meta as meta_lib
from morning_jax.core import errors
from morning_jax.core import multihost
from morning_jax.reporting import console

_FOLDER = 'checkpoints'
_ASIDE = 'corrupt-'

CheckpointError = failures.CheckpointError


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
    event_loops.install()

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

  def _names(self) -> list[str]:
    """Lists the folder as the first process sees it, for all to act alike."""
    looks = multihost.is_first() and self._folder.is_dir()
    names = os.listdir(self._folder) if looks else []
    return json.loads(multihost.text_of_first(json.dumps(sorted(names))))

  def steps(self) -> list[int]:
    """Lists the steps that have a checkpoint, ascending.

    Of several processes all call it, and get what the first finds.
    """
    return sorted(int(name) for name in self._names() if name.isdigit())

  def check_new(self) -> None:
    """Checks that a folder without checkpoints never had one.

    Raises:
      CheckpointError: there are none but those that were set aside.
    """
    aside = [name for name in self._names() if name.startswith(_ASIDE)]
    if aside:
      step = aside[-1].split('-')[1]
      raise CheckpointError(
        f'{self._folder}: has no checkpoint but {", ".join(aside)}, set aside'
        f' as damaged; rename {aside[-1]} to {step} to try it again, or name'
        ' another --workdir to start from scratch'
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
      'format_version': meta_lib.FORMAT_VERSION,
      'software': morning_jax.__version__,
      'step': step,
      'arrays': {
        name: checksums.describe(tree) for name, tree in items.items()
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
      OSError: it can't be read.
      checkpoint_errors.CorruptError: it is damaged.
      CheckpointError: a newer version of the software wrote it.
    """
    path = self._folder / str(step) / 'meta' / 'metadata'
    try:
      stored = json.loads(path.read_text(encoding='utf-8'))
      content = stored['content']
      intact = stored['crc32'] == _digest(content)
    except (ValueError, KeyError, TypeError) as e:
      raise failures.CorruptError(
        f'its metadata is unreadable ({failures.short(e)})'
      ) from e
    if not intact:
      raise failures.CorruptError('its metadata fails its checksum')
    version = content['format_version']
    if version != meta_lib.FORMAT_VERSION:
      writer = meta_lib.WRITTEN_BY.get(version, content.get('software', '?'))
      raise CheckpointError(
        f'{path.parent.parent}: was written by morning_jax {writer} (format'
        f' {version}); this is morning_jax {morning_jax.__version__}, which'
        f' reads format {meta_lib.FORMAT_VERSION}; train again, or use that'
        ' version'
      )
    return content

  def best_step(self) -> int | None:
    """Returns the step with the best validation metric; None without one.

    Of several processes all call it, and get what the first finds.
    """
    best, value = None, -float('inf')
    for step in self.steps():
      path = self._folder / str(step) / 'metrics' / 'metrics'
      try:
        metric = json.loads(path.read_text(encoding='utf-8'))[self._best_metric]
      except (OSError, ValueError, KeyError, TypeError):
        continue
      if metric is not None and metric >= value:
        best, value = step, metric
    return json.loads(multihost.text_of_first(json.dumps(best)))

  def restore(
    self,
    targets: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    *,
    prefer_best: bool = False,
  ) -> Restored:
    """Restores the newest intact checkpoint, or the best one.

    A damaged one is reported and passed over for the newest of the others.
    When not read-only it is moved aside once another one is restored, so that
    its step can be saved again.

    Args:
      targets: given a checkpoint's `meta`, returns trees of ShapeDtypeStructs
        with shardings for the items that are wanted.
      prefer_best: whether to try the best checkpoint first.

    Returns:
      The arrays, on the shardings asked for.

    Raises:
      CheckpointError: there is none, none is intact, one can't be read for a
        reason that says nothing of what is in it, or the arrays are not those
        of the model; then every difference is listed.
    """
    order = self.steps()[::-1]
    if not order:
      raise CheckpointError(f'{self._folder.parent}: has no checkpoint')
    if prefer_best:
      best = self.best_step()
      order.sort(key=lambda step: step != best)
    corrupt = []
    for step in order:
      try:
        restored = self._restore_step(step, targets)
      except failures.CorruptError as e:
        corrupt.append(step)
        console.note(
          f'checkpoint {step} of {self._folder.parent} is corrupt ({e});'
          ' falling back to another one'
        )
      else:
        if corrupt and not self._read_only:
          self._set_aside(corrupt)
        return restored
    raise CheckpointError(
      f'{self._folder.parent}: all {len(order)} checkpoints are corrupt; they'
      ' are left as they are; train in a new folder, or bring the files back'
      ' from a copy'
    )

  def _restore_step(
    self,
    step: int,
    targets: Callable[[Mapping[str, Any]], Mapping[str, Any]],
  ) -> Restored:
    name = f'{self._folder.parent}: checkpoint {step}'
    failure: Exception | None = None
    try:
      meta = self.read_meta(step)
    except (
      OSError,
      MemoryError,
      failures.CorruptError,
      CheckpointError,
    ) as e:
      failure = e
    failures.raise_together(name, failure)
    wanted = targets(meta)
    lines = [
      f'{item}/{line}'
      for item, tree in wanted.items()
      for line in checksums.mismatches(meta['arrays'].get(item, {}), tree)
    ]
    if lines:
      raise CheckpointError(
        f'{name} does not fit the model: {"; ".join(lines)}'
      )
    if not wanted:
      return Restored(step=step, items={}, meta=meta)
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
    failures.raise_together(name, failure)
    for item in wanted:
      actual = checksums.describe(arrays[item])
      for path, expected in meta['arrays'][item].items():
        if actual[path] != expected:
          raise failures.CorruptError(f'array {item}/{path} fails its checksum')
    return Restored(
      step=step, items={item: arrays[item] for item in wanted}, meta=meta
    )

  def _set_aside(self, steps: list[int]) -> None:
    self.close()
    if multihost.is_first():
      for step in steps:
        target = self._folder / f'{_ASIDE}{step}'
        count = 1
        while target.exists():
          count += 1
          target = self._folder / f'{_ASIDE}{step}-{count}'
        (self._folder / str(step)).rename(target)
    multihost.wait_for_all('checkpoints set aside')

  def wait(self) -> None:
    """Waits until everything is on disk."""
    if self._manager is not None:
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits and releases the folder."""
    if self._manager is not None:
      self._manager.close()
      self._manager = None
