"""Builds the model from its configuration; the ConfigDict stops here."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools

import flax.linen as nn
from jax import numpy as jnp
import ml_collections
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import input_spec
from morning_jax.core import perspectives as perspectives_lib
from morning_jax.graph import account_attributes
from morning_jax.model import attribute_graph
from morning_jax.model import co_attention
from morning_jax.model import encoders
from morning_jax.model import morning
from morning_jax.model import residual

MakeModule = Callable[[], nn.Module]


def _graph_perspective(
  config: ml_collections.ConfigDict,
  spec: input_spec.InputSpec,
  encoder: MakeModule,
  *,
  normalize: bool,
) -> MakeModule:
  settings = config.attribute
  assert spec.attribute_encoder is not None
  return functools.partial(
    morning.GraphPerspective,
    nodes=functools.partial(
      attribute_graph.AttributeEncoder,
      num_nodes=spec.num_attributes,
      kind=spec.attribute_encoder,
      features=settings.dimensions,
      start=settings.start,
      freeze=settings.freeze,
      num_layers=settings.layers,
      num_heads=settings.heads,
      edge_dropout=settings.edge_dropout,
      dtype=jnp.dtype(config.dtype),
    ),
    encoder=encoder,
    normalize=normalize,
  )


def _initializer(kind: str, scale: float) -> encoders.Initializer:
  if kind == 'normal':
    return nn.initializers.normal(scale)
  return encoders.uniform(scale)


def _widths(config: ml_collections.ConfigDict) -> dict[str, tuple[int, ...]]:
  return {
    name: tuple(config[modality.widths])
    for name, modality in perspectives_lib.MODALITIES.items()
  }


def _residual_encoders(
  config: ml_collections.ConfigDict,
) -> dict[str, MakeModule]:
  return {
    modality: functools.partial(
      residual.ResidualEncoder,
      widths=widths,
      hidden_scale=config.hidden_scale,
      output_scale=config.output_scale,
      initial_weight=config.initial_weight,
      hidden_dropout=config.hidden_dropout,
      projection=config.projection,
      projection_width=config.projection_width,
      dtype=jnp.dtype(config.dtype),
    )
    for modality, widths in _widths(config).items()
  }


def _residual_width(
  config: ml_collections.ConfigDict, widths: tuple[int, ...], size: int
) -> int:
  kept = residual.input_width(size, config.projection, config.projection_width)
  return max(kept, widths[-1])


def _last_width(
  config: ml_collections.ConfigDict, widths: tuple[int, ...], size: int
) -> int:
  del config, size
  return widths[-1]


def _paper_encoders(
  config: ml_collections.ConfigDict,
) -> dict[str, MakeModule]:
  widths = _widths(config)
  kernel_init = _initializer(config.init, config.init_scale)
  encoder = functools.partial(
    encoders.Encoder,
    kernel_init=kernel_init,
    bias_init=kernel_init,
    dtype=jnp.dtype(config.dtype),
  )
  dropped = functools.partial(
    encoder,
    layer_dropout=config.layer_dropout,
    drop_connect=config.drop_connect,
  )
  return {
    modality: functools.partial(
      encoder if modality == 'embedding' else dropped, widths=of_modality
    )
    for modality, of_modality in widths.items()
  }


@dataclasses.dataclass(frozen=True)
class EncoderFamily:
  """How the modalities of an account are encoded.

  Attributes:
    make: takes the `model` part of the configuration; returns, for each of
      `perspectives.MODALITIES`, what makes its encoder: a module that is called
      with (float32 [A, F], bool [A], train=bool) and returns [A, D].
    combine: how the modalities of a perspective become one: 'product'
      (Hadamard, eq. 7-12) or 'concatenate'.
    normalize: whether an account's mean over the attribute graph is scaled to
      unit length before it is encoded.
    width: takes the `model` part of the configuration, the sizes of a
      modality's layers, and F; returns D.
  """

  make: Callable[[ml_collections.ConfigDict], dict[str, MakeModule]]
  combine: str
  normalize: bool = False
  width: Callable[[ml_collections.ConfigDict, tuple[int, ...], int], int] = (
    _last_width
  )


# By what `config.model.encoder` may say.
ENCODERS: dict[str, EncoderFamily] = {
  'residual': EncoderFamily(
    _residual_encoders, 'concatenate', normalize=True, width=_residual_width
  ),
  'paper': EncoderFamily(_paper_encoders, 'product'),
}


def register(name: str, family: EncoderFamily) -> None:
  """Adds a family of encoders to the table.

  Args:
    name: what `config.model.encoder` calls it.
    family: what it is.

  Raises:
    ValueError: the name is taken, or `combine` is unknown.
  """
  if name in ENCODERS:
    raise ValueError(f'there is an encoder {name!r} already')
  if family.combine not in ('product', 'concatenate'):
    raise ValueError(f'combine={family.combine!r} is no way to combine')
  ENCODERS[name] = family


def build(
  config: ml_collections.ConfigDict, spec: input_spec.InputSpec
) -> morning.Morning:
  """Builds the model.

  Args:
    config: the `model` part of a checked configuration.
    spec: what takes part.

  Returns:
    The module.
  """
  family = ENCODERS[config.encoder]
  modality_encoders = family.make(config)
  towers: dict[str, MakeModule] = {}
  for perspective, features in spec.perspectives.items():
    if features:
      towers[perspective] = functools.partial(
        morning.Perspective,
        features=features,
        encoders=modality_encoders,
        combine=family.combine,
      )
    else:
      towers[perspective] = _graph_perspective(
        config,
        spec,
        modality_encoders['embedding'],
        normalize=family.normalize,
      )
  attention = None
  # With one of the two alone there is nothing to attend to.
  if config.co_attention != 'none' and {'content', 'audience'} <= set(towers):
    attention = functools.partial(
      co_attention.CoAttention,
      variant=config.co_attention,
      kernel_init=_initializer(config.init, config.init_scale),
      bias_init=_initializer(config.init, config.gate_bias_scale),
      dtype=jnp.dtype(config.dtype),
    )
  return morning.Morning(towers=towers, attention=attention)


def modality_slices(
  config: ml_collections.ConfigDict, spec: input_spec.InputSpec
) -> dict[str, dict[str, slice]]:
  """Finds which coordinates of a representation are a modality's.

  Co-attention reweighs coordinates and moves none, so they stay a modality's.

  Args:
    config: the `model` part of a checked configuration.
    spec: what takes part.

  Returns:
    Perspective -> modality -> coordinates, of perspectives in which every
    coordinate is of one modality. Where modalities are multiplied (eq. 7-12),
    a coordinate is of both, and the perspective is absent.
  """
  family = ENCODERS[config.encoder]
  widths = _widths(config)
  found: dict[str, dict[str, slice]] = {}
  for perspective, features in spec.perspectives.items():
    if not features or (family.combine == 'product' and len(features) > 1):
      continue
    place, start = {}, 0
    for modality, feature in features.items():
      width = family.width(
        config, widths[modality], spec.feature_sizes[feature]
      )
      place[modality] = slice(start, start + width)
      start += width
    found[perspective] = place
  return found


def example_table(spec: input_spec.InputSpec) -> accounts_lib.AccountTable:
  """Makes a table of one account, whose shapes initialise the model."""
  held = None
  if spec.takes_attribute_lists:
    held = account_attributes.HeldAttributes(
      index=np.zeros((1, 1), np.int32), weight=np.zeros((1, 1), np.float32)
    )
  return accounts_lib.AccountTable(
    features={
      f: np.zeros((1, n), np.float32) for f, n in spec.feature_sizes.items()
    },
    present={f: np.ones((1,), bool) for f in spec.feature_sizes},
    held=held,
  )
