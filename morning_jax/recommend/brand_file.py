"""A brand that no bundle has, from its features as JSON.

  {"name": "acme", "category": "shoes", "attributes": ["sneaker fan"],
   "content_text": [0.1, 0.9], "audience_text": null}

Features are those of a bundle's arrays, one row of them; null, or none, is a
feature that the brand lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from typing import Any, NoReturn

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.data.bundle import tables
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import profiles as profiles_lib

_LARGEST = 1 << 26  # bytes
_LONGEST_NAME = 200
_KEYS = ('name', 'category', 'attributes')  # and the features' names


class BrandError(errors.UserError):
  """A brand that can't be read.

  Attributes:
    field: the key at fault, '' where it is none.
  """

  def __init__(self, message: str, *, field: str = ''):
    super().__init__(message)
    self.field = field


def read_brand(
  path: str | os.PathLike[str], catalogue: catalogue_lib.Catalogue
) -> catalogue_lib.Account:
  """Reads and encodes a brand.

  Args:
    path: the JSON file.
    catalogue: its model.

  Returns:
    The brand.

  Raises:
    BrandError: the file is no such brand, or does not fit the model.
  """
  with user_files.open_file(path, error=BrandError) as f:
    content = f.read(_LARGEST + 1)
  try:
    if len(content) > _LARGEST:
      raise BrandError(f'is larger than {_LARGEST >> 20} MiB')
    value = json.loads(content, parse_constant=_refuse)
  except BrandError as e:
    raise BrandError(errors.in_file(path, str(e))) from None
  except (ValueError, RecursionError) as e:
    raise BrandError(errors.in_file(path, f'is no JSON: {e}')) from None
  try:
    return parse_brand(value, catalogue)
  except BrandError as e:
    raise BrandError(errors.in_file(path, str(e)), field=e.field) from None


def parse_brand(
  value: Any, catalogue: catalogue_lib.Catalogue
) -> catalogue_lib.Account:
  """Encodes a brand from plain JSON values; see the module.

  Args:
    value: the parsed JSON.
    catalogue: its model.

  Returns:
    The brand; features that the model does not take are left out.

  Raises:
    BrandError: a key or a value is wrong, or the model takes nothing of it.
  """
  if not isinstance(value, Mapping):
    raise BrandError('is no JSON object, such as {"content_text": [0.1, 0.9]}')
  keys = (*_KEYS, *accounts_lib.FEATURES)
  for key in value:
    if key not in keys:
      raise BrandError(
        f'{errors.quoted(key, limit=40)} is no key of a brand'
        + (tables.near(str(key), keys) or f'; they are {", ".join(keys)}'),
        field=str(key)[:_LONGEST_NAME],
      )
  spec = catalogue.trained.spec
  features = {}
  for feature in accounts_lib.FEATURES:
    if value.get(feature) is not None:
      size = spec.feature_sizes.get(feature)
      row = _numbers(feature, value[feature], size)
      if size is not None:
        features[feature] = row
  profile = profiles_lib.Profile(
    features=features,
    attributes=_attributes(value.get('attributes'), catalogue),
  )
  brand = catalogue.new_account(
    profile,
    name=_text(value, 'name') or 'new brand',
    category=_text(value, 'category'),
  )
  if len(brand.lacks) == len(catalogue.perspectives):
    wanted = list(spec.feature_sizes)
    if spec.takes_attribute_lists:
      wanted.append('attributes')
    raise BrandError(
      f'shows nothing that the model takes, which is {", ".join(wanted)}'
    )
  return brand


def _refuse(constant: str) -> NoReturn:
  raise BrandError(f'{constant} is no number; null is a feature that it lacks')


def _text(value: Mapping[str, Any], key: str) -> str:
  text = value.get(key)
  if text is None:
    return ''
  if not isinstance(text, str) or not text.isprintable():
    raise BrandError(f'{key} is no text of one line', field=key)
  if len(text) > _LONGEST_NAME:
    raise BrandError(
      f'{key} has {len(text):,} characters; at most {_LONGEST_NAME} are read',
      field=key,
    )
  return text


def _numbers(feature: str, value: Any, size: int | None) -> np.ndarray:
  if not isinstance(value, list) or not all(
    isinstance(x, int | float) and not isinstance(x, bool) for x in value
  ):
    raise BrandError(f'{feature} is no list of numbers', field=feature)
  if size is not None and len(value) != size:
    raise BrandError(
      f'{feature} has {len(value):,} numbers, the model was trained on'
      f' {size:,}',
      field=feature,
    )
  try:
    with np.errstate(all='ignore'):
      row = np.array(value, np.float64).astype(np.float32)
  except OverflowError:
    row = np.array([np.inf], np.float32)
  if not np.isfinite(row).all():
    raise BrandError(
      f'{feature} holds a number that is not finite', field=feature
    )
  if feature in accounts_lib.TOPIC_FEATURES and (row < 0).any():
    raise BrandError(f'{feature} holds a negative topic weight', field=feature)
  return row


def _attributes(value: Any, catalogue: catalogue_lib.Catalogue) -> np.ndarray:
  if value is None:
    return np.zeros(0, np.int64)
  if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
    raise BrandError('attributes is no list of names', field='attributes')
  names = catalogue.dataset.attribute_names
  place = {name: i for i, name in enumerate(names)}
  for name in value:
    if name not in place:
      raise BrandError(
        f'attribute {errors.quoted(name, limit=40)} is none of the'
        f' {len(names):,} in the bundle{tables.near(name, names)}',
        field='attributes',
      )
  return np.unique(np.array([place[name] for name in value], np.int64))
