"""What takes part in a model: one description, resolved once.

A configuration says what is wanted, a data set what there is. `resolve` settles
both into an `InputSpec`, which a checkpoint stores and every room takes from
there on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import ml_collections

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import perspectives as perspectives_lib

TRANSFORMS = perspectives_lib.TRANSFORMS

# Encoders of attribute lists: learned vectors of attributes without a graph,
# frozen node2vec vectors, and message passing over the attribute graph.
LIST_ENCODERS = ('lookup', 'node2vec', 'gcn', 'gat')
# Beside them: the accounts' own embeddings, as the data brings them.
ATTRIBUTE_ENCODERS = ('embedding', *LIST_ENCODERS)
# Where the node vectors of 'gcn' and 'gat' start.
STARTS = ('learned', 'node2vec')
# What `auto` tries in turn.
_AUTO = 'gcn,embedding'

_ATTRIBUTE = 'attribute'


@dataclasses.dataclass(frozen=True)
class InputSpec:
  """What a model takes in.

  Attributes:
    perspectives: perspective -> modality -> feature, in the order of
      `accounts.PERSPECTIVES`. An attribute perspective that is encoded from
      attribute lists has no modality.
    feature_sizes: feature -> F, of the features that take part.
    transforms: feature -> one of `TRANSFORMS`.
    attribute_encoder: one of `ATTRIBUTE_ENCODERS`; None without the attribute
      perspective.
    attribute_names: names of the V attributes in the order of the graph's
      nodes; empty where no attribute lists are taken.
    node_vector_size: D of node2vec vectors that come with the graph; 0 where
      there are none.
  """

  perspectives: Mapping[str, Mapping[str, str]]
  feature_sizes: Mapping[str, int]
  transforms: Mapping[str, str]
  attribute_encoder: str | None = None
  attribute_names: tuple[str, ...] = ()
  node_vector_size: int = 0

  @property
  def takes_attribute_lists(self) -> bool:
    """Whether accounts' attribute lists are encoded."""
    return self.attribute_encoder in LIST_ENCODERS

  @property
  def num_attributes(self) -> int:
    """V; 0 where no attribute lists are taken."""
    return len(self.attribute_names)

  def to_json(self) -> dict[str, Any]:
    """Returns the description as plain JSON values."""
    return dataclasses.asdict(self) | {
      'attribute_names': list(self.attribute_names)
    }

  @classmethod
  def from_json(cls, stored: Mapping[str, Any]) -> InputSpec:
    """Makes the description that `to_json` returned.

    Raises:
      KeyError, TypeError: it is of another form.
    """
    return cls(
      **{**stored, 'attribute_names': tuple(stored['attribute_names'])}
    )


def attribute_choices(encoder: str) -> tuple[str, ...]:
  """Returns the encoders that `model.attribute.encoder` names, best first."""
  names = (_AUTO if encoder == 'auto' else encoder).split(',')
  return tuple(name.strip() for name in names)


def resolve(
  config: ml_collections.ConfigDict,
  feature_sizes: Mapping[str, int],
  attribute_names: Sequence[str] = (),
) -> tuple[InputSpec, list[str]]:
  """Chooses what takes part.

  Args:
    config: the `model` part of a checked configuration.
    feature_sizes: feature -> F, of all arrays that the data has.
    attribute_names: of the V attributes, where the data has attribute lists.

  Returns:
    What takes part, and a note for each thing asked for that the data lacks.

  Raises:
    UserError: nothing is left, or the data lacks what the one attribute
      encoder that is asked for needs.
  """
  perspectives: dict[str, dict[str, str]] = {}
  notes: list[str] = []
  encoder = None
  for perspective, modalities in accounts_lib.PERSPECTIVES.items():
    if perspective not in config.perspectives:
      continue
    if perspective == _ATTRIBUTE:
      encoder = _choose_encoder(
        config.attribute.encoder, feature_sizes, attribute_names
      )
      if encoder is None:
        notes.append(
          f'{perspective}: the data has neither attribute lists nor'
          f' {accounts_lib.ATTRIBUTE_EMBEDDING}; the model runs without this'
          ' perspective'
        )
      else:
        perspectives[perspective] = (
          dict(modalities) if encoder == 'embedding' else {}
        )
      continue
    wanted = {m: f for m, f in modalities.items() if m in config.modalities}
    present = {m: f for m, f in wanted.items() if f in feature_sizes}
    absent = [f for f in wanted.values() if f not in feature_sizes]
    if present:
      perspectives[perspective] = present
    if absent and present:
      notes.append(
        f'{perspective}: the data has no {", ".join(absent)}; the model uses'
        f' {", ".join(present.values())} alone'
      )
    elif absent:
      notes.append(
        f'{perspective}: the data has no {" and no ".join(absent)}; the model'
        ' runs without this perspective'
      )
  if not perspectives:
    has = [*feature_sizes, *(['attribute lists'] if attribute_names else [])]
    raise errors.UserError(
      'config.model: none of the perspectives'
      f' {", ".join(config.perspectives)} (modalities'
      f' {", ".join(config.modalities)}) is in the data, which has'
      f' {", ".join(has) or "no features"}'
    )
  kinds = {
    feature: config.transforms.get(
      modality, perspectives_lib.MODALITIES[modality].transform
    )
    for chosen in perspectives.values()
    for modality, feature in chosen.items()
  }
  lists = encoder in LIST_ENCODERS
  settings = config.attribute
  stored = encoder == 'node2vec' or (
    encoder in ('gcn', 'gat') and settings.start == 'node2vec'
  )
  return InputSpec(
    perspectives=perspectives,
    feature_sizes={f: int(feature_sizes[f]) for f in kinds},
    transforms=kinds,
    attribute_encoder=encoder,
    attribute_names=tuple(attribute_names) if lists else (),
    node_vector_size=int(settings.dimensions) if stored else 0,
  ), notes


def _choose_encoder(
  wanted: str,
  feature_sizes: Mapping[str, int],
  attribute_names: Sequence[str],
) -> str | None:
  """Returns the first encoder that the data allows; None if it allows none."""
  choices = attribute_choices(wanted)
  for choice in choices:
    if choice == 'embedding':
      if accounts_lib.ATTRIBUTE_EMBEDDING in feature_sizes:
        return choice
    elif attribute_names:
      return choice
  if len(choices) > 1:
    return None
  lacks = (
    accounts_lib.ATTRIBUTE_EMBEDDING
    if wanted == 'embedding'
    else 'attribute lists'
  )
  raise errors.UserError(
    f'config.model.attribute.encoder={wanted}: the data has no {lacks};'
    ' auto takes what there is, and config.model.perspectives leaves the'
    ' perspective out'
  )
