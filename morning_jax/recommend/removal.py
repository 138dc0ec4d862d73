"""What can be removed from an account, and the account without it.

A removed number is zeroed and the rest of its distribution scaled up to the sum
that it had: as if the posts that showed it did not exist. A removed attribute
leaves the list, so that the mean runs over the others. What was all that an
account had of a feature leaves the account without the feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import input_spec
from morning_jax.recommend import profiles as profiles_lib

_TOPIC_LIMIT = 64  # numbers of a text, of which the heaviest are tried
_CLASS_LIMIT = 24  # classes or families of an image, likewise
_SAMPLE = 2048  # accounts by which the parts of an image are told
_TOLERANCE = 1e-3
_FAMILY = ': '


@dataclasses.dataclass(frozen=True)
class Removable:
  """Something that can be taken from an account.

  Attributes:
    perspective: 'content', 'audience' or 'attribute'.
    kind: 'topic', 'image class', 'image family' or 'attribute'.
    feature: the feature; `accounts.ATTRIBUTE_LIST` for an attribute.
    indices: the numbers of the feature, or the attribute.
    name: what it is called; its index where it has no name.
    share: of the feature's sum, or of the account's attributes.
  """

  perspective: str
  kind: str
  feature: str
  indices: tuple[int, ...]
  name: str
  share: float


def parts_of_sum(x_AxF: np.ndarray) -> tuple[slice, ...]:
  """Finds the parts of a feature that each sum to 1 (objects, scenes).

  A bundle does not say where objects end. Where every row sums to 2 and all
  rows reach 1 at one column, they end there.

  Args:
    x_AxF: the feature; rows of NaN lack it.

  Returns:
    One part or two, as columns.
  """
  whole = (slice(0, x_AxF.shape[1]),)
  step = max(1, len(x_AxF) // _SAMPLE)
  sample = np.asarray(x_AxF[::step], np.float64)
  sample = sample[~np.isnan(sample[:, 0])]
  if not len(sample):
    return whole
  up_to = sample.cumsum(axis=1)
  if np.abs(up_to[:, -1] - 2).max() > _TOLERANCE:
    return whole
  ends = np.flatnonzero((np.abs(up_to - 1) <= _TOLERANCE).all(axis=0))
  if not len(ends):
    return whole
  end = int(ends[0]) + 1
  return slice(0, end), slice(end, x_AxF.shape[1])


class Removals:
  """Lists what can be removed from accounts of a bundle, and removes it."""

  def __init__(self, spec: input_spec.InputSpec, dataset: accounts_lib.Dataset):
    """Prepares.

    Args:
      spec: what the model takes in.
      dataset: the bundle, whose names are used.
    """
    self._spec = spec
    self._names = dataset.feature_names
    self._attribute_names = dataset.attribute_names
    known = set(spec.attribute_names)
    self._is_known = [name in known for name in self._attribute_names]
    self._parts: dict[str, tuple[slice, ...]] = {}
    self._families: dict[str, list[tuple[str, np.ndarray]]] = {}
    for perspective, modalities in spec.perspectives.items():
      del perspective
      image = modalities.get('image')
      if image is not None:
        self._parts[image] = parts_of_sum(dataset.features[image])
        self._families[image] = families(self._names.get(image, ()))

  def of(self, profile: profiles_lib.Profile) -> list[Removable]:
    """Lists what can be removed from an account.

    Args:
      profile: what it shows.

    Returns:
      Topics and attributes it has, its image families, or where classes have
      none, its heaviest image classes. Of an attribute embedding, nothing: its
      numbers mean nothing one by one.
    """
    found: list[Removable] = []
    for perspective, modalities in self._spec.perspectives.items():
      for modality, feature in modalities.items():
        if feature in profile.features:
          found += self._of_feature(
            perspective, modality, feature, profile.features[feature]
          )
      if not modalities:
        found += self._of_list(perspective, profile.attributes)
    return found

  def _of_feature(
    self, perspective: str, modality: str, feature: str, x_F: np.ndarray
  ) -> Iterator[Removable]:
    if modality == 'embedding':
      return  # its numbers mean nothing one by one
    weight = np.abs(x_F)
    total = float(weight.sum()) or 1.0
    groups = self._families.get(feature, [])
    if groups:
      for name, where in groups:
        share = float(weight[where].sum()) / total
        if share:
          yield Removable(
            perspective,
            'image family',
            feature,
            tuple(where.tolist()),
            name,
            share,
          )
      return
    kind, limit = 'topic', _TOPIC_LIMIT
    if modality == 'image':
      kind, limit = 'image class', _CLASS_LIMIT
    names = self._names.get(feature, ())
    for index in np.argsort(-weight, kind='stable')[:limit].tolist():
      if weight[index]:
        yield Removable(
          perspective,
          kind,
          feature,
          (index,),
          names[index] if names and names[index] else str(index),
          float(weight[index]) / total,
        )

  def _of_list(
    self, perspective: str, attributes: np.ndarray
  ) -> Iterator[Removable]:
    known = [v for v in attributes.tolist() if self._is_known[v]]
    for attribute in known:
      yield Removable(
        perspective,
        'attribute',
        accounts_lib.ATTRIBUTE_LIST,
        (attribute,),
        self._attribute_names[attribute],
        1 / len(known),
      )

  def without(
    self, profile: profiles_lib.Profile, removed: Sequence[Removable]
  ) -> profiles_lib.Profile:
    """Returns an account without some of what it shows."""
    features: dict[str, np.ndarray] = dict(profile.features)
    attributes = profile.attributes
    gone: dict[str, list[int]] = {}
    for item in removed:
      gone.setdefault(item.feature, []).extend(item.indices)
    for feature, indices in gone.items():
      if feature == accounts_lib.ATTRIBUTE_LIST:
        attributes = attributes[~np.isin(attributes, indices)]
        continue
      left = self._zeroed(feature, features[feature], indices)
      if left.any():
        features[feature] = left
      else:
        del features[feature]
    return profiles_lib.Profile(features=features, attributes=attributes)

  def _zeroed(
    self, feature: str, x_F: np.ndarray, indices: Sequence[int]
  ) -> np.ndarray:
    left = np.array(x_F, np.float32)
    left[list(indices)] = 0
    for part in self._parts.get(feature, (slice(None),)):
      before, after = float(x_F[part].sum()), float(left[part].sum())
      if after > 0:
        left[part] *= np.float32(before / after)
    return left


def families(names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
  """Groups the numbers of a feature by the family in their names.

  Args:
    names: `family: name`; others are no part of a family.

  Returns:
    Family -> its numbers, in the order of first appearance; nothing unless
    most of the named ones have a family.
  """
  members: dict[str, list[int]] = {}
  for index, name in enumerate(names):
    family, mark, _ = name.partition(_FAMILY)
    if mark and family:
      members.setdefault(family, []).append(index)
  named = sum(bool(name) for name in names)
  if 2 * sum(map(len, members.values())) <= named:
    return []
  return [(family, np.array(rows)) for family, rows in members.items()]
