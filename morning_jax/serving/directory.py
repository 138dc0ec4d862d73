"""Who there is, by name; less those who asked to be left out."""

from __future__ import annotations

import functools
import os

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.serving import exclusions as exclusions_lib
from morning_jax.serving import failures


class Directory:
  """The accounts of a catalogue."""

  def __init__(
    self,
    catalogue: catalogue_lib.Catalogue,
    exclusions: exclusions_lib.Exclusions | None = None,
  ):
    """Takes a catalogue.

    Args:
      catalogue: who there is.
      exclusions: who is left out of everything.
    """
    self.catalogue = catalogue
    self._exclusions = exclusions or exclusions_lib.Exclusions()

  @property
  def bundle_name(self) -> str:
    """The bundle's name, without the folders that it lies in."""
    return os.path.basename(self.catalogue.dataset.name.rstrip('/'))

  @property
  def has_held_out_brands(self) -> bool:
    """Whether the bundle has brands that the model can be measured on."""
    accounts = self.catalogue.dataset.accounts
    splits = accounts.splits[self.catalogue.brands.account_row_N]
    return bool(np.isin(splits, ('test', 'valid')).any())

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
