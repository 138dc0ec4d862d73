"""The embedded world: a seeded data set with a known ceiling (DESIGN).

Every account has latent interests of three kinds, one kind a perspective:
what it posts (content), whom it reaches (audience) and what it is
(attributes). Features are noisy readings of them, made by one map for brands
and influencers alike. An influencer picks its brands at random, with odds that
grow with the planted preference, the inner product of the two accounts'
interests summed over the three kinds. Pairs enter no feature.

What makes the world hard in the way the published data are:

* Beside interests, images and topics follow a style that has nothing to do
  with cooperation and varies more than the interests do: features that look
  alike say little.
* Image and text of a perspective each show only some of its interests.
* The kinds of interests differ in weight, and are only loosely tied to each
  other through the category, so every perspective adds to the others.
* An attribute is a concept in one of several wordings ('coffee fan', 'coffee
  blogger'). An account uses one wording of a concept, so wordings of one
  concept never stand together in one account and many are rare. What ties them
  together are their neighbours in the co-occurrence graph.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from morning_jax import accounts as accounts_lib

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
_CONCEPTS = [
  'sneaker',
  'running',
  'coffee',
  'wine',
  'tea',
  'craft-beer',
  'vegan',
  'baking',
  'barbecue',
  'street-food',
  'travel',
  'camping',
  'surf',
  'ski',
  'yoga',
  'fitness',
  'dance',
  'ballet',
  'piano',
  'guitar',
  'hip-hop',
  'jazz',
  'cinema',
  'theatre',
  'comic',
  'gaming',
  'gadget',
  'drone',
  'camera',
  'film',
  'car',
  'motorcycle',
  'cycling',
  'sailing',
  'flight',
  'garden',
  'interior',
  'ceramics',
  'knitting',
  'denim',
  'vintage',
  'lingerie',
  'streetwear',
  'jewel',
  'watch',
  'cosmetics',
  'skincare',
  'perfume',
  'nail',
  'pet',
  'wildlife',
  'charity',
  'climate',
  'parenting',
  'wedding',
  'book',
  'poetry',
  'tattoo',
  'football',
  'basketball',
  'tennis',
  'golf',
]
_WORDINGS = [
  'fan',
  'lover',
  'blogger',
  'maker',
  'coach',
  'pro',
  'student',
  'collector',
  'editor',
  'consultant',
  'geek',
  'ambassador',
  'artist',
  'critic',
  'founder',
  'photographer',
]
_WORDINGS_PER_CONCEPT = 11
_CONCEPT_SHARPNESS = 12.0
_LEVEL = 1e-6  # keeps a logarithm finite


@dataclasses.dataclass(frozen=True)
class World:
  """Sizes and strengths of a world; the defaults are the published sizes.

  Attributes:
    seed: of every random draw.
    categories: number of brand categories.
    brands_per_category: brands of each, over all splits.
    test_per_category: test brands of each.
    extra_test: the last so many categories have one test brand more.
    valid_per_category: validation brands of each; the rest is for training.
    influencers: number of influencers; each has at least one positive.
    brands_per_influencer: relative numbers of influencers who work for 1, 2,
      ... brands.
    max_positives: the busiest brand has about so many.
    shared_names: so many influencers bear the name of a brand.
    objects: object classes of an image.
    scenes: scene classes of an image; an image feature is both, concatenated.
    content_topics: topics of captions.
    audience_topics: topics of the audience's captions.
    attributes: number of named attributes.
    attribute_embedding: size of the account-level attribute embedding.
    posts: posts behind an account's content, and behind its audience.
    content_interests: latent dimensions of content.
    audience_interests: latent dimensions of the audience.
    attribute_interests: latent dimensions of attributes.
    content_weight: standard deviation of content's part of the log-odds of
      cooperation between unrelated accounts.
    audience_weight: the same for the audience.
    attribute_weight: the same for attributes.
    category_share: share of an interest's variance that its category explains.
    missing: share of accounts that lack a feature, for each feature anew.
  """

  seed: int = 0
  categories: int = 12
  brands_per_category: int = 30
  test_per_category: int = 6
  extra_test: int = 2
  valid_per_category: int = 3
  influencers: int = 3748
  brands_per_influencer: tuple[int, ...] = (2816, 217, 33, 9)
  max_positives: int = 39
  shared_names: int = 8
  objects: int = 1000
  scenes: int = 365
  content_topics: int = 22
  audience_topics: int = 21
  attributes: int = 572
  attribute_embedding: int = 128
  posts: int = 50
  content_interests: int = 5
  audience_interests: int = 4
  attribute_interests: int = 4
  content_weight: float = 2.2
  audience_weight: float = 1.4
  attribute_weight: float = 1.7
  category_share: float = 0.3
  missing: float = 0.01

  @property
  def brands(self) -> int:
    """Number of brands over all splits."""
    return self.categories * self.brands_per_category


def small(seed: int = 0) -> World:
  """Returns a world for tests and first looks: a second to learn from."""
  return World(
    seed=seed,
    categories=4,
    brands_per_category=12,
    test_per_category=2,
    extra_test=1,
    valid_per_category=2,
    influencers=480,
    max_positives=24,
    shared_names=2,
    objects=60,
    scenes=24,
    content_topics=12,
    audience_topics=11,
    attributes=88,
    attribute_embedding=16,
    content_interests=4,
    audience_interests=3,
    attribute_interests=4,
  )


def _generator(world: World, stream: int) -> np.random.Generator:
  """Returns the generator of one part; parts do not disturb each other."""
  return np.random.Generator(np.random.PCG64([world.seed, stream]))


def _unit(x: np.ndarray) -> np.ndarray:
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _softmax(x: np.ndarray) -> np.ndarray:
  x = np.exp(x - x.max(axis=-1, keepdims=True))
  return x / x.sum(axis=-1, keepdims=True)


def _interests(
  rng: np.random.Generator, world: World, home_A: np.ndarray, size: int
) -> np.ndarray:
  """Draws interests of one kind: unit vectors around a category's centre."""
  centres = _unit(rng.normal(size=(world.categories, size)))
  own_AxK = _unit(rng.normal(size=(len(home_A), size)))
  share = world.category_share
  return _unit(
    math.sqrt(share) * centres[home_A] + math.sqrt(1 - share) * own_AxK
  )


