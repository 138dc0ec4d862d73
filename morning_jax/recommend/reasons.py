"""Why an influencer suits a brand: what its score loses when it is removed.

A reason is no reading of weights. Each of an influencer's topics, image classes
and attributes is removed (`removal`), the influencer is encoded again, and the
measured drop of F(b, m) is the reason:

  drop(x) = F(b, m) - F(b, m without x)

A positive drop speaks for the pair, a negative one against it. This holds for
every encoder, also where features act on each other, as in Hadamard products
and co-attention.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import profiles as profiles_lib
from morning_jax.recommend import removal

_AT_A_TIME = 4096  # variants of accounts that are encoded at a time
_WORDS = {
  'topic': 'topic',
  'image class': 'pictures',
  'image family': 'pictures',
  'attribute': 'attribute',
}


@dataclasses.dataclass(frozen=True)
class Reason:
  """Something an influencer shows, and what it does for the score.

  Attributes:
    removed: what was removed.
    drop: F less the F that is left without it; negative: it speaks against.
  """

  removed: removal.Removable
  drop: float

  @property
  def words(self) -> str:
    """The reason in words: `topic: skin care`, `audience topic 7`."""
    item = self.removed
    whose = 'audience ' if item.perspective == 'audience' else ''
    mark = ' ' if item.name.isdigit() else ': '
    return f'{whose}{_WORDS[item.kind]}{mark}{item.name}'


@dataclasses.dataclass(frozen=True)
class Reasons:
  """What speaks for and against a pair.

  Attributes:
    score: F, of the same encoding as the drops.
    ordered: a reason for each thing that can be removed, the largest drop
      first.
  """

  score: float
  ordered: tuple[Reason, ...]

  def speaks_for(self, most: int = 3) -> list[Reason]:
    """Returns the reasons with the largest drops, largest first."""
    return [r for r in self.ordered if r.drop > 0][:most]

  def speaks_against(self, most: int = 3) -> list[Reason]:
    """Returns the reasons without which the score were highest, those first."""
    return [r for r in reversed(self.ordered) if r.drop < 0][:most]


def reasons(
  catalogue: catalogue_lib.Catalogue,
  brand: catalogue_lib.Account,
  influencers: Sequence[catalogue_lib.Account],
) -> list[Reasons]:
  """Measures the reasons of pairs, all of them in few batches.

  Args:
    catalogue: who there is.
    brand: the brand.
    influencers: the influencers.

  Returns:
    The reasons of each influencer.
  """
  items = [catalogue.removals.of(m.profile) for m in influencers]
  variants = []
  for influencer, removable in zip(influencers, items, strict=True):
    variants.append(influencer.profile)
    variants += [
      catalogue.removals.without(influencer.profile, [item])
      for item in removable
    ]
  scores = scores_of(catalogue, brand, variants)
  found, start = [], 0
  for removable in items:
    score, left = scores[start], scores[start + 1 :]
    ordered = [
      Reason(item, float(score - without))
      for item, without in zip(removable, left, strict=False)
    ]
    ordered.sort(key=lambda r: -r.drop)
    found.append(Reasons(score=float(score), ordered=tuple(ordered)))
    start += 1 + len(removable)
  return found


def scores_of(
  catalogue: catalogue_lib.Catalogue,
  brand: catalogue_lib.Account,
  profiles: Sequence[profiles_lib.Profile],
) -> np.ndarray:
  """Scores influencers that are encoded from what they show.

  Args:
    catalogue: who there is.
    brand: the brand.
    profiles: what n influencers show.

  Returns:
    float64 [n].
  """
  own = brand.vector_D.astype(np.float64)
  scores = np.empty(len(profiles))
  for start in range(0, len(profiles), _AT_A_TIME):
    block = profiles[start : start + _AT_A_TIME]
    encoded, _ = catalogue.encoder.encode(block, role=accounts_lib.INFLUENCER)
    vectors = profiles_lib.joined(encoded, catalogue.slices)
    scores[start : start + len(block)] = vectors @ own
  return scores
