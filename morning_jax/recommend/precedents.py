"""Has an influencer worked with a brand like this one, or somebody like it?

Only cooperations of training brands count: whatever was held out to measure the
model is no precedent. A brand is like another where it is among the tenth of
training brands that are most similar to it, by centred cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import recommend as recommend_lib

_LIKE = 0.1  # share of the training brands that are called like a brand
_MOST_SHARED = 3
_FEW_TOPICS = 2
_LIFT = 1.5  # times the mean over brands, from which a topic is a brand's own


@dataclasses.dataclass(frozen=True)
class Precedent:
  """A cooperation that speaks for a pair.

  Attributes:
    brand_id: the brand of the cooperation.
    brand_similarity: to the brand that is asked about, centred cosine.
    shared: what the two brands share, in words: category, attributes, topics.
    influencer_id: who worked with that brand.
    is_own: whether that is the influencer itself; else it is the most similar
      of those who worked with a brand like this one.
    influencer_similarity: of that influencer, centred cosine; 1 for itself.
  """

  brand_id: str
  brand_similarity: float
  shared: tuple[str, ...]
  influencer_id: str
  is_own: bool
  influencer_similarity: float

  @property
  def words(self) -> str:
    """The precedent as a sentence."""
    like = f' ({", ".join(self.shared)})' if self.shared else ''
    if self.is_own:
      return f'has worked with {self.brand_id}, which is like yours{like}'
    return (
      f'{self.influencer_id}, the most similar who has (similarity'
      f' {self.influencer_similarity:.2f}), worked with {self.brand_id}, which'
      f' is like yours{like}'
    )


class Precedents:
  """The training cooperations of a catalogue."""

  def __init__(self, catalogue: catalogue_lib.Catalogue):
    """Collects them.

    Args:
      catalogue: who there is.
    """
    self._catalogue = catalogue
    splits = catalogue.dataset.accounts.splits
    is_train_B = splits[catalogue.brands.account_row_N] == 'train'
    pairs = catalogue.positives_Px2
    self._pairs_Px2 = pairs[is_train_B[pairs[:, 0]]]
    self._train_B = np.unique(self._pairs_Px2[:, 0])

  def of(
    self,
    brand: catalogue_lib.Account,
    influencers: Sequence[catalogue_lib.Account],
    *,
    exclude: frozenset[str] = frozenset(),
  ) -> list[Precedent | None]:
    """Finds a precedent for each of some influencers.

    Args:
      brand: the brand; its own cooperations are no precedent.
      influencers: the influencers.
      exclude: ids of influencers who are no precedent.

    Returns:
      The influencer's own cooperation with the most similar brand that is like
      this one; else that of the most similar influencer who has one; None where
      there is none.
    """
    others_B = self._train_B[self._train_B != brand.row]
    if not len(others_B):
      return [None] * len(influencers)
    similarity_B = recommend_lib.similarities(self._catalogue, brand)
    count = math.ceil(_LIKE * len(others_B))
    order = np.argsort(-similarity_B[others_B], kind='stable')
    like = others_B[order[:count]]
    like = like[similarity_B[like] > 0]
    pairs = self._pairs_Px2[np.isin(self._pairs_Px2[:, 0], like)]
    if exclude:
      ids_P = self._catalogue.influencers.ids_N[pairs[:, 1]]
      pairs = pairs[~np.isin(ids_P, list(exclude))]
    if not len(pairs):
      return [None] * len(influencers)
    # Of an influencer's cooperations, the one with the most similar brand.
    pairs = pairs[np.argsort(-similarity_B[pairs[:, 0]], kind='stable')]
    who_S, first = np.unique(pairs[:, 1], return_index=True)
    brand_S = pairs[first, 0]
    return [
      self._nearest(brand, m, who_S, brand_S, similarity_B) for m in influencers
    ]

  def _nearest(
    self,
    brand: catalogue_lib.Account,
    influencer: catalogue_lib.Account,
    who_S: np.ndarray,
    brand_S: np.ndarray,
    similarity_B: np.ndarray,
  ) -> Precedent:
    side = self._catalogue.influencers
    own = np.flatnonzero(who_S == influencer.row)
    if len(own):
      place, similarity = int(own[0]), 1.0
    else:
      similarity_S = _centred_cosines(
        influencer.vector_D, side.vector_NxD[who_S], side.mean_D
      )
      place = int(similarity_S.argmax())
      similarity = float(similarity_S[place])
    row = int(brand_S[place])
    other = self._catalogue.account_at(accounts_lib.BRAND, row)
    return Precedent(
      brand_id=other.account_id,
      brand_similarity=float(similarity_B[row]),
      shared=shared_words(self._catalogue, brand, other),
      influencer_id=str(side.ids_N[who_S[place]]),
      is_own=bool(len(own)),
      influencer_similarity=similarity,
    )


def _centred_cosines(
  one_D: np.ndarray, others_NxD: np.ndarray, mean_D: np.ndarray
) -> np.ndarray:
  one, others = one_D - mean_D, others_NxD - mean_D
  length = np.linalg.norm(one) * np.linalg.norm(others, axis=1)
  return others @ one / np.maximum(length, 1e-12)


def shared_words(
  catalogue: catalogue_lib.Catalogue,
  one: catalogue_lib.Account,
  other: catalogue_lib.Account,
) -> tuple[str, ...]:
  """Says what two accounts share, the most telling first.

  Args:
    catalogue: who there is.
    one: an account.
    other: another one.

  Returns:
    Their category, attributes that both have (the rarest first), and topics of
    which both have more than accounts of their roles have on average.
  """
  words = []
  if one.category and one.category == other.category:
    words.append(f'category: {one.category}')
  both = np.intersect1d(one.profile.attributes, other.profile.attributes)
  if len(both):
    names = catalogue.dataset.attribute_names
    rare = sorted(both.tolist(), key=lambda v: catalogue.facts.holders_V[v])
    words += [f'attribute: {names[v]}' for v in rare]
  words = words[:_MOST_SHARED]
  for feature in accounts_lib.TOPIC_FEATURES:
    if feature in one.profile.features and feature in other.profile.features:
      words += _shared_topics(catalogue, feature, one, other)
  return tuple(words[: _MOST_SHARED + 1])


def _shared_topics(
  catalogue: catalogue_lib.Catalogue,
  feature: str,
  one: catalogue_lib.Account,
  other: catalogue_lib.Account,
) -> list[str]:
  names = catalogue.dataset.feature_names.get(feature, ())
  mean = catalogue.facts.topic_mean(feature, one.role)
  least = np.minimum(
    one.profile.features[feature], other.profile.features[feature]
  )
  lift = least / np.maximum(mean, 1e-9)
  order = np.argsort(-least, kind='stable')[:_FEW_TOPICS]
  whose = 'audience ' if feature.startswith('audience') else ''
  return [
    f'{whose}topic: {names[t]}' if names and names[t] else f'{whose}topic {t}'
    for t in order.tolist()
    if lift[t] >= _LIFT
  ]
