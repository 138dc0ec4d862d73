"""Reading one checkpoint, and checking every array of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import pathlib
from typing import Any

from etils import epath  # Orbax's own paths; it brings the library
from orbax import checkpoint as ocp

from morning_jax.checkpoint import checksums
from morning_jax.checkpoint import failures
from morning_jax.checkpoint import meta_file

# Given a checkpoint's `meta`, returns trees of ShapeDtypeStructs with shardings
# for the items that are wanted.
Targets = Callable[[Mapping[str, Any]], Mapping[str, Any]]


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


def read(folder: pathlib.Path, name: str, targets: Targets) -> Restored:
  """Reads a checkpoint. All processes call it, and it fails for all or none.

  Args:
    folder: the checkpoint's; its name is the step.
    name: what messages call it.
    targets: says, given its `meta`, what to read.

  Raises:
    CorruptError: it is damaged.
    CheckpointError: it can't be read for a reason that says nothing of what is
      in it, or its arrays are not those of the model.
  """
  failure: Exception | None = None
  try:
    meta = meta_file.read(folder)
  except (
    OSError,
    MemoryError,
    failures.CorruptError,
    failures.CheckpointError,
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
    raise failures.CheckpointError(
      f'{name} does not fit the model: {"; ".join(lines)}'
    )
  try:
    items = {
      item: _read_item(folder / item, tree) for item, tree in wanted.items()
    }
  except Exception as e:  # Orbax raises many kinds for damaged files.
    failure = e
  failures.raise_together(name, failure)
  for item, tree in items.items():
    actual = checksums.describe(tree)
    for path, expected in meta['arrays'][item].items():
      if actual.get(path) != expected:
        raise failures.CorruptError(f'array {item}/{path} fails its checksum')
  return Restored(step=meta['step'], items=items, meta=meta)


def _read_item(folder: pathlib.Path, target: Any) -> Any:
  # Orbax's manager would read more than what is asked for, and wait for other
  # processes, which may have failed.
  handler = ocp.StandardCheckpointHandler()
  try:
    return handler.restore(
      epath.Path(folder), args=ocp.args.StandardRestore(target)
    )
  finally:
    handler.close()
