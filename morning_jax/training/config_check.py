"""Which values a configuration may hold, whatever the data.

Every job checks its configuration here, before anything is loaded. What depends
on the data or on the devices (folds, the mesh) is checked where they are known.
"""

from __future__ import annotations

from collections.abc import Mapping
import difflib
import itertools
import math
from typing import Any

import flax.traverse_util
import jax
import ml_collections

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import input_spec
from morning_jax.core import perspectives
from morning_jax.model import factory
from morning_jax.training import loss_table

# Counts of steps, rows and bytes are 32-bit integers on devices.
_MOST = 2**31 - 1
# Of a layer; the sizes of weight matrices are checked besides.
_WIDEST = 2**20

# Field -> what it may be; a tuple's entries are checked one by one.
_CHOICES: Mapping[str, tuple[str, ...]] = {
  'data.placement': ('device', 'stream'),
  'model.transforms.image': input_spec.TRANSFORMS,
  'model.transforms.text': input_spec.TRANSFORMS,
  'model.transforms.embedding': input_spec.TRANSFORMS,
  'model.attribute.start': input_spec.STARTS,
  'model.projection': ('none', 'learned', 'random'),
  'model.co_attention': ('paper', 'release', 'none'),
  'model.init': ('normal', 'uniform'),
  'model.dtype': ('float32', 'bfloat16'),
  'loss.variant': ('paper', 'release'),
  'loss.sharding': ('auto', 'grid', 'ring', 'none'),
  'loss.dtype': ('float32', 'bfloat16'),
  'optimizer.name': ('adam', 'adam_tf1'),
  'optimizer.schedule': ('constant', 'exponential', 'cosine'),
}

# Field -> the least and the most that it may be.
_RANGES: Mapping[str, tuple[float, float]] = {
  'seed': (0, 2**32 - 1),
  'data.folds': (0, _MOST),
  'data.stream_mib': (1, _MOST),
  'data.stream_threads': (1, 1024),
  'model.whitening': (0, 1),
  'model.projection_width': (1, _WIDEST),
  'model.init_scale': (0, math.inf),
  'model.gate_bias_scale': (0, math.inf),
  'model.attribute.dimensions': (1, _WIDEST),
  'model.attribute.layers': (1, 1024),
  'model.attribute.heads': (1, _WIDEST),
  'loss.category_weight': (0, math.inf),
  'optimizer.epsilon': (0, math.inf),
  'optimizer.learning_rate': (0, math.inf),
  'optimizer.warmup': (0, 1),
  'optimizer.decay_rate': (0, math.inf),
  'optimizer.decay_steps': (0, _MOST),
  'optimizer.weight_decay': (0, math.inf),
  'train.batch_size': (1, _MOST),
  'train.negatives': (1, _MOST),
  'train.epochs': (1, _MOST),
  'train.steps_per_call': (1, _MOST),
  'evaluation.batch_size': (1, _MOST),
  'evaluation.patience': (0, _MOST),
  'checkpoint.max_to_keep': (1, _MOST),
}

# Rates of which at least a part must be left.
_SHARES = (
  'data.valid_share',
  'model.layer_dropout',
  'model.drop_connect',
  'model.hidden_dropout',
  'model.attribute.edge_dropout',
)

_ABOVE_ZERO = (
  'loss.temperature',
  'evaluation.every_epochs',
  'model.initial_weight',  # its logarithm is a parameter
)