def _images(
  rng: np.random.Generator, world: World, interests_AxK: np.ndarray
) -> np.ndarray:
  """Draws image features: objects ++ scenes, each part of sum 1 (eq. 4-6).

  A class counts once for each post in which its confidence passed the
  threshold, with that confidence; what did not pass is 0.
  """
  num, size = interests_AxK.shape
  style_AxK = rng.normal(size=(num, size))
  parts = []
  for classes, seen_per_post in ((world.objects, 4.0), (world.scenes, 3.0)):
    common = rng.normal(0.0, 1.0, classes)
    follow = rng.normal(size=(size, classes))
    styled = rng.normal(size=(size, classes)) / math.sqrt(size)
    odds = common + 1.5 * interests_AxK @ follow + 2.0 * style_AxK @ styled
    chance = _softmax(odds)
    seen = rng.poisson(world.posts * seen_per_post * chance).astype(np.float64)
    some = np.nonzero(seen)
    seen[some] *= rng.uniform(0.4, 1.0, len(some[0]))
    nothing = seen.sum(axis=1) == 0
    seen[nothing, chance[nothing].argmax(axis=1)] = 1.0
    parts.append(seen / seen.sum(axis=1, keepdims=True))
  return np.concatenate(parts, axis=1).astype(np.float32)


def _topics(
  rng: np.random.Generator, interests_AxK: np.ndarray, topics: int
) -> np.ndarray:
  """Draws topic distributions: rows of sum 1, as LDA gives them."""
  num, size = interests_AxK.shape
  common = rng.normal(0.0, 0.5, topics)
  follow = rng.normal(size=(size, topics))
  style = rng.normal(size=(num, 3)) @ rng.normal(size=(3, topics))
  odds = common + 2.0 * interests_AxK @ follow + style / math.sqrt(3)
  words = rng.gamma(200.0 * _softmax(odds)) + _LEVEL
  return (words / words.sum(axis=1, keepdims=True)).astype(np.float32)


