"""Which numbers a configuration may hold, whatever the data."""

from __future__ import annotations

import math

import flax.traverse_util
import ml_collections

from morning_jax.core import errors

# Counts of steps, rows and bytes are 32-bit integers on devices.
_MOST = 2**31 - 1

# Field -> the least and the most that it may be. What else belongs to one part
# of the program (mesh, model, loss) is checked there.
_RANGES: dict[str, tuple[float, float]] = {
  'seed': (0, 2**32 - 1),
  'data.folds': (0, _MOST),
  'model.whitening': (0, 1),
  'model.init_scale': (0, math.inf),
  'model.gate_bias_scale': (0, math.inf),
  'optimizer.epsilon': (0, math.inf),
  'optimizer.learning_rate': (0, math.inf),
  'optimizer.warmup': (0, 1),
  'optimizer.decay_rate': (0, math.inf),
  'optimizer.decay_steps': (0, _MOST),
  'optimizer.weight_decay': (0, math.inf),
  'train.batch_size': (1, _MOST),
  'train.negatives': (0, _MOST),
  'train.epochs': (1, _MOST),
  'train.steps_per_call': (1, _MOST),
  'evaluation.batch_size': (1, _MOST),
  'evaluation.patience': (0, _MOST),
}


def check(config: ml_collections.ConfigDict) -> None:
  """Checks the numbers of a configuration.

  Args:
    config: the whole configuration.

  Raises:
    UserError: names the field and what would be right.
  """
  fields = flax.traverse_util.flatten_dict(config.to_dict(), sep='.')
  for field, value in fields.items():
    if isinstance(value, float) and not math.isfinite(value):
      raise errors.UserError(f'config.{field}={value} is not finite')
    if field.endswith('_widths') and not all(
      isinstance(width, int) for width in value
    ):
      raise errors.UserError(
        f'config.{field}={value!r} must be whole numbers, as in 256,128'
      )
  for field, (least, most) in _RANGES.items():
    value = fields[field]
    if value < least:
      raise errors.UserError(f'config.{field}={value} must be at least {least}')
    if value > most:
      raise errors.UserError(f'config.{field}={value} must be at most {most}')
  if config.evaluation.every_epochs <= 0:
    raise errors.UserError('config.evaluation.every_epochs must be above 0')
  rows = config.train.batch_size * (1 + config.train.negatives)
  if config.loss.kind == 'triplet' and rows > _MOST:
    raise errors.UserError(
      f'config.train: a batch of {rows:,} influencers with all negatives;'
      f' {_MOST:,} at most'
    )
