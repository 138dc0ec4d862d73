"""Case studies: whom a brand is recommended, and where its partners stand."""

from __future__ import annotations

import dataclasses

import numpy as np

from morning_jax.core import errors
from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import answer
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import confidence
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import recommend

_WITH_REASONS = 3


@dataclasses.dataclass(frozen=True)
class Partner:
  """An influencer who has worked with the brand, and where it ranks."""

  account_id: str
  place: int


@dataclasses.dataclass(frozen=True)
class Case:
  """One brand.

  Attributes:
    why: why it is in the report.
    brand: its name.
    category: '' where unknown.
    split: 'train', 'valid', 'test' or ''.
    num_influencers: everybody who was ranked.
    partners: best place first.
    top: the first of the ranking, partners among them, explained.
    words: of each of `top`, heading -> what is said.
  """

  why: str
  brand: str
  category: str
  split: str
  num_influencers: int
  partners: tuple[Partner, ...]
  top: tuple[advice_lib.Advice, ...]
  words: tuple[dict[str, str], ...]


def study(
  catalogue: catalogue_lib.Catalogue,
  adviser: advice_lib.Adviser,
  name: str,
  why: str,
  *,
  exclude: frozenset[str] = frozenset(),
  top_k: int = 5,
) -> Case:
  """Studies a brand.

  Args:
    catalogue: who there is.
    adviser: explains.
    name: the brand.
    why: why it was chosen.
    exclude: influencers who asked to be left out.
    top_k: how many of the ranking are shown.

  Returns:
    The case.
  """
  brand = catalogue.brand(name)
  assert brand.row is not None
  places_M = confidence.places(recommend.scores(catalogue, brand))
  rows = catalogue.partners.get(brand.row, np.zeros(0, np.int64)).tolist()
  ids = catalogue.influencers.ids_N
  partners = sorted(
    (int(places_M[r]), str(ids[r])) for r in rows if ids[r] not in exclude
  )
  filters = filters_lib.Filters(include_cooperating=True, exclude=exclude)
  try:
    found = recommend.recommend(catalogue, brand, min(top_k, len(ids)), filters)
  except errors.UserError:  # nobody is left
    found = []
  advice = adviser.explain(
    brand, found, reasons_for=_WITH_REASONS, exclude=exclude
  )
  table_row = int(catalogue.brands.account_row_N[brand.row])
  return Case(
    why=why,
    brand=name,
    category=brand.category,
    split=str(catalogue.dataset.accounts.splits[table_row]),
    num_influencers=len(ids),
    partners=tuple(Partner(n, p) for p, n in partners),
    top=tuple(advice),
    words=tuple(answer.words_of(a) for a in advice),
  )