def _attributes(
  rng: np.random.Generator, world: World, interests_AxK: np.ndarray
) -> tuple[accounts_lib.Attributes, np.ndarray]:
  """Draws attribute lists and an account-level embedding of them.

  Returns:
    The lists, sorted by account and attribute, and float32 [A, D]; NaN for an
    account without attributes.
  """
  num, size = interests_AxK.shape
  concepts = -(-world.attributes // _WORDINGS_PER_CONCEPT)
  centre = _unit(rng.normal(size=(concepts, size)))
  # Attribute v is concept v % concepts in wording v // concepts.
  concept_V = np.arange(world.attributes) % concepts
  wording_V = np.arange(world.attributes) // concepts
  names = [
    (_CONCEPTS[c] if c < len(_CONCEPTS) else f'interest-{c}')
    + ' '
    + _WORDINGS[w]
    for c, w in zip(concept_V.tolist(), wording_V.tolist(), strict=True)
  ]

  # Concepts: the n_a best of noisy affinities.
  most = min(8, concepts)
  count_A = rng.integers(min(4, most), most + 1, size=(num,))
  affinity = _CONCEPT_SHARPNESS * interests_AxK @ centre.T
  order = np.argsort(-(affinity + rng.gumbel(size=affinity.shape)), axis=1)
  chosen = order[:, :most]
  kept = np.arange(most) < count_A[:, None]
  kept[rng.random(num) < world.missing] = False
  holder, place = np.nonzero(kept)
  concept = chosen[holder, place]
  # One wording of each, the first ones more often.
  wordings_of = np.bincount(concept_V, minlength=concepts)[concept]
  weight = 1.0 / (1.0 + np.arange(_WORDINGS_PER_CONCEPT)) ** 0.7
  up_to = np.cumsum(weight)
  draw = rng.random(len(holder)) * up_to[wordings_of - 1]
  held = concept + concepts * np.searchsorted(up_to, draw, side='right')
  sort = np.lexsort((held, holder))
  holder, held = holder[sort], held[sort]

  # Node vectors: the concept, and what is peculiar to the wording.
  nodes = centre[concept_V] + 0.4 * rng.normal(size=(len(names), size)) / (
    math.sqrt(size)
  )
  nodes = np.concatenate([nodes, rng.normal(size=nodes.shape)], axis=1)
  spread = rng.normal(size=(nodes.shape[1], world.attribute_embedding))
  nodes_VxD = nodes @ spread / math.sqrt(nodes.shape[1])
  total = np.zeros((num, world.attribute_embedding))
  np.add.at(total, holder, nodes_VxD[held])
  count = kept.sum(axis=1)
  embedding = total / np.maximum(count, 1)[:, None]
  embedding += 0.1 * rng.normal(size=embedding.shape)
  embedding[count == 0] = np.nan
  lists = accounts_lib.Attributes(
    names_V=np.array(names),
    ids_V=np.array([str(i) for i in range(len(names))]),
    holder=holder.astype(np.int64),
    held=held.astype(np.int64),
  )
  return lists, embedding.astype(np.float32)


def _cooperations(
  rng: np.random.Generator, world: World, logit_MxB: np.ndarray
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


def _splits(rng: np.random.Generator, world: World) -> np.ndarray:
  """Draws the split of every brand; brands stand category by category."""
  splits = np.full((world.categories, world.brands_per_category), 'train')
  for category in range(world.categories):
    test = world.test_per_category
    test += category >= world.categories - world.extra_test
    order = rng.permutation(world.brands_per_category)
    splits[category, order[:test]] = 'test'
    splits[category, order[test : test + world.valid_per_category]] = 'valid'
  return splits.reshape(-1)


def _names(
  rng: np.random.Generator, world: World, category_names: list[str]
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


def generate(world: World) -> accounts_lib.Dataset:
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
  if world.attributes > len(_WORDINGS) * len(_CONCEPTS):
    raise ValueError(
      f'{world.attributes} attributes; there are words for'
      f' {len(_WORDINGS) * len(_CONCEPTS)}'
    )
  num_brands, num = world.brands, world.brands + world.influencers
  rng = _generator(world, 0)
  home_A = np.concatenate(
    [
      np.repeat(np.arange(world.categories), world.brands_per_category),
      rng.integers(world.categories, size=world.influencers),
    ]
  )
  content = _interests(rng, world, home_A, world.content_interests)
  audience = _interests(rng, world, home_A, world.audience_interests)
  attribute = _interests(rng, world, home_A, world.attribute_interests)
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

  features = {
    'content_image': _images(
      _generator(world, 2), world, seen_by(content, image=True)
    ),
    'content_text': _topics(
      _generator(world, 3), seen_by(content, image=False), world.content_topics
    ),
    'audience_image': _images(
      _generator(world, 4), world, seen_by(audience, image=True)
    ),
    'audience_text': _topics(
      _generator(world, 5),
      seen_by(audience, image=False),
      world.audience_topics,
    ),
  }
  rng = _generator(world, 6)
  for array in features.values():
    array[rng.random(num) < world.missing] = np.nan
  lists, embedding = _attributes(_generator(world, 7), world, attribute)
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
    planted=planted.astype(np.float32),
  )