def check(config: ml_collections.ConfigDict) -> None:
  """Checks a configuration.

  Args:
    config: the whole configuration.

  Raises:
    UserError: names the field and what would be right, or says how JAX would
      have to be set up for it.
  """
  fields = flax.traverse_util.flatten_dict(config.to_dict(), sep='.')
  for field, value in fields.items():
    if isinstance(value, float) and not math.isfinite(value):
      raise errors.UserError(f'config.{field}={value} is not finite')
  for field, known in _choices().items():
    value = fields[field]
    for name in value if isinstance(value, tuple) else (value,):
      _check_known(field, name, known)
  for name in input_spec.attribute_choices(fields['model.attribute.encoder']):
    _check_known(
      'model.attribute.encoder', name, ('auto', *input_spec.ATTRIBUTE_ENCODERS)
    )
  for field, (least, most) in _RANGES.items():
    if fields[field] < least:
      raise _wrong(field, fields, f'must be at least {least}')
    if fields[field] > most:
      raise _wrong(field, fields, f'must be at most {most}')
  for field in _SHARES:
    if not 0 <= fields[field] < 1:
      raise _wrong(field, fields, 'is not in [0, 1)')
  for field in _ABOVE_ZERO:
    if fields[field] <= 0:
      raise _wrong(field, fields, 'must be above 0')
  _check_widths(config.model)
  _check_heads(config.model.attribute)
  rows = config.train.batch_size * (1 + config.train.negatives)
  if loss_table.negatives(config) and rows > _MOST:
    raise errors.UserError(
      f'config.train: a batch of {rows:,} influencers with all negatives;'
      f' {_MOST:,} at most'
    )
  if config.data.placement == 'stream':
    _check_host_can_sample()


def _choices() -> Mapping[str, tuple[str, ...]]:
  """Returns field -> what it may be, with what was added to the tables."""
  return {
    **_CHOICES,
    'model.perspectives': tuple(accounts_lib.PERSPECTIVES),
    'model.modalities': perspectives.choosable_modalities(),
    'model.encoder': tuple(factory.ENCODERS),
    'loss.kind': tuple(loss_table.LOSSES),
  }


def _wrong(field: str, fields: Mapping[str, Any], why: str) -> errors.UserError:
  return errors.UserError(f'config.{field}={fields[field]} {why}')


def _check_known(field: str, value: Any, known: tuple[str, ...]) -> None:
  if value in known:
    return
  near = difflib.get_close_matches(str(value)[:80], known, n=1)
  hint = f'; did you mean {near[0]}?' if near else ''
  raise errors.UserError(
    f'config.{field}: {str(value)[:80]!r} is none of {", ".join(known)}{hint}'
  )


def _check_widths(model: ml_collections.ConfigDict) -> None:
  for field in ('image_widths', 'text_widths', 'attribute_widths'):
    widths = model[field]
    name = f'config.model.{field}={widths!r:.80}'
    if not all(isinstance(width, int) for width in widths):
      raise errors.UserError(f'{name} must be whole numbers, as in 256,128')
    if not widths or min(widths) < 1:
      raise errors.UserError(f'{name} must be positive, and one at least')
    entries = [a * b for a, b in itertools.pairwise(widths)]
    if max(widths) > _WIDEST or max(entries, default=0) > _MOST:
      raise errors.UserError(
        f'{name}: a layer has at most {_WIDEST:,} units, and a weight matrix at'
        f' most {_MOST:,} entries'
      )
  image, text = tuple(model.image_widths), tuple(model.text_widths)
  combine = factory.ENCODERS[model.encoder].combine
  if combine == 'product' and image[-1] != text[-1]:
    raise errors.UserError(
      f'config.model: image_widths {image} and text_widths {text} must end'
      ' alike, as their outputs are multiplied'
    )


def _check_heads(attribute: ml_collections.ConfigDict) -> None:
  if (
    'gat' in input_spec.attribute_choices(attribute.encoder)
    and attribute.dimensions % attribute.heads
  ):
    raise errors.UserError(
      f'config.model.attribute: {attribute.heads} heads do not divide'
      f' {attribute.dimensions} dimensions'
    )


def _check_host_can_sample() -> None:
  """Checks that the host can tell which accounts are in a batch.

  With `data.placement='stream'` it computes on its CPU what the accelerator
  would: the same random numbers.
  """
  kind = jax.random.key_impl(jax.random.key(0))
  if kind != 'threefry2x32':
    raise errors.UserError(
      "config.data.placement='stream' needs JAX_DEFAULT_PRNG_IMPL=threefry2x32:"
      f' {kind} draws other numbers on the host than on the device'
    )
  try:
    jax.local_devices(backend='cpu')
  except RuntimeError:
    raise errors.UserError(
      "config.data.placement='stream' computes indices on the CPU, which"
      ' JAX_PLATFORMS rules out; add ",cpu" to it'
    ) from None
