"""Questions to a catalogue, answered from memory and safe to ask at once."""

from __future__ import annotations

import collections
from collections.abc import Sequence
import dataclasses
import functools
import os
import threading

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import look_alikes
from morning_jax.recommend import ordering
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend as recommend_lib
from morning_jax.recommend import shortlist as shortlist_lib
from morning_jax.serving import exclusions as exclusions_lib
from morning_jax.serving import failures
from morning_jax.serving import scores as scores_lib

_MASKS = 64  # filters whose outcome is kept
_REASONS = 20_000  # pairs whose reasons are kept
_SPARE = 50  # look-alikes looked for beyond those asked for

Found = recommend_lib.Recommendation


@dataclasses.dataclass(frozen=True)
class Ranking:
  """Some of the influencers who pass a brand's filters.

  Attributes:
    found: the best, best first.
    passed: how many pass.
    total: how many there are in the catalogue, less those who are left out.
  """

  found: list[Found]
  passed: int
  total: int


class Engine:
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
      cache_bytes: of scores that are kept.
    """
    self.catalogue = catalogue
    self.adviser = advice_lib.Adviser(catalogue)
    self._exclusions = exclusions or exclusions_lib.Exclusions()
    self._scores = scores_lib.ScoreCache(cache_bytes)
    self._lock = threading.Lock()
    self._encoding = threading.Lock()
    self._masks: collections.OrderedDict[
      filters_lib.Filters, filters_lib.Passed
    ] = collections.OrderedDict()
    self._reasons: collections.OrderedDict[
      tuple[int, int], reasons_lib.Reasons
    ] = collections.OrderedDict()
    self._starts = [p.where.start for p in catalogue.pieces]
    self.ready = False

  def warm_up(self) -> None:
    """Computes what all answers share, before the first of them."""
    brand = self.catalogue.account_at(accounts_lib.BRAND, 0)
    _ = self.adviser.bands, self.adviser.precedents
    for side in (self.catalogue.brands, self.catalogue.influencers):
      _ = side.row_of
    ranking = self.rank(brand, 1, filters_lib.Filters(include_cooperating=True))
    self.explain(brand, ranking.found)
    self.ready = True

  @property
  def bundle_name(self) -> str:
    """The bundle's name, without the folders that it lies in."""
    return os.path.basename(self.catalogue.dataset.name.rstrip('/'))

  def excluded(self) -> frozenset[str]:
    """Returns who is left out now."""
    return self._exclusions.names()

  def brand(self, name: str) -> catalogue_lib.Account:
    """Returns a brand.

    Raises:
      Failure: 404, with the nearest names.
    """
    row = self.catalogue.brands.row_of.get(name)
    if row is not None:
      return self._brand_at(row)
    try:
      return self.catalogue.brand(name)
    except errors.UserError as e:
      raise failures.Failure(404, 'unknown_brand', str(e), 'brand') from None

  @functools.lru_cache(maxsize=4096)  # noqa: B019  # one engine, kept anyway
  def _brand_at(self, row: int) -> catalogue_lib.Account:
    return self.catalogue.account_at(accounts_lib.BRAND, row)

  def influencer(self, name: str) -> catalogue_lib.Account:
    """Returns an influencer.

    Raises:
      Failure: 404; who is left out is unknown, too.
    """
    try:
      if name in self.excluded():
        raise errors.UserError(
          f'influencer {errors.quoted(name, limit=60)} is none of those in the'
          ' bundle'
        )
      return self.catalogue.influencer(name)
    except errors.UserError as e:
      raise failures.Failure(
        404, 'unknown_influencer', str(e), 'influencer'
      ) from None

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
    return self._scores.of(self.catalogue, account)

  def has_scores(self, account: catalogue_lib.Account) -> bool:
    """Tells whether an account's scores are in memory."""
    return self._scores.get((account.role, account.row)) is not None

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

  def rank(
    self,
    brand: catalogue_lib.Account,
    top_k: int,
    filters: filters_lib.Filters = filters_lib.NONE,
  ) -> Ranking:
    """Ranks influencers for a brand, as `recommend.recommend` does.

    Raises:
      Failure: the filters leave nobody.
      UserError: more are asked for than there are, or a filter makes no sense.
    """
    side = self.catalogue.influencers
    ordering.check_count(top_k, len(side), side.role)
    wanted_M, count = self.wanted(brand, filters)
    rows = self.scores(brand).best(wanted_M, top_k)
    return Ranking(
      self.found(brand, rows), count, len(side) - self.count_excluded()
    )

  def count_excluded(self) -> int:
    """Returns how many influencers of the bundle are left out."""
    row_of = self.catalogue.influencers.row_of
    return sum(name in row_of for name in self.excluded())

  def matching(self, role: int, text: str) -> list[int]:
    """Returns the rows whose name or category contains a text.

    Args:
      role: of the accounts.
      text: in small letters; '' for all.
    """
    names = self._names(role)
    rows = [row for row, name in enumerate(names) if text in name]
    excluded = self.excluded()
    if role == accounts_lib.INFLUENCER and excluded:
      ids = self.catalogue.influencers.ids_N
      rows = [row for row in rows if str(ids[row]) not in excluded]
    return rows

  @functools.lru_cache(maxsize=2)  # noqa: B019  # one engine, kept anyway
  def _names(self, role: int) -> list[str]:
    side = self.catalogue.side(role)
    categories = self.catalogue.dataset.accounts.categories[side.account_row_N]
    return [
      f'{name} {category}'.casefold()
      for name, category in zip(
        side.ids_N.tolist(), categories.tolist(), strict=True
      )
    ]

  def found(
    self, account: catalogue_lib.Account, rows: Sequence[int]
  ) -> list[Found]:
    """Describes accounts of the other role, with the parts of their scores.

    Args:
      account: the one that is asked about.
      rows: of the other side, in the order of their ranks.
    """
    side = self.catalogue.side(1 - account.role)
    rows = list(rows)
    if not rows:
      return []
    own = account.vector_D.astype(np.float64)
    product = side.vector_NxD[rows] * own
    typical = own * side.mean_D
    parts = np.add.reduceat(product - typical, self._starts, axis=1).tolist()
    places = self.scores(account).places(rows)
    known: set[int] = set()
    if account.row is not None:
      if account.role == accounts_lib.BRAND:
        known = self._partners_of(account.row)
      else:
        brand_P, influencer_P = self.catalogue.positives_Px2.T
        known = set(brand_P[influencer_P == account.row].tolist())
    pieces = self.catalogue.pieces
    total, score = float(typical.sum()), product.sum(axis=1).tolist()
    return [
      Found(
        rank=rank,
        place=places[rank - 1],
        account_id=str(side.ids_N[row]),
        row=row,
        score=score[rank - 1],
        typical=total,
        parts=tuple(
          recommend_lib.Part(p.perspective, p.modality, value)
          for p, value in zip(pieces, parts[rank - 1], strict=True)
        ),
        cooperates=row in known,
        lacks=tuple(k for k, has in side.present.items() if not has[row]),
      )
      for rank, row in enumerate(rows, 1)
    ]

  @functools.lru_cache(maxsize=4096)  # noqa: B019  # one engine, kept anyway
  def _partners_of(self, row: int) -> set[int]:
    return set(map(int, self.catalogue.partners.get(row, [])))

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
    advice = self.adviser.explain(brand, found, reasons_for=0)
    excluded = self.excluded()
    if excluded:
      advice = [
        dataclasses.replace(a, precedent=None)
        if a.precedent and a.precedent.influencer_id in excluded
        else a
        for a in advice
      ]
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
    excluded = self.excluded()
    most = len(self.catalogue.influencers) - 1
    ordering.check_count(top_k, most, accounts_lib.INFLUENCER)
    wider = min(top_k + (len(excluded) and len(excluded) + _SPARE), most)
    found = look_alikes.similar(self.catalogue, influencer, perspective, wider)
    kept = [m for m in found if m.account_id not in excluded][:top_k]
    return [dataclasses.replace(m, rank=i) for i, m in enumerate(kept, 1)]

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
