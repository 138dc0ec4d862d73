"""What the accounts of the embedded world are like, and what they show.

Interests are latent; images, topics and attributes are noisy readings of them,
made by the same map for brands and influencers.
"""

from __future__ import annotations

import math

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.synthetic import options as world_options

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
# As many as there are combinations of words.
MAX_ATTRIBUTES = len(_WORDINGS) * len(_CONCEPTS)


def _unit(x: np.ndarray) -> np.ndarray:
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _softmax(x: np.ndarray) -> np.ndarray:
  x = np.exp(x - x.max(axis=-1, keepdims=True))
  return x / x.sum(axis=-1, keepdims=True)


def draw_interests(
  rng: np.random.Generator,
  world: world_options.World,
  home_A: np.ndarray,
  size: int,
) -> np.ndarray:
  """Draws interests of one kind: unit vectors around a category's centre.

  Args:
    rng: where the draws come from.
    world: its number of categories, and how much they explain.
    home_A: int [A], the category of each account.
    size: latent dimensions K.

  Returns:
    float64 [A, K].
  """
  centres = _unit(rng.normal(size=(world.categories, size)))
  own_AxK = _unit(rng.normal(size=(len(home_A), size)))
  share = world.category_share
  return _unit(
    math.sqrt(share) * centres[home_A] + math.sqrt(1 - share) * own_AxK
  )


def draw_images(
  rng: np.random.Generator,
  world: world_options.World,
  interests_AxK: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
  """Draws image features: objects ++ scenes, each part of sum 1 (eq. 4-6).

  A class counts once for each post in which its confidence passed the
  threshold, with that confidence; what did not pass is 0.

  Args:
    rng: where the draws come from.
    world: its number of classes, and of posts.
    interests_AxK: the interests that images show.

  Returns:
    float32 [A, F]; and int [F], of 0..2K-1, the interest that a class shows
    most: 2k where it grows with interest k, 2k + 1 where it shrinks.
  """
  num, size = interests_AxK.shape
  style_AxK = rng.normal(size=(num, size))
  parts, shown = [], []
  for classes, seen_per_post in ((world.objects, 4.0), (world.scenes, 3.0)):
    common = rng.normal(0.0, 1.0, classes)
    follow = rng.normal(size=(size, classes))
    styled = rng.normal(size=(size, classes)) / math.sqrt(size)
    most = np.abs(follow).argmax(axis=0)
    shown.append(2 * most + (follow[most, np.arange(classes)] < 0))
    odds = common + 1.5 * interests_AxK @ follow + 2.0 * style_AxK @ styled
    chance = _softmax(odds)
    seen = rng.poisson(world.posts * seen_per_post * chance).astype(np.float64)
    some = np.nonzero(seen)
    seen[some] *= rng.uniform(0.4, 1.0, len(some[0]))
    nothing = seen.sum(axis=1) == 0
    seen[nothing, chance[nothing].argmax(axis=1)] = 1.0
    parts.append(seen / seen.sum(axis=1, keepdims=True))
  array = np.concatenate(parts, axis=1).astype(np.float32)
  return array, np.concatenate(shown)


def draw_topics(
  rng: np.random.Generator, interests_AxK: np.ndarray, topics: int
) -> np.ndarray:
  """Draws topic distributions: rows of sum 1, as LDA gives them.

  Args:
    rng: where the draws come from.
    interests_AxK: the interests that captions show.
    topics: number of topics F.

  Returns:
    float32 [A, F].
  """
  num, size = interests_AxK.shape
  common = rng.normal(0.0, 0.5, topics)
  follow = rng.normal(size=(size, topics))
  style = rng.normal(size=(num, 3)) @ rng.normal(size=(3, topics))
  odds = common + 2.0 * interests_AxK @ follow + style / math.sqrt(3)
  words = rng.gamma(200.0 * _softmax(odds)) + _LEVEL
  return (words / words.sum(axis=1, keepdims=True)).astype(np.float32)


def draw_attributes(
  rng: np.random.Generator,
  world: world_options.World,
  interests_AxK: np.ndarray,
) -> tuple[accounts_lib.Attributes, np.ndarray]:
  """Draws attribute lists and an account-level embedding of them.

  Args:
    rng: where the draws come from.
    world: its number of attributes, at most `MAX_ATTRIBUTES`, the size of the
      embedding, and the share of accounts without attributes.
    interests_AxK: the interests behind the attributes.

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
