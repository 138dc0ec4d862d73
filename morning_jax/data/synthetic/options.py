"""What the embedded world is like: its sizes and strengths (DESIGN).

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
  concept never occur together in one account and many are rare. What ties them
  together are their neighbours in the co-occurrence graph.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class World:
  """Sizes and strengths of a world; the defaults are the published sizes.

  Attributes:
    seed: of every random draw.
    categories: number of brand categories.
    brands_per_category: brands of each, over all splits.
    test_per_category: test brands of each.
    extra_test: number of categories, the last ones, with one more test brand.
    valid_per_category: validation brands of each; the rest is for training.
    influencers: number of influencers; each has at least one positive.
    brands_per_influencer: relative numbers of influencers who work for 1, 2,
      ... brands.
    max_positives: number of positives of the busiest brand, about.
    shared_names: number of influencers that have the name of a brand.
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
    missing: share of accounts that lack a feature, drawn for each feature.
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
