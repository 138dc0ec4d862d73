"""Which influencers are candidates at all."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import tables
from morning_jax.recommend import catalogue as catalogue_lib


@dataclasses.dataclass(frozen=True)
class Filters:
  """What a candidate must be: all of the fields, any of the values of a field.

  Attributes:
    followers_from: this many followers at least.
    followers_to: this many at most.
    category: one of these categories.
    attribute: names of attributes, one of which it has.
    found_under: found under one of these categories.
    include_cooperating: whether those who have worked with the brand stay.
    candidates: ids of influencers; none but these. None for all.
    exclude: ids of influencers who are left out.
    needs: perspectives of which it must show something.
  """

  followers_from: int | None = None
  followers_to: int | None = None
  category: tuple[str, ...] = ()
  attribute: tuple[str, ...] = ()
  found_under: tuple[str, ...] = ()
  include_cooperating: bool = False
  candidates: tuple[str, ...] | None = None
  exclude: frozenset[str] = frozenset()
  needs: tuple[str, ...] = ()


NONE = Filters()


@dataclasses.dataclass(frozen=True)
class Passed:
  """Who passes, and how many after each filter.

  Attributes:
    mask_M: bool, of the catalogue's influencers.
    left: filter -> how many are left after it, in the order of filtering.
  """

  mask_M: np.ndarray
  left: dict[str, int]

  def tell(self) -> str:
    """Returns the numbers as text: `480 influencers, followers 12, ...`."""
    steps = ', '.join(f'{name} {count:,}' for name, count in self.left.items())
    return f'{len(self.mask_M):,} influencers; left after {steps}'


def mask(
  catalogue: catalogue_lib.Catalogue,
  brand: catalogue_lib.Account | None,
  filters: Filters,
) -> Passed:
  """Finds the influencers who pass.

  Args:
    catalogue: the influencers.
    brand: the brand, of whom those who have worked with it are no candidates;
      None for none.
    filters: what they must be.

  Returns:
    Who passes; possibly nobody.

  Raises:
    UserError: a filter names what the bundle does not have.
  """
  accounts = catalogue.dataset.accounts
  rows = catalogue.influencers.account_row_N
  mask_M = np.ones(len(rows), bool)
  left: dict[str, int] = {}

  def keep(name: str, wanted_M: np.ndarray) -> None:
    mask_M[:] &= wanted_M
    left[name] = int(mask_M.sum())

  if filters.candidates is not None:
    keep('candidates', _listed(catalogue, filters.candidates, known=True))
  if filters.followers_from is not None or filters.followers_to is not None:
    keep('followers', _followers(accounts, rows, filters))
  if filters.category:
    values = accounts.categories[rows]
    keep('category', _one_of('category', values, filters.category))
  if filters.found_under:
    if accounts.found_under is None:
      raise errors.UserError(
        'found_under: the bundle has no column found_under_category'
      )
    values = accounts.found_under[rows]
    keep('found_under', _one_of('found_under', values, filters.found_under))
  if filters.attribute:
    keep('attribute', _holders(catalogue, filters.attribute))
  for perspective in filters.needs:
    if perspective not in catalogue.perspectives:
      raise errors.UserError(no_perspective(catalogue, perspective))
    keep(f'has {perspective}', catalogue.influencers.present[perspective])
  if filters.exclude:
    out = _listed(catalogue, tuple(filters.exclude), known=False)
    keep('exclusions', ~out)
  if brand is not None and brand.row is not None:
    already = np.zeros(len(rows), bool)
    already[catalogue.partners.get(brand.row, [])] = True
    if not filters.include_cooperating:
      keep('not cooperating yet', ~already)
  return Passed(mask_M, left)


def notes_on_exclusions(
  catalogue: catalogue_lib.Catalogue, exclude: frozenset[str]
) -> list[str]:
  """Says how many of those to be left out are not there, as a misspelt name.

  None is named: they may have asked to be removed.
  """
  unknown = len(exclude - catalogue.influencers.row_of.keys())
  if not unknown:
    return []
  return [
    f'{unknown:,} of the {len(exclude):,} names to be left out are of no'
    ' influencer here'
  ]


def no_perspective(catalogue: catalogue_lib.Catalogue, perspective: str) -> str:
  """Returns what to say of a perspective that the model does not have."""
  return (
    f'perspective {errors.quoted(perspective, limit=40)}: the model has'
    f' {", ".join(catalogue.perspectives)} alone'
  )


def _listed(
  catalogue: catalogue_lib.Catalogue, ids: Sequence[str], *, known: bool
) -> np.ndarray:
  row_of = catalogue.influencers.row_of
  listed = np.zeros(len(catalogue.influencers), bool)
  for name in ids:
    if name in row_of:
      listed[row_of[name]] = True
    elif known:  # who is left out need not be there
      catalogue.influencer(name)
  return listed


def _followers(
  accounts: accounts_lib.Accounts, rows: np.ndarray, filters: Filters
) -> np.ndarray:
  if accounts.followers is None:
    raise errors.UserError('followers: the bundle has no column followers')
  low, high = filters.followers_from, filters.followers_to
  if low is not None and high is not None and low > high:
    raise errors.UserError(
      f'followers: from {low:,} to {high:,} is no range; swap them'
    )
  followers = accounts.followers[rows]
  wanted = followers >= max(low or 0, 0)  # -1: unknown
  return wanted & (followers <= high) if high is not None else wanted


def _one_of(
  name: str, values: np.ndarray, wanted: tuple[str, ...]
) -> np.ndarray:
  known = [v for v in np.unique(values).tolist() if v]
  for value in wanted:
    if value not in known:
      few = f'known are {", ".join(known[:12])}' if known else 'none is known'
      raise errors.UserError(
        f'{name} {errors.quoted(value, limit=40)}: no influencer has it'
        + (tables.near(value, known) or f'; {few}')
      )
  return np.isin(values, wanted)


def _holders(
  catalogue: catalogue_lib.Catalogue, names: tuple[str, ...]
) -> np.ndarray:
  attributes = catalogue.dataset.attributes
  if attributes is None or not len(attributes.holder):
    raise errors.UserError('attribute: the bundle has no attribute lists')
  known = attributes.names_V.tolist()
  for name in names:
    if name not in known:
      raise errors.UserError(
        f'attribute {errors.quoted(name, limit=40)} is none of the'
        f' {len(known):,} in the bundle{tables.near(name, known)}'
      )
  wanted = np.flatnonzero(np.isin(attributes.names_V, names))
  holds = np.zeros(len(catalogue.dataset.accounts), bool)
  holds[attributes.holder[np.isin(attributes.held, wanted)]] = True
  return holds[catalogue.influencers.account_row_N]
