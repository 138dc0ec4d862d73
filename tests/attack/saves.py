"""A launcher that does nothing but save, as training does, for attacks.

Its words: a working folder, and how many bytes a file may have from the second
save on (0: any number).
"""

from __future__ import annotations

import pathlib
import resource

import jax
import numpy as np

from launch import command_line
from morning_jax.checkpoint import manager
from morning_jax.checkpoint import workdir
from morning_jax.core import sharding
from morning_jax.reporting import tensorboard

COUNT = 2


def tree(count: int, seed: int) -> dict[str, jax.Array]:
  """Arrays of several sizes: some take many blocks of a disk."""
  rng = np.random.default_rng(seed)
  return {
    f'{i}': jax.device_put(rng.normal(size=(64, 9 * i + 4)).astype(np.float32))
    for i in range(count)
  }


def items(step: int) -> dict[str, dict[str, jax.Array]]:
  """What is saved after a step."""
  return {'params': tree(3, step), 'training': tree(4, step)}


def targets(meta):
  """What is restored."""
  del meta
  put = sharding.replicated(sharding.make_mesh(data=1))
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=put), items(0)
  )


def metric(step: int) -> float:
  """A save is better than the one before, which is removed for it."""
  return step / 100


def main(argv: list[str]) -> None:
  """Saves `COUNT` times, from where the folder stands."""
  _, folder, limit = argv
  with workdir.hold(pathlib.Path(folder)):
    _save(folder, int(limit))


def _save(folder: str, limit: int) -> None:
  made = manager.Checkpoints(folder, max_to_keep=1)
  first = 1
  if made.steps():
    first = made.restore(targets).step + 1
  written = tensorboard.Scalars(folder, first_step=first - 1)
  for step in range(first, first + COUNT):
    if limit and step == first + 1:
      made.wait()
      resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    written.write(step, 'train', {'loss': 1.5})
    written.flush()
    made.save(step, items=items(step), meta={}, metrics={'map': metric(step)})
  made.close()
  written.close()
  workdir.write_metrics(f'{folder}/metrics.json', {'x': ['y' * 9] * 999})


if __name__ == '__main__':
  command_line.run(main, arguments=2)
