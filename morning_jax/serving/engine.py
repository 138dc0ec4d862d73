"""Questions to a catalogue, answered from memory and safe to ask at once."""

from __future__ import annotations

import collections
from collections.abc import Sequence
import dataclasses
import threading

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import look_alikes
from morning_jax.recommend import ordering
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend as recommend_lib
from morning_jax.recommend import shortlist as shortlist_lib
from morning_jax.serving import directory
from morning_jax.serving import entries as entries_lib
from morning_jax.serving import exclusions as exclusions_lib
from morning_jax.serving import failures
from morning_jax.serving import parts
from morning_jax.serving import rankings
from morning_jax.serving import scores as scores_lib

_MASKS = 64  # filters whose outcome is kept
_REASONS = 20_000  # pairs whose reasons are kept

Found = parts.Found


class Engine(directory.Directory):
  """A catalogue with what is remembered of earlier questions."""

  def __init__(
    self,
    catalogue: catalogue_lib.Catalogue,
    *,
    exclusions: exclusions_lib.Exclusions | None = None,
    cache_bytes: int = 256 << 20,
  ):
    """Takes a catalogue.

    Args:
      catalogue: who there is.
      exclusions: who is left out of everything.
      cache_bytes: of scores, and of what was said of them, that are kept.
    """
    super().__init__(catalogue, exclusions)
    self.adviser = advice_lib.Adviser(catalogue)
    self._scores = scores_lib.ScoreCache(catalogue, cache_bytes * 3 // 4)
    self.entries = entries_lib.Entries(cache_bytes // 4)
    self._lock = threading.Lock()
    self._encoding = threading.Lock()
    self._masks: collections.OrderedDict[
      filters_lib.Filters, filters_lib.Passed
    ] = collections.OrderedDict()
    self._reasons: collections.OrderedDict[
      tuple[int, int], reasons_lib.Reasons
    ] = collections.OrderedDict()
    self.ready = False

  def warm_up(self) -> None:
    """Computes what all answers share, before the first of them."""
    brand = self.catalogue.account_at(accounts_lib.BRAND, 0)
    _ = self.adviser.bands, self.adviser.precedents
    self.warm_up_scores()
    for side in (self.catalogue.brands, self.catalogue.influencers):
      _ = side.row_of
    ranking = self.rank(brand, 1, filters_lib.Filters(include_cooperating=True))
    self.explain(brand, ranking.found)
    self.ready = True

  def warm_up_scores(self) -> None:
    """Compiles what scores of brands are computed with."""
    self._scores.warm_up()

  def passed(self, filters: filters_lib.Filters) -> filters_lib.Passed:
    """Returns who passes filters, whatever the brand."""
    filters = dataclasses.replace(
      filters, exclude=filters.exclude | self.excluded()
    )
    with self._lock:
      found = self._masks.get(filters)
    if found is None:
      found = filters_lib.mask(self.catalogue, None, filters)
      with self._lock:
        self._masks[filters] = found
        while len(self._masks) > _MASKS:
          self._masks.popitem(last=False)
    return found

  def scores(self, account: catalogue_lib.Account) -> scores_lib.Scores:
    """Returns an account's scores against all of the other role."""
    return self._scores.of(account)

  def scores_of_several(
    self, brands: Sequence[catalogue_lib.Account]
  ) -> list[scores_lib.Scores]:
    """Computes brands' scores at once; see `most_at_once`."""
    return self._scores.of_several(brands)

  @property
  def most_at_once(self) -> int:
    """How many brands' scores are computed at once; 1: it saves nothing."""
    return self._scores.most

  def known_scores(
    self, account: catalogue_lib.Account
  ) -> scores_lib.Scores | None:
    """Returns an account's scores where they are in memory."""
    return self._scores.get((account.role, account.row))

  def wanted(
    self, brand: catalogue_lib.Account, filters: filters_lib.Filters
  ) -> tuple[np.ndarray, int]:
    """Returns bool [M] who passes for a brand, and how many.

    Raises:
      Failure: nobody.
    """
    passed = self.passed(filters)
    wanted_M, already = passed.mask_M, None
    if not filters.include_cooperating and brand.row is not None:
      already = self.catalogue.partners.get(brand.row)
    count = next(reversed(passed.left.values()), len(wanted_M))
    if already is not None:
      count -= int(np.count_nonzero(wanted_M[already]))
      wanted_M = wanted_M.copy()
      wanted_M[already] = False
    if not count:
      left = dict(passed.left)
      if already is not None:
        left['not cooperating yet'] = 0
      told = filters_lib.Passed(wanted_M, left).tell()
      raise failures.Failure(
        422, 'nobody_left', f'the filters leave nobody: {told}'
      )
    return wanted_M, count

  def order(
    self,
    brand: catalogue_lib.Account,
    top_k: int,
    filters: filters_lib.Filters = filters_lib.NONE,
    *,
    scores: scores_lib.Scores | None = None,
  ) -> rankings.Order:
    """Finds the best influencers for a brand.

    Args:
      brand: the brand.
      top_k: how many.
      filters: who may be among them.
      scores: of the brand; looked up or computed if None.

    Raises:
      Failure: the filters leave nobody.
      UserError: more are asked for than there are, or a filter makes no sense.
    """
    side = self.catalogue.influencers
    ordering.check_count(top_k, len(side), side.role)
    wanted_M, count = self.wanted(brand, filters)
    scores = scores or self.scores(brand)
    return rankings.Order(
      scores.best(wanted_M, top_k),
      scores,
      count,
      len(side) - self.count_excluded(),
    )

  def rank(
    self,
    brand: catalogue_lib.Account,
    top_k: int,
    filters: filters_lib.Filters = filters_lib.NONE,
  ) -> rankings.Ranking:
    """Ranks influencers for a brand, as `recommend.recommend` does.

    Args:
      brand: the brand.
      top_k: how many.
      filters: who may be among them.

    Raises:
      Failure: the filters leave nobody.
      UserError: more are asked for than there are, or a filter makes no sense.
    """
    order = self.order(brand, top_k, filters)
    found = parts.describe(self.catalogue, brand, order.rows, order.scores)
    return rankings.Ranking(found, order.passed, order.total)

  def found(
    self, account: catalogue_lib.Account, rows: Sequence[int]
  ) -> list[Found]:
    """Describes accounts of the other role; see `parts.describe`."""
    return parts.describe(self.catalogue, account, rows, self.scores(account))

  def explain(
    self,
    brand: catalogue_lib.Account,
    found: Sequence[Found],
    *,
    with_reasons: bool = True,
  ) -> list[advice_lib.Advice]:
    """Explains recommendations; see `recommend.advice`.

    Args:
      brand: the brand.
      found: what `rank` found for it.
      with_reasons: whether reasons are measured, which takes longest.
    """
    advice = self.adviser.explain(
      brand, found, reasons_for=0, exclude=self.excluded()
    )
    if not with_reasons:
      return advice
    measured = self.reasons(brand, [x.row for x in found])
    return [
      dataclasses.replace(a, reasons=r)
      for a, r in zip(advice, measured, strict=True)
    ]

  def reasons(
    self, brand: catalogue_lib.Account, rows: Sequence[int]
  ) -> list[reasons_lib.Reasons]:
    """Measures the reasons of pairs, or remembers them.

    Args:
      brand: the brand.
      rows: of influencers.
    """
    kept: dict[int, reasons_lib.Reasons] = {}
    if brand.row is not None:
      with self._lock:
        for row in rows:
          if (brand.row, row) in self._reasons:
            kept[row] = self._reasons[brand.row, row]
    new = [row for row in dict.fromkeys(rows) if row not in kept]
    if new:
      at = self.catalogue.account_at
      with self._encoding:  # one at a time: each takes all cores
        measured = reasons_lib.reasons(
          self.catalogue, brand, [at(accounts_lib.INFLUENCER, r) for r in new]
        )
      kept.update(zip(new, measured, strict=True))
      if brand.row is not None:
        with self._lock:
          for row in new:
            self._reasons[brand.row, row] = kept[row]
          while len(self._reasons) > _REASONS:
            self._reasons.popitem(last=False)
    return [kept[row] for row in rows]

  def similar(
    self,
    influencer: catalogue_lib.Account,
    top_k: int,
    perspective: str | None = None,
  ) -> list[look_alikes.Similar]:
    """Finds look-alikes; see `look_alikes.similar`."""
    return look_alikes.similar(
      self.catalogue, influencer, perspective, top_k, exclude=self.excluded()
    )

  def brands_for(
    self,
    influencer: catalogue_lib.Account,
    top_k: int,
    *,
    include_cooperating: bool = False,
  ) -> list[Found]:
    """Ranks brands for an influencer; see `recommend.brands_for`."""
    return recommend_lib.brands_for(
      self.catalogue,
      influencer,
      top_k,
      include_cooperating=include_cooperating,
    )

  def shortlist(
    self,
    brand: catalogue_lib.Account,
    wishes: shortlist_lib.Wishes,
    *,
    costs: dict[str, float] | None = None,
    filters: filters_lib.Filters = filters_lib.NONE,
  ) -> shortlist_lib.Shortlist:
    """Chooses a shortlist; see `shortlist.choose`."""
    excluded = self.excluded()
    if costs is not None:
      costs = {k: v for k, v in costs.items() if k not in excluded}
    return shortlist_lib.choose(
      self.catalogue,
      brand,
      wishes,
      costs=costs,
      filters=dataclasses.replace(filters, exclude=filters.exclude | excluded),
    )
