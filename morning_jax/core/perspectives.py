"""Perspectives and modalities: what may be added to the tables of `accounts`.

`accounts.PERSPECTIVES` says which features make a perspective, `MODALITIES`
what holds for the features of one kind, whatever the perspective. The bundle's
reader, `input_spec`, the factory, the losses, reasons and reports follow them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import dataclasses
import re

from morning_jax.core import accounts as accounts_lib

TRANSFORMS = ('none', 'hellinger', 'whiten')
_NAME = re.compile(r'[a-z][a-z0-9_]*')


@dataclasses.dataclass(frozen=True)
class Modality:
  """What holds for the features of one kind.

  Attributes:
    widths: the field of `config.model` that has the sizes of its encoder's
      layers.
    transform: one of `TRANSFORMS`, where `config.model.transforms` has none for
      it.
  """

  widths: str
  transform: str


MODALITIES: dict[str, Modality] = {
  'image': Modality(widths='image_widths', transform='hellinger'),
  'text': Modality(widths='text_widths', transform='hellinger'),
  'embedding': Modality(widths='attribute_widths', transform='whiten'),
}


def choosable_modalities() -> tuple[str, ...]:
  """Returns what `config.model.modalities` may name.

  Account-level attribute embeddings are chosen by `config.model.attribute`.
  """
  return tuple(m for m in MODALITIES if m != 'embedding')


def add_perspective(
  name: str, features: Mapping[str, str], *, topics: Collection[str] = ()
) -> None:
  """Adds a perspective that is read from feature arrays.

  It takes part where `config.model.perspectives` names it and the data has one
  of its features, `<feature>.npy` in a bundle.

  Args:
    name: what it is called: lower-case letters, digits and `_`.
    features: modality -> feature; the modalities are in `MODALITIES`.
    topics: those of the features that are distributions, in which a negative
      weight is an error.

  Raises:
    ValueError: a name can't be used or is taken, or there is no such modality.
  """
  _check_new(name, accounts_lib.PERSPECTIVES, 'perspective')
  if not features:
    raise ValueError(f'the perspective {name!r} has no features')
  for modality in features:
    if modality not in MODALITIES:
      raise ValueError(
        f'{modality!r} is no modality; there are {", ".join(MODALITIES)}'
      )
  _add_features({name: dict(features)}, topics)


def add_modality(
  name: str,
  features: Mapping[str, str],
  *,
  widths: str = 'text_widths',
  transform: str = 'none',
  topics: Collection[str] = (),
) -> None:
  """Adds a modality to perspectives that there are.

  It takes part where `config.model.modalities` names it and the data has the
  feature.

  Args:
    name: what it is called: lower-case letters, digits and `_`.
    features: perspective -> feature, of the perspectives that have it.
    widths: the field of `config.model` with the sizes of its encoder's layers.
    transform: one of `TRANSFORMS`: what is done to its features before they are
      encoded.
    topics: those of the features that are distributions.

  Raises:
    ValueError: a name can't be used or is taken, or there is no such
      perspective or transform.
  """
  _check_new(name, MODALITIES, 'modality')
  if transform not in TRANSFORMS:
    raise ValueError(f'{transform!r} is none of {", ".join(TRANSFORMS)}')
  for perspective in features:
    if perspective not in accounts_lib.PERSPECTIVES:
      raise ValueError(
        f'{perspective!r} is no perspective; there are'
        f' {", ".join(accounts_lib.PERSPECTIVES)}'
      )
  _add_features({p: {name: f} for p, f in features.items()}, topics)
  MODALITIES[name] = Modality(widths=widths, transform=transform)


def _check_new(name: str, table: Mapping[str, object], kind: str) -> None:
  if not _NAME.fullmatch(name):
    raise ValueError(f'{name!r} is no name of a {kind}')
  if name in table:
    raise ValueError(f'there is a {kind} {name!r} already')


def _add_features(
  new: Mapping[str, Mapping[str, str]], topics: Collection[str]
) -> None:
  """Puts features into the tables of `accounts`: all of them, or none."""
  names = [f for modalities in new.values() for f in modalities.values()]
  for i, feature in enumerate(names):
    _check_new(
      feature, dict.fromkeys((*accounts_lib.FEATURES, *names[:i])), 'feature'
    )
  for feature in topics:
    if feature not in names:
      raise ValueError(f'{feature!r} is none of the new features')
  for perspective, modalities in new.items():
    accounts_lib.PERSPECTIVES.setdefault(perspective, {}).update(modalities)
  accounts_lib.FEATURES = tuple(
    f for m in accounts_lib.PERSPECTIVES.values() for f in m.values()
  )
  accounts_lib.TOPIC_FEATURES = (*accounts_lib.TOPIC_FEATURES, *topics)
