"""Builds the model from its configuration; the ConfigDict stops here."""

from __future__ import annotations

from collections.abc import Mapping
import difflib

import flax.linen as nn
from jax import numpy as jnp
import ml_collections

from morning_jax import accounts as accounts_lib
from morning_jax import errors
from morning_jax.model import encoders, morning

Perspectives = dict[str, dict[str, str]]  # perspective -> modality -> feature


def _known(field: str, value: str, known: tuple[str, ...]) -> str:
  if value not in known:
    near = difflib.get_close_matches(str(value), known, n=1)
    hint = f'; did you mean {near[0]}?' if near else ''
    raise errors.UserError(
      f'config.model.{field}: {value!r} is none of {", ".join(known)}{hint}'
    )
  return value


def choose_perspectives(
  config: ml_collections.ConfigDict, feature_sizes: Mapping[str, int]
) -> tuple[Perspectives, list[str]]:
  """Chooses the perspectives and modalities that take part.

  Args:
    config: the `model` part of the configuration.
    feature_sizes: the features that the data set has.

  Returns:
    What takes part, and a note for each thing asked for that the data lacks.

  Raises:
    UserError: an unknown name, or nothing is left.
  """
  table = accounts_lib.PERSPECTIVES
  for name in config.perspectives:
    _known('perspectives', name, tuple(table))
  for name in config.modalities:
    _known('modalities', name, ('image', 'text'))
  chosen: Perspectives = {}
  notes = []
  for perspective, modalities in table.items():
    if perspective not in config.perspectives:
      continue
    wanted = {
      modality: feature
      for modality, feature in modalities.items()
      if modality in (*config.modalities, 'embedding')
    }
    present = {m: f for m, f in wanted.items() if f in feature_sizes}
    if present:
      chosen[perspective] = present
    absent = [f for f in wanted.values() if f not in feature_sizes]
    if absent and present:
      notes.append(
        f'{perspective}: the data has no {", ".join(absent)}; the model uses'
        f' {", ".join(present.values())} alone'
      )
    elif absent:
      notes.append(
        f'{perspective}: the data has no {" and no ".join(absent)}; the model'
        ' goes without this perspective'
      )
  if not chosen:
    raise errors.UserError(
      'config.model: none of the perspectives'
      f' {", ".join(config.perspectives)} (modalities'
      f' {", ".join(config.modalities)}) is in the data, which has'
      f' {", ".join(feature_sizes) or "no features"}'
    )
  return chosen, notes


def _initializer(kind: str, scale: float) -> encoders.Initializer:
  _known('init', kind, ('lecun', 'normal', 'uniform'))
  if kind == 'lecun':
    return nn.initializers.variance_scaling(scale, 'fan_in', 'normal')
  if kind == 'normal':
    return nn.initializers.normal(scale)
  return encoders.uniform(scale)


def build(
  config: ml_collections.ConfigDict, perspectives: Perspectives
) -> morning.Morning:
  """Builds the model.

  Args:
    config: the `model` part of the configuration.
    perspectives: what takes part.

  Returns:
    The module.

  Raises:
    UserError: widths that don't fit together, or unknown values.
  """
  widths = {
    'image': tuple(config.image_widths),
    'text': tuple(config.text_widths),
    'embedding': tuple(config.attribute_widths),
  }
  for name, value in widths.items():
    if not value or min(value) < 1:
      raise errors.UserError(
        f'config.model: the {name} widths {value} must be positive, and one at'
        ' least'
      )
  if widths['image'][-1] != widths['text'][-1]:
    raise errors.UserError(
      f'config.model: image_widths {widths["image"]} and text_widths'
      f' {widths["text"]} must end alike, as their outputs are multiplied'
    )
  for field in ('input_dropout', 'drop_connect'):
    if not 0 <= config[field] < 1:
      raise errors.UserError(
        f'config.model.{field}={config[field]} is not in [0, 1)'
      )
  kernel_init = _initializer(config.init, config.init_scale)
  # Fan-in says nothing about a bias: those start at zero there.
  bias_init = nn.initializers.zeros if config.init == 'lecun' else kernel_init
  if config.init == 'uniform':
    gate_bias_init = encoders.uniform(config.gate_bias_scale)
  else:
    gate_bias_init = nn.initializers.normal(config.gate_bias_scale)
  return morning.Morning(
    perspectives=perspectives,
    widths=widths,
    kernel_init=kernel_init,
    bias_init=bias_init,
    gate_bias_init=gate_bias_init,
    co_attention=_known(
      'co_attention', config.co_attention, ('paper', 'release', 'none')
    ),
    input_dropout=config.input_dropout,
    drop_connect=config.drop_connect,
    dtype=jnp.dtype(_known('dtype', config.dtype, ('float32', 'bfloat16'))),
  )


def example_table(
  perspectives: Perspectives, feature_sizes: Mapping[str, int]
) -> accounts_lib.AccountTable:
  """Makes a table of one account, whose shapes initialise the model."""
  features = [f for m in perspectives.values() for f in m.values()]
  return accounts_lib.AccountTable(
    features={f: jnp.zeros((1, feature_sizes[f])) for f in features},
    present={f: jnp.ones((1,), bool) for f in features},
  )
