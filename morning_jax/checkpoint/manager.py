"""Complete, checked checkpoints; Orbax lives only here.

A checkpoint holds named trees of arrays (the parameters, the optimizer's state,
what was fitted to the data) and `meta`: configuration, data fingerprint,
progress, metrics, checksums, format version. Orbax restores flipped bits
without a word, so every array carries a checksum, and `meta` one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import os
from typing import Any

from orbax import checkpoint as ocp

from morning_jax.checkpoint import checksums
from morning_jax.checkpoint import event_loops
from morning_jax.checkpoint import failures
from morning_jax.checkpoint import listing
from morning_jax.checkpoint import meta_file
from morning_jax.checkpoint import reading
from morning_jax.checkpoint import retention
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import multihost
from morning_jax.reporting import console

_FOLDER = 'checkpoints'

CheckpointError = failures.CheckpointError
Restored = reading.Restored


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
    self._folder = files.real_path(workdir) / _FOLDER
    self._max_to_keep = max_to_keep
    self._best_metric = best_metric
    self._read_only = read_only
    self._manager: ocp.CheckpointManager | None = None
    # While saving: what there is, and the step that is being saved.
    self._survey = listing.Survey({}, {}, {})
    self._saving = 0
    event_loops.install()

  def _open(self) -> ocp.CheckpointManager:
    """Opens Orbax's manager, which saves and removes; it restores nothing."""
    assert not self._read_only
    if self._manager is None:
      self._survey = listing.survey(self._folder, self._best_metric)
      self._manager = ocp.CheckpointManager(
        self._folder,
        options=ocp.CheckpointManagerOptions(
          preservation_policy=retention.Policy(self._kept),
          cleanup_tmp_directories=True,
          create=True,
          async_options=ocp.AsyncOptions(
            post_finalization_callback=self._make_durable
          ),
        ),
      )
    return self._manager

  def _kept(self, steps: Iterable[int]) -> set[int]:
    known = self._survey
    metrics = {step: known.metrics.get(step) for step in steps}
    return retention.kept(metrics, self._max_to_keep) | known.unreadable.keys()

  def _make_durable(self) -> None:
    """Puts all that is saved on the disk, before it takes its name.

    Orbax calls this just then. It removes others after that: a file system with
    a journal keeps to that order through a power cut.
    """
    for draft in self._folder.glob(f'{self._saving}{retention.INCOMPLETE}*'):
      files.sync_tree(draft)

  def _finish(self, end: Callable[[], None]) -> None:
    """Waits for a save by a function of Orbax, and makes its name last."""
    with files.with_path(self._folder):
      end()
    if multihost.is_first():
      files.sync(self._folder)

  def steps(self) -> list[int]:
    """Lists the steps that have a checkpoint, ascending.

    Of several processes all call it, and get what the first finds.
    """
    return listing.steps(self._folder)

  def check_any(self) -> None:
    """Checks that there is a checkpoint, damaged or not.

    Raises:
      CheckpointError: there is none.
    """
    if not self.steps():
      raise CheckpointError(f'{self._folder.parent}: has no checkpoint')

  def check_new(self) -> None:
    """Checks that a folder without checkpoints never had one.

    Raises:
      CheckpointError: there are none but those that were set aside.
    """
    aside = listing.set_aside(self._folder)
    if aside:
      newest, step = list(aside.items())[-1]
      raise CheckpointError(
        f'{self._folder}: has no checkpoint but {", ".join(aside)}, set aside'
        f' as damaged; rename {newest} to {step} to try it again, or name'
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
      step: the number of steps taken; more than at any saved checkpoint.
      items: item -> pytree of arrays; none is empty.
      meta: JSON-able: configuration, data fingerprint, progress.
      metrics: of the validation brands, if they were evaluated.

    Raises:
      OSError, ValueError: this save, or the one before, can't be written.
    """
    stored = meta_file.content(
      step,
      meta,
      arrays={name: checksums.describe(tree) for name, tree in items.items()},
      metrics=metrics,
    )
    with files.with_path(self._folder):
      manager = self._open()
      self._finish(manager.wait_until_finished)
      self._saving = step
      self._survey.metrics[step] = meta_file.metric(
        stored['content'], self._best_metric
      )
      saved = manager.save(
        step,
        args=ocp.args.Composite(
          **{k: ocp.args.StandardSave(tree) for k, tree in items.items()},
          **{meta_file.ITEM: ocp.args.JsonSave(stored)},
        ),
      )
    if not saved:
      raise RuntimeError(f'step {step} is not newer than the saved ones')

  def read_meta(self, step: int) -> dict[str, Any]:
    """Reads what was saved beside the arrays of one checkpoint.

    Raises:
      OSError: it can't be read.
      CorruptError: it is damaged.
      CheckpointError: another version of the software wrote it.
    """
    return meta_file.read(self._folder / str(step))

  def best_step(self) -> int | None:
    """Returns the step with the best validation metric; None without one.

    Of equals it is the newest. Of several processes all call it, and get what
    the first finds.

    Raises:
      CheckpointError: the metadata of a checkpoint that may be the best can't
        be read, damaged or not.
    """
    return self._best(listing.survey(self._folder, self._best_metric))

  def _best(self, found: listing.Survey) -> int | None:
    for message in found.unreadable.values():
      raise CheckpointError(message)
    return retention.best(found.metrics)

  def _name(self, step: int) -> str:
    return failures.name(self._folder / str(step))

  def restore(
    self,
    targets: reading.Targets,
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
    self.check_any()
    order = self.steps()[::-1]
    corrupt: list[int] = []
    if prefer_best:
      found = listing.survey(self._folder, self._best_metric)
      best = self._best(found)
      # Any of them may be the best: that is said, not passed over.
      order.sort(key=lambda step: (step not in found.corrupt, step != best))
    for step in order:
      try:
        restored = reading.read(
          self._folder / str(step), self._name(step), targets
        )
      except failures.CorruptError as e:
        corrupt.append(step)
        console.note(
          f'checkpoint {step} of {self._folder.parent} is corrupt ({e});'
          ' falling back to another one'
        )
      else:
        if not self._read_only:
          if corrupt:
            self._set_aside(corrupt)
          self._remove_surplus(restored.step)
        return restored
    raise CheckpointError(
      f'{self._folder.parent}: all {len(order)} checkpoints are corrupt; they'
      ' are left as they are; train in a new folder, or bring the files back'
      ' from a copy'
    )

  def _set_aside(self, steps: list[int]) -> None:
    self.close()
    if multihost.is_first():
      for step in steps:
        free = listing.name_aside(self._folder, step)
        (self._folder / str(step)).rename(free)
    multihost.wait_for_all('checkpoints set aside')

  def _remove_surplus(self, restored: int) -> None:
    """Removes what a run left that ended between a save and its clean-up."""
    if self._manager is not None:
      return  # Orbax has done so.
    self._survey = listing.survey(self._folder, self._best_metric)
    steps = self._survey.metrics.keys()
    surplus = steps - self._kept(steps) - {restored}
    if multihost.is_first():
      for step in surplus:
        retention.remove(self._folder / str(step))
    if surplus:
      multihost.wait_for_all('surplus checkpoints removed')

  def wait(self) -> None:
    """Waits until everything is on disk; raises what `save` does."""
    if self._manager is not None:
      self._finish(self._manager.wait_until_finished)

  def close(self) -> None:
    """Waits, as `wait` does, and releases the folder."""
    manager, self._manager = self._manager, None
    if manager is not None:
      self._finish(manager.close)
