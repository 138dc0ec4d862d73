"""How sure a recommendation is: what became of those that ranked as high.

The model's validation brands were no part of its training, and their
cooperations are known. Of every pair of them whose influencer stood as high
among all influencers of the catalogue, some had cooperated: that count is the
band. It is a count of this model, on this catalogue; no curve is fitted, since
fitted percentages are too sure of themselves at the top.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import math

import numpy as np
import tabulate

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import catalogue as catalogue_lib

# Shares of the catalogue at which bands end, best first.
_ENDS = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)
UNKNOWN = 'unknown'
_SCORES_AT_A_TIME = 1 << 26
_MOST_SCORES = 1 << 30


@dataclasses.dataclass(frozen=True)
class Band:
  """Pairs of validation brands that stand about as high as each other.

  Attributes:
    name: 'top 0.1 %' to 'the rest', or 'unknown'.
    first: the best place of the band, from 1; 0 where unknown.
    last: its worst place.
    pairs: pairs of validation brands in the band.
    cooperated: those that had cooperated.
    all_pairs: pairs of validation brands in all.
    all_cooperated: those that had cooperated, of all.
    brands: validation brands.
    note: what limits it; why there is none, where it is unknown.
  """

  name: str
  first: int = 0
  last: int = 0
  pairs: int = 0
  cooperated: int = 0
  all_pairs: int = 0
  all_cooperated: int = 0
  brands: int = 0
  note: str = ''

  @property
  def words(self) -> str:
    """The band as a sentence, with its counts."""
    if self.name == UNKNOWN:
      return f'unknown: {self.note}'
    where = (
      f'place {self.first:,}'
      if self.first == self.last
      else f'places {self.first:,} to {self.last:,}'
    )
    text = (
      f'{self.name}: {self.cooperated:,} of the {self.pairs:,} influencers at'
      f' {where} of {self.brands:,} held-out brands had worked with them'
    )
    if self.all_cooperated:
      odds = self.all_pairs / self.all_cooperated
      text += f', 1 in {odds:,.0f} of all'
    return f'{text}; {self.note}' if self.note else text


class Bands:
  """The bands of a catalogue."""

  def __init__(self, catalogue: catalogue_lib.Catalogue):
    """Ranks the whole catalogue for every validation brand.

    Args:
      catalogue: who there is.
    """
    self._catalogue = catalogue
    self.bands = measure(catalogue)
    self._of_trained = [
      dataclasses.replace(
        band, note='those were new to the model, this brand was not'
      )
      for band in self.bands
    ]
    self.why_none = (
      'no brand was held out for validation, so nothing is known of how often'
      ' such a rank comes true'
    )

  def of(
    self,
    brand: catalogue_lib.Account,
    place: int,
    lacks: Sequence[str] = (),
  ) -> Band:
    """Returns the band of a pair.

    Args:
      brand: the brand.
      place: of the influencer among all of the catalogue, from 1.
      lacks: perspectives of which the influencer shows nothing.

    Returns:
      The band; an unknown one where there are no validation brands, or one of
      the two accounts lacks a perspective.
    """
    if not self.bands:
      return Band(UNKNOWN, note=self.why_none)
    for who, missing in (('brand', brand.lacks), ('influencer', lacks)):
      if missing:
        return Band(
          UNKNOWN, note=f'the {who} shows no {" and no ".join(missing)}'
        )
    bands = self._of_trained if self._is_trained_on(brand) else self.bands
    return next(band for band in bands if place <= band.last)

  def _is_trained_on(self, brand: catalogue_lib.Account) -> bool:
    if brand.row is None or brand.role != accounts_lib.BRAND:
      return False
    row = self._catalogue.brands.account_row_N[brand.row]
    return bool(self._catalogue.dataset.accounts.splits[row] == 'train')


def measure(
  catalogue: catalogue_lib.Catalogue, split: str = 'valid'
) -> list[Band]:
  """Counts how often places came true for the brands of a split.

  Args:
    catalogue: who there is.
    split: the split.

  Returns:
    The bands, best first; nothing where no brand of the split has a cooperation
    and all perspectives.
  """
  side = catalogue.brands
  splits = catalogue.dataset.accounts.splits[side.account_row_N]
  brands_B = [
    row
    for row in np.flatnonzero(splits == split).tolist()
    if row in catalogue.partners
    and all(has[row] for has in side.present.values())
  ]
  if not brands_B:
    return []
  whole_M = np.logical_and.reduce(list(catalogue.influencers.present.values()))
  count = len(catalogue.influencers)
  lasts = last_places(count)
  pairs, cooperated = np.zeros((2, len(lasts)), np.int64)
  # Of very many scores, those of brands here and there tell as much.
  brands_B = brands_B[:: -(-len(brands_B) * count // _MOST_SCORES)]
  step = max(1, _SCORES_AT_A_TIME // count)
  for start in range(0, len(brands_B), step):
    rows = brands_B[start : start + step]
    vector_BxD = side.vector_NxD[rows]
    score_BxM = catalogue.influencers.products_N(vector_BxD.T).T
    for row, score_M in zip(rows, score_BxM, strict=True):
      partners = catalogue.partners[row]
      partners = partners[whole_M[partners]]
      within = [
        (np.count_nonzero(within_M & whole_M), within_M[partners].sum())
        for within_M in upto(score_M, lasts)
      ]
      counts = np.diff(within, axis=0, prepend=0)
      pairs += counts[:, 0]
      cooperated += counts[:, 1]
  names = {math.ceil(end * count): f'top {end:.1%}' for end in _ENDS}
  names = {
    last: name.replace('.0%', '%').replace('%', ' %')
    for last, name in names.items()
  }
  names[count] = 'the rest'
  firsts = [1, *(last + 1 for last in lasts[:-1])]
  return [
    Band(
      name=names[lasts[i]],
      first=firsts[i],
      last=lasts[i],
      pairs=int(pairs[i]),
      cooperated=int(cooperated[i]),
      all_pairs=int(pairs.sum()),
      all_cooperated=int(cooperated.sum()),
      brands=len(brands_B),
      note=(
        ''
        if catalogue.is_own_data
        else 'held out as the bundle says, which is not the one trained on'
      ),
    )
    for i in range(len(lasts))
  ]


def last_places(count: int) -> list[int]:
  """Returns the worst place of each band; a small catalogue has fewer bands."""
  return sorted({math.ceil(end * count) for end in _ENDS})


def upto(score_M: np.ndarray, lasts: Sequence[int]) -> Iterator[np.ndarray]:
  """Tells whose place is among the first so many, without sorting all.

  Args:
    score_M: scores.
    lasts: numbers of places.

  Yields:
    For each number, bool [M]: at most so many score at least as high.
  """
  at = [len(score_M) - last for last in lasts]
  for last, least in zip(lasts, np.partition(score_M, at)[at], strict=True):
    within_M = score_M >= least
    # Of a tie that does not fit, nobody is.
    yield within_M if within_M.sum() <= last else score_M > least


def places(score_M: np.ndarray) -> np.ndarray:
  """Returns how many score at least as high as each: int64 [M], from 1."""
  ordered = np.sort(score_M)
  return len(ordered) - np.searchsorted(ordered, score_M, side='left')


def table(catalogue: catalogue_lib.Catalogue, split: str) -> str:
  """Compares the bands with what happened to the brands of another split.

  Args:
    catalogue: who there is.
    split: the other split.

  Returns:
    A table; '' where either split has no brands.
  """
  said, happened = measure(catalogue), measure(catalogue, split)
  if not said or not happened:
    return ''

  def counts(band: Band) -> list[str]:
    share = f'{band.cooperated / band.pairs:.4f}' if band.pairs else '-'
    return [f'{band.cooperated:,} of {band.pairs:,}', share]

  return tabulate.tabulate(
    [
      [a.name, *counts(a), *counts(b)]
      for a, b in zip(said, happened, strict=True)
    ],
    headers=['band', 'valid', 'share', split, 'share'],
    disable_numparse=True,
    colalign=('left', *['right'] * 4),
  )
