"""What a checkpoint holds beside its arrays: one form to write and to read."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

import ml_collections

from morning_jax.checkpoint import failures
from morning_jax.core import input_spec

# 1: until 0.1. 2: an input description in place of its parts, named random
# streams, a learning rate outside of the optimizer's state (0.2). 3: the same
# arrays; the order of an epoch is another, so that a run that was begun before
# can't go on as it would have.
FORMAT_VERSION = 3
# Which versions of this software wrote a format.
WRITTEN_BY = {1: '0.1'}


@dataclasses.dataclass(frozen=True)
class CheckpointMeta:
  """What it takes, beside the arrays, to use a model or to go on training.

  Attributes:
    config: the whole configuration as plain JSON values (`plain`).
    data_fingerprint: of the data set that was trained on.
    spec: what takes part in the model.
    progress: of the run, plain JSON values (`training.schedule.Progress`).
    input_position: epoch and step of the epoch.
  """

  config: Mapping[str, Any]
  data_fingerprint: str
  spec: input_spec.InputSpec
  progress: Mapping[str, Any]
  input_position: Mapping[str, int]

  def to_json(self) -> dict[str, Any]:
    """Returns plain JSON values."""
    return {
      'config': dict(self.config),
      'data_fingerprint': self.data_fingerprint,
      'input_spec': self.spec.to_json(),
      'progress': dict(self.progress),
      'input_position': dict(self.input_position),
    }

  @classmethod
  def from_json(cls, stored: Mapping[str, Any]) -> CheckpointMeta:
    """Makes what `to_json` returned.

    Raises:
      CorruptError: it is of another form.
    """
    try:
      made = cls(
        config=stored['config'],
        data_fingerprint=stored['data_fingerprint'],
        spec=input_spec.InputSpec.from_json(stored['input_spec']),
        progress=stored['progress'],
        input_position=stored['input_position'],
      )
    except (KeyError, TypeError, ValueError):
      made = None
    if made is None or not all(
      isinstance(x, Mapping)
      for x in (made.config, made.progress, made.input_position)
    ):
      raise failures.CorruptError('its metadata does not describe a run')
    return made


def plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns a configuration as plain JSON values, as checkpoints store it."""
  values: dict[str, Any] = json.loads(config.to_json())
  return values
