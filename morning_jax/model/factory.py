"""Builds the model from its configuration; the ConfigDict stops here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import difflib
import functools

import flax.linen as nn
from jax import numpy as jnp
import ml_collections

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import transforms
from morning_jax.graph import account_attributes
from morning_jax.model import attribute_graph
from morning_jax.model import co_attention
from morning_jax.model import encoders
from morning_jax.model import morning
from morning_jax.model import residual

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
    if perspective == 'attribute':
      wanted = _attribute_input(config.attribute.encoder, feature_sizes)
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


def feature_sizes(
  perspectives: Perspectives, available: Mapping[str, int]
) -> dict[str, int]:
  """Returns the sizes of the features that take part.

  Args:
    perspectives: what takes part.
    available: feature -> size, of what the data has.
  """
  return {
    feature: available[feature]
    for modalities in perspectives.values()
    for feature in modalities.values()
  }


def _attribute_input(
  encoder: str, feature_sizes: Mapping[str, int]
) -> dict[str, str]:
  """Chooses between embeddings computed elsewhere and attribute lists."""
  _known('attribute.encoder', encoder, ('auto', *attribute_graph.KINDS))
  embedding = accounts_lib.PERSPECTIVES['attribute']
  lists = {'list': accounts_lib.ATTRIBUTE_LIST}
  if encoder not in ('auto', 'embedding'):
    return lists
  if accounts_lib.ATTRIBUTE_LIST not in feature_sizes:
    return dict(embedding)
  # Without embeddings of accounts, vectors of attributes are learned.
  has_embedding = embedding['embedding'] in feature_sizes
  return dict(embedding) if encoder != 'auto' and has_embedding else lists


def graph_encoder(config: ml_collections.ConfigDict) -> str:
  """Returns the kind of encoder of attribute lists that is configured."""
  kind = config.attribute.encoder
  return 'gcn' if kind == 'auto' else kind


def stored_vectors(config: ml_collections.ConfigDict) -> int:
  """Returns the width of the node vectors that come with the graph, or 0.

  Args:
    config: the `model` part of the configuration.
  """
  kind, settings = graph_encoder(config), config.attribute
  stored = kind != 'embedding' and 'node2vec' in (kind, settings.start)
  return settings.dimensions if stored else 0


def _graph_tower(
  config: ml_collections.ConfigDict,
  num_attributes: int,
  encoder: Callable[[], nn.Module],
) -> Callable[[], nn.Module]:
  settings = config.attribute
  kind = graph_encoder(config)
  _known('attribute.start', settings.start, attribute_graph.STARTS)
  if settings.layers < 1 or settings.heads < 1 or settings.dimensions < 1:
    raise errors.UserError(
      'config.model.attribute: layers, heads and dimensions are at least 1'
    )
  if kind == 'gat' and settings.dimensions % settings.heads:
    raise errors.UserError(
      f'config.model.attribute: {settings.heads} heads do not divide'
      f' {settings.dimensions} dimensions'
    )
  if not 0 <= settings.edge_dropout < 1:
    raise errors.UserError(
      f'config.model.attribute.edge_dropout={settings.edge_dropout} is not in'
      ' [0, 1)'
    )
  return functools.partial(
    morning.GraphPerspective,
    nodes=functools.partial(
      attribute_graph.AttributeEncoder,
      num_nodes=num_attributes,
      kind=kind,
      features=settings.dimensions,
      start=settings.start,
      freeze=settings.freeze,
      num_layers=settings.layers,
      num_heads=settings.heads,
      edge_dropout=settings.edge_dropout,
      dtype=jnp.dtype(config.dtype),
    ),
    encoder=encoder,
    normalize=config.encoder == 'residual',
  )


def _initializer(kind: str, scale: float) -> encoders.Initializer:
  _known('init', kind, ('normal', 'uniform'))
  if kind == 'normal':
    return nn.initializers.normal(scale)
  return encoders.uniform(scale)


def _check_widths(config: ml_collections.ConfigDict) -> dict[str, tuple]:
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
  return widths


def _residual_encoders(
  config: ml_collections.ConfigDict,
) -> dict[str, Callable[[], nn.Module]]:
  return {
    modality: functools.partial(
      residual.ResidualEncoder,
      widths=widths,
      hidden_scale=config.hidden_scale,
      output_scale=config.output_scale,
      initial_weight=config.initial_weight,
      hidden_dropout=config.hidden_dropout,
      dtype=jnp.dtype(config.dtype),
    )
    for modality, widths in _check_widths(config).items()
  }


def _paper_encoders(
  config: ml_collections.ConfigDict,
) -> dict[str, Callable[[], nn.Module]]:
  widths = _check_widths(config)
  if widths['image'][-1] != widths['text'][-1]:
    raise errors.UserError(
      f'config.model: image_widths {widths["image"]} and text_widths'
      f' {widths["text"]} must end alike, as their outputs are multiplied'
    )
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
    'image': functools.partial(dropped, widths=widths['image']),
    'text': functools.partial(dropped, widths=widths['text']),
    'embedding': functools.partial(encoder, widths=widths['embedding']),
  }


def build(
  config: ml_collections.ConfigDict,
  perspectives: Perspectives,
  feature_sizes: Mapping[str, int],
) -> morning.Morning:
  """Builds the model.

  Args:
    config: the `model` part of the configuration.
    perspectives: what takes part.
    feature_sizes: feature -> size, of what takes part.

  Returns:
    The module.

  Raises:
    UserError: widths that don't fit together, or unknown values.
  """
  for field in ('layer_dropout', 'drop_connect', 'hidden_dropout'):
    if not 0 <= config[field] < 1:
      raise errors.UserError(
        f'config.model.{field}={config[field]} is not in [0, 1)'
      )
  _known('dtype', config.dtype, ('float32', 'bfloat16'))
  kinds = {
    'paper': (_paper_encoders, 'product'),
    'residual': (_residual_encoders, 'concatenate'),
  }
  make, combine = kinds[_known('encoder', config.encoder, tuple(kinds))]
  modality_encoders = make(config)
  towers: dict[str, Callable[[], nn.Module]] = {}
  for perspective, features in perspectives.items():
    if 'list' in features:
      towers[perspective] = _graph_tower(
        config,
        feature_sizes[features['list']],
        modality_encoders['embedding'],
      )
    else:
      towers[perspective] = functools.partial(
        morning.Perspective,
        features=features,
        encoders=modality_encoders,
        combine=combine,
      )
  variant = _known(
    'co_attention', config.co_attention, ('paper', 'release', 'none')
  )
  attention = None
  # With one of the two alone there is nothing to attend to.
  if variant != 'none' and {'content', 'audience'} <= set(perspectives):
    attention = functools.partial(
      co_attention.CoAttention,
      variant=variant,
      kernel_init=_initializer(config.init, config.init_scale),
      bias_init=_initializer(config.init, config.gate_bias_scale),
      dtype=jnp.dtype(config.dtype),
    )
  return morning.Morning(towers=towers, attention=attention)


def example_table(
  perspectives: Perspectives, feature_sizes: Mapping[str, int]
) -> accounts_lib.AccountTable:
  """Makes a table of one account, whose shapes initialise the model."""
  features = [f for m in perspectives.values() for f in m.values()]
  held = None
  if accounts_lib.ATTRIBUTE_LIST in features:
    features.remove(accounts_lib.ATTRIBUTE_LIST)
    held = account_attributes.HeldAttributes(
      index=jnp.zeros((1, 1), jnp.int32), weight=jnp.zeros((1, 1))
    )
  return accounts_lib.AccountTable(
    features={f: jnp.zeros((1, feature_sizes[f])) for f in features},
    present={f: jnp.ones((1,), bool) for f in features},
    held=held,
  )


def transform_kinds(
  config: ml_collections.ConfigDict, perspectives: Perspectives
) -> dict[str, str]:
  """Returns the transform of each feature that takes part: feature -> kind.

  Raises:
    UserError: a transform is unknown.
  """
  return {
    feature: 'none'
    if modality == 'list'
    else _known(
      f'transforms.{modality}', config.transforms[modality], transforms.KINDS
    )
    for modalities in perspectives.values()
    for modality, feature in modalities.items()
  }
