"""TensorBoard scalars, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
import os
from typing import Any

import tensorboardX

from morning_jax.core import multihost


class Scalars:
  """Writes scalars into a folder that `tensorboard --logdir` shows."""

  def __init__(self, folder: str | os.PathLike[str], *, first_step: int):
    """Opens the folder.

    Args:
      folder: where the event file goes.
      first_step: what an earlier run logged after this step is dropped.
    """
    self._writer = None
    if multihost.is_first():
      self._writer = tensorboardX.SummaryWriter(
        str(folder), purge_step=first_step or None
      )

  def write(self, step: int, prefix: str, scalars: Mapping[str, Any]) -> None:
    """Writes `<prefix>/<name>` for every scalar that is a number."""
    if self._writer is None:
      return
    for name, value in scalars.items():
      if isinstance(value, int | float):
        self._writer.add_scalar(f'{prefix}/{name}', value, step)

  def close(self) -> None:
    """Writes what is left."""
    if self._writer is not None:
      self._writer.close()
