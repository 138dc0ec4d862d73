"""The embedded world: a seeded data set with a known ceiling (DESIGN).

`options` describes the world, `features` makes what its accounts show; here are
the pairs, the splits, the names and the whole.
"""

from __future__ import annotations

import math

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.synthetic import features as features_lib
from morning_jax.data.synthetic import names as names_lib
from morning_jax.data.synthetic import options as world_options

CATEGORIES = (
  'shoes',
  'nonprofit',
  'drink',
  'clothing',
  'electronics',
  'auto',
  'makeup',
  'food',
  'airline',
  'jewelry',
  'entertainment',
  'services',
)


def _generator(world: world_options.World, stream: int) -> np.random.Generator:
  """Returns the generator of one part; parts do not disturb each other."""
  return np.random.Generator(np.random.PCG64([world.seed, stream]))


def _cooperations(
  rng: np.random.Generator, world: world_options.World, logit_MxB: np.ndarray
) -> np.ndarray:
  """Draws who works for whom: bool [M, B], True in every row and column."""
  num, brands = logit_MxB.shape
  # Busy and idle brands: how many positives each should have.
  shares = np.array(world.brands_per_influencer, np.float64)
  extra = rng.choice(len(shares), size=num, p=shares / shares.sum())
  per_influencer = np.asarray(extra) + 1
  wanted_B = np.exp(rng.normal(0.0, 0.7, brands))
  for _ in range(8):  # scaling to the mean and the cap, in turns
    wanted_B *= per_influencer.sum() / wanted_B.sum()
    wanted_B = np.clip(wanted_B, 1.0, 0.85 * world.max_positives)
  # A brand's pull, such that it gets what it should.
  odds = np.exp(logit_MxB - logit_MxB.max(axis=1, keepdims=True))
  pull_B = np.ones(brands)
  for _ in range(30):
    picked = per_influencer / (odds @ pull_B)
    pull_B = wanted_B / (picked @ odds)
  noisy = logit_MxB + np.log(pull_B) + rng.gumbel(size=logit_MxB.shape)
  rank = np.argsort(np.argsort(-noisy, axis=1), axis=1)
  works = rank < per_influencer[:, None]
  idle = np.flatnonzero(~works.any(axis=0))
  works[noisy[:, idle].argmax(axis=0), idle] = True
  return works


def _splits(rng: np.random.Generator, world: world_options.World) -> np.ndarray:
  """Draws the split of every brand; brands are ordered by category."""
  splits = np.full((world.categories, world.brands_per_category), 'train')
  for category in range(world.categories):
    test = world.test_per_category
    test += category >= world.categories - world.extra_test
    order = rng.permutation(world.brands_per_category)
    splits[category, order[:test]] = 'test'
    splits[category, order[test : test + world.valid_per_category]] = 'valid'
  return splits.reshape(-1)


def _names(
  rng: np.random.Generator,
  world: world_options.World,
  category_names: list[str],
) -> np.ndarray:
  """Returns the names of brands, then of influencers."""
  names = [
    f'{category}_{i:02d}'
    for category in category_names
    for i in range(1, world.brands_per_category + 1)
  ]
  creators = [f'creator_{i:04d}' for i in range(1, world.influencers + 1)]
  for m, b in zip(
    rng.choice(world.influencers, world.shared_names, replace=False),
    rng.choice(world.brands, world.shared_names, replace=False),
    strict=True,
  ):
    creators[m] = names[b]
  return np.array(names + creators)


def _biographies(lists: accounts_lib.Attributes, num: int) -> np.ndarray:
  texts: list[list[str]] = [[] for _ in range(num)]
  names = lists.names_V.tolist()
  for account, attribute in zip(
    lists.holder.tolist(), lists.held.tolist(), strict=True
  ):
    texts[account].append(names[attribute])
  return np.array([' | '.join(t) for t in texts])


