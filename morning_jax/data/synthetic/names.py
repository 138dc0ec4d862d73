"""What the numbers of the embedded world's features are called.

The names are made up, as the world is. Classes of images come in families: all
that show one interest, and show it alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from morning_jax.data.synthetic import options as world_options

_TOPICS = (
  'skin care',
  'home cooking',
  'city trips',
  'work-outs',
  'street style',
  'new music',
  'family life',
  'coffee and cake',
  'gadgets',
  'house plants',
  'road trips',
  'healthy eating',
  'weddings',
  'books',
  'giveaways',
  'hair and nails',
  'match days',
  'good causes',
  'film nights',
  'pets',
  'interior',
  'night life',
  'outdoors',
  'saving money',
)
_OBJECTS = (
  'sportswear',
  'table and glass',
  'cosmetics',
  'instruments',
  'animals',
  'vehicles',
  'screens and devices',
  'plants',
)
_SCENES = (
  'gyms and fields',
  'kitchens and bars',
  'bathrooms and salons',
  'stages and clubs',
  'woods and meadows',
  'streets and garages',
  'offices and studios',
  'gardens and beaches',
)


def topic_names(count: int) -> tuple[str, ...]:
  """Names topics."""
  return tuple(
    _TOPICS[i] if i < len(_TOPICS) else f'topic {i}' for i in range(count)
  )


def image_names(
  world: world_options.World, shown_F: np.ndarray
) -> tuple[str, ...]:
  """Names classes of images, `family: class`.

  Args:
    world: its numbers of classes.
    shown_F: what each class shows, from `features.draw_images`.
  """
  names = []
  for index, shown in enumerate(shown_F.tolist()):
    is_object = index < world.objects
    words = _OBJECTS if is_object else _SCENES
    family = words[shown] if shown < len(words) else f'family {shown}'
    number = index if is_object else index - world.objects
    kind = 'object' if is_object else 'scene'
    names.append(f'{family}: {kind} {number}')
  return tuple(names)


def feature_names(
  world: world_options.World, shown: Mapping[str, np.ndarray]
) -> dict[str, tuple[str, ...]]:
  """Names the numbers of all features that can be named.

  Args:
    world: its sizes.
    shown: image feature -> what each class shows.

  Returns:
    Feature -> names.
  """
  return {
    'content_image': image_names(world, shown['content_image']),
    'content_text': topic_names(world.content_topics),
    'audience_image': image_names(world, shown['audience_image']),
    'audience_text': topic_names(world.audience_topics),
  }
