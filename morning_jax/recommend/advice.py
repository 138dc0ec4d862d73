"""All that is said of a recommendation: reasons, a precedent, a band."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import confidence
from morning_jax.recommend import precedents as precedents_lib
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend as recommend_lib


@dataclasses.dataclass(frozen=True)
class Advice:
  """A recommendation with what is said of it.

  Attributes:
    found: the recommendation.
    followers: of the influencer; None where unknown.
    category: its own, or the one it was found under; '' where unknown.
    band: how sure it is.
    precedent: a cooperation that speaks for it, where there is one.
    reasons: what speaks for and against it; None where it was not asked for.
  """

  found: recommend_lib.Recommendation
  followers: int | None
  category: str
  band: confidence.Band
  precedent: precedents_lib.Precedent | None
  reasons: reasons_lib.Reasons | None


class Adviser:
  """Explains the recommendations of a catalogue."""

  def __init__(self, catalogue: catalogue_lib.Catalogue):
    """Takes a catalogue; what all answers share is computed once, when needed.

    Args:
      catalogue: who there is.
    """
    self.catalogue = catalogue

  @functools.cached_property
  def bands(self) -> confidence.Bands:
    """How often ranks came true."""
    return confidence.Bands(self.catalogue)

  @functools.cached_property
  def precedents(self) -> precedents_lib.Precedents:
    """The training cooperations."""
    return precedents_lib.Precedents(self.catalogue)

  def explain(
    self,
    brand: catalogue_lib.Account,
    found: Sequence[recommend_lib.Recommendation],
    *,
    reasons_for: int | None = None,
    exclude: frozenset[str] = frozenset(),
  ) -> list[Advice]:
    """Explains a brand's recommendations.

    Args:
      brand: the brand.
      found: what `recommend` returned for it.
      reasons_for: for how many of them, from the first, reasons are measured;
        None for all.
      exclude: ids of influencers who are named nowhere, nor as a precedent.

    Returns:
      The recommendations in their order, with what is said of them.
    """
    influencers = [
      self.catalogue.account_at(accounts_lib.INFLUENCER, x.row) for x in found
    ]
    explained = influencers[:reasons_for]
    measured: list[reasons_lib.Reasons | None] = [None] * len(found)
    if explained:
      measured[: len(explained)] = reasons_lib.reasons(
        self.catalogue, brand, explained
      )
    return [
      Advice(
        found=x,
        followers=self.catalogue.facts.followers_of(row),
        category=self.catalogue.facts.category_of(row),
        band=self.bands.of(brand, x.place, x.lacks),
        precedent=precedent,
        reasons=reasons,
      )
      for x, row, precedent, reasons in zip(
        found,
        (int(self.catalogue.influencers.account_row_N[x.row]) for x in found),
        self.precedents.of(brand, influencers, exclude=exclude),
        measured,
        strict=True,
      )
    ]