def generate(world: world_options.World) -> accounts_lib.Dataset:
  """Generates a world; the same world gives the same data, bit for bit.

  Args:
    world: sizes, strengths and seed.

  Returns:
    The data set: brands category by category, then influencers in no order;
    positives by brand, then by influencer. `planted` [A, K] holds the
    interests, scaled such that inner products are the planted preference, in
    units of log-odds. Attributes have no stored graph: it follows from the
    training positives.

  Raises:
    ValueError: the world's sizes contradict each other.
  """
  per_category = world.test_per_category + world.valid_per_category
  if per_category + (world.extra_test > 0) >= world.brands_per_category:
    raise ValueError(f'no training brands are left in {world}')
  if world.attributes > features_lib.MAX_ATTRIBUTES:
    raise ValueError(
      f'{world.attributes} attributes; there are words for'
      f' {features_lib.MAX_ATTRIBUTES}'
    )
  num_brands, num = world.brands, world.brands + world.influencers
  rng = _generator(world, 0)
  home_A = np.concatenate(
    [
      np.repeat(np.arange(world.categories), world.brands_per_category),
      rng.integers(world.categories, size=world.influencers),
    ]
  )
  content = features_lib.draw_interests(
    rng, world, home_A, world.content_interests
  )
  audience = features_lib.draw_interests(
    rng, world, home_A, world.audience_interests
  )
  attribute = features_lib.draw_interests(
    rng, world, home_A, world.attribute_interests
  )
  planted = np.concatenate(
    [
      # An inner product of unit vectors of K dimensions has variance 1 / K.
      x * math.sqrt(weight * math.sqrt(x.shape[1]))
      for x, weight in (
        (content, world.content_weight),
        (audience, world.audience_weight),
        (attribute, world.attribute_weight),
      )
    ],
    axis=1,
  )
  works_MxB = _cooperations(
    _generator(world, 1), world, planted[num_brands:] @ planted[:num_brands].T
  )
  brand, influencer = np.nonzero(works_MxB.T)
  positives = np.stack([brand, influencer + num_brands], axis=1)

  # Image and text each show most of the interests, not all.
  def seen_by(x: np.ndarray, *, image: bool) -> np.ndarray:
    hidden = x.shape[1] // 4
    return x[:, : x.shape[1] - hidden] if image else x[:, hidden:]

  content_image, content_shown = features_lib.draw_images(
    _generator(world, 2), world, seen_by(content, image=True)
  )
  audience_image, audience_shown = features_lib.draw_images(
    _generator(world, 4), world, seen_by(audience, image=True)
  )
  features = {
    'content_image': content_image,
    'content_text': features_lib.draw_topics(
      _generator(world, 3), seen_by(content, image=False), world.content_topics
    ),
    'audience_image': audience_image,
    'audience_text': features_lib.draw_topics(
      _generator(world, 5),
      seen_by(audience, image=False),
      world.audience_topics,
    ),
  }
  rng = _generator(world, 6)
  for array in features.values():
    array[rng.random(num) < world.missing] = np.nan
  lists, embedding = features_lib.draw_attributes(
    _generator(world, 7), world, attribute
  )
  features['attribute_embedding'] = embedding

  rng = _generator(world, 8)
  category_names = [
    CATEGORIES[c] if c < len(CATEGORIES) else f'category-{c}'
    for c in range(world.categories)
  ]
  category_B = np.repeat(category_names, world.brands_per_category)
  nowhere = np.full(world.influencers, '')
  employer_M = np.argmax(works_MxB, axis=1)
  brand_followers = np.exp(rng.uniform(np.log(1e5), np.log(5e6), num_brands))
  followers = np.exp(rng.uniform(np.log(5e3), np.log(1e5), world.influencers))
  accounts = accounts_lib.Accounts(
    ids=_names(rng, world, category_names),
    roles=np.repeat(
      np.array([accounts_lib.BRAND, accounts_lib.INFLUENCER], np.int8),
      [num_brands, world.influencers],
    ),
    categories=np.concatenate([category_B, nowhere]),
    splits=np.concatenate([_splits(rng, world), nowhere]),
    found_under=np.concatenate(
      [np.full(num_brands, ''), category_B[employer_M]]
    ),
    followers=np.concatenate([brand_followers, followers]).astype(np.int64),
    biographies=_biographies(lists, num),
  )
  return accounts_lib.Dataset(
    name=f'embedded world, seed {world.seed}',
    accounts=accounts,
    features=features,
    positives_Px2=positives.astype(np.int64),
    attributes=lists,
    feature_names=names_lib.feature_names(
      world,
      {'content_image': content_shown, 'audience_image': audience_shown},
    ),
    planted=planted.astype(np.float32),
  )
