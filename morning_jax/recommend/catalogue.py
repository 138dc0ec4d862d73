"""A catalogue: a restored model and a bundle whose accounts are encoded.

It is what every question is asked of: `recommend`, `brands_for`, `similar`,
reasons, precedents, bands and shortlists. Brands and influencers are separate
name spaces, since one name may be both. All arrays are on the host, or on its
disk where the bundle's features are; none changes after `open_catalogue`, so
threads may share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
import functools
import os

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import feature_rows
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.evaluation import trained_model
from morning_jax.recommend import account_names
from morning_jax.recommend import encoded as encoded_lib
from morning_jax.recommend import encoding
from morning_jax.recommend import facts as facts_lib
from morning_jax.recommend import profiles as profiles_lib
from morning_jax.recommend import removal

Account = encoded_lib.Account
Coordinates = encoded_lib.Coordinates
Encoded = encoded_lib.Encoded


@dataclasses.dataclass(frozen=True)
class Catalogue:
  """A restored model with the encoded accounts of a bundle.

  Attributes:
    trained: the model.
    dataset: the bundle, its brands split as the model's run split them where it
      is the data that the model was trained on.
    is_own_data: whether it is.
    bundle_fingerprint: SHA-256 of the bundle as it is stored.
    brands: its brands.
    influencers: its influencers.
    slices: perspective -> coordinates of the joined vectors.
    pieces: what a score is split into, in the order of the vectors.
    encoder: encodes other accounts.
    notes: what the user should know, one line each.
  """

  trained: trained_model.Trained
  dataset: accounts_lib.Dataset
  is_own_data: bool
  bundle_fingerprint: str
  brands: Encoded
  influencers: Encoded
  slices: Mapping[str, slice]
  pieces: tuple[Coordinates, ...]
  encoder: profiles_lib.ProfileEncoder
  notes: tuple[str, ...] = ()

  @property
  def perspectives(self) -> tuple[str, ...]:
    """The perspectives that the model has."""
    return tuple(self.slices)

  @property
  def step(self) -> int:
    """The training step of the model's parameters."""
    return self.trained.step

  def side(self, role: int) -> Encoded:
    """Returns the accounts of a role."""
    return self.influencers if role == accounts_lib.INFLUENCER else self.brands

  def brand(self, account_id: str) -> Account:
    """Returns a brand of the bundle.

    Raises:
      UserError: there is none of that name; the line has the nearest names.
    """
    return self.account(accounts_lib.BRAND, account_id)

  def influencer(self, account_id: str) -> Account:
    """Returns an influencer of the bundle.

    Raises:
      UserError: there is none of that name; the line has the nearest names.
    """
    return self.account(accounts_lib.INFLUENCER, account_id)

  def account(self, role: int, account_id: str) -> Account:
    """Returns an account of the bundle by role and name; see `brand`."""
    row = self.side(role).row_of.get(account_id)
    if row is None:
      raise account_names.unknown(self.dataset, role, account_id)
    return self.account_at(role, row)

  def account_at(self, role: int, row: int) -> Account:
    """Returns an account of the bundle by role and row of its side."""
    side = self.side(role)
    table_row = int(side.account_row_N[row])
    return Account(
      role=role,
      account_id=str(side.ids_N[row]),
      row=row,
      category=str(self.dataset.accounts.categories[table_row]),
      vector_D=side.vector_NxD[row],
      profile=self._profile(table_row),
      lacks=tuple(k for k, has in side.present.items() if not has[row]),
    )

  def new_account(
    self,
    profile: profiles_lib.Profile,
    *,
    name: str = 'new brand',
    category: str = '',
    role: int = accounts_lib.BRAND,
  ) -> Account:
    """Encodes an account that the bundle does not have.

    Args:
      profile: what it shows, of the model's feature sizes.
      name: what to call it.
      category: its category, '' if unknown.
      role: its role.

    Returns:
      The account.
    """
    encoded, present = self.encoder.encode([profile], role=role)
    return Account(
      role=role,
      account_id=name,
      row=None,
      category=category,
      vector_D=profiles_lib.joined(encoded, self.slices)[0],
      profile=profile,
      lacks=tuple(k for k, has in present.items() if not has[0]),
    )

  @functools.cached_property
  def removals(self) -> removal.Removals:
    """What can be removed from accounts, to find reasons."""
    return removal.Removals(self.trained.spec, self.dataset)

  @functools.cached_property
  def facts(self) -> facts_lib.Facts:
    """What the bundle says of its accounts."""
    return facts_lib.Facts(self.dataset)

  def _profile(self, table_row: int) -> profiles_lib.Profile:
    found = feature_rows.read(
      self.dataset.features,
      list(self.trained.spec.feature_sizes),
      np.array([table_row]),
    )
    rows = {feature: np.asarray(x[0]) for feature, x in found.items()}
    return profiles_lib.Profile(
      features={f: row for f, row in rows.items() if not np.isnan(row[0])},
      attributes=self.facts.attributes_of(table_row),
    )

  @functools.cached_property
  def partners(self) -> dict[int, np.ndarray]:
    """Row of a brand -> rows of the influencers it has worked with.

    All cooperations of the bundle, whatever the brand's split.
    """
    brand_P, influencer_P = self.positives_Px2.T
    order = np.argsort(brand_P, kind='stable')
    rows, start = np.unique(brand_P[order], return_index=True)
    lists = np.split(influencer_P[order], start)[1:]
    return dict(zip(rows.tolist(), lists, strict=True))

  @functools.cached_property
  def positives_Px2(self) -> np.ndarray:
    """Int64, rows of brands and of influencers that have worked together."""
    side_row = np.empty(len(self.dataset.accounts), np.int64)
    for side in (self.brands, self.influencers):
      side_row[side.account_row_N] = np.arange(len(side))
    return side_row[self.dataset.positives_Px2]


def open_catalogue(
  workdir: str | os.PathLike[str],
  bundle: str | os.PathLike[str] | None = None,
  *,
  asked_of: Iterable[tuple[int, str]] = (),
) -> Catalogue:
  """Restores a working folder's best model and encodes a bundle with it.

  Args:
    workdir: the folder that training wrote.
    bundle: the accounts to choose from; None for the data that the model was
      trained on.
    asked_of: roles and names of accounts that have to be there. Encoding may
      take long; a name that is mistyped is told before it.

  Returns:
    The catalogue.

  Raises:
    UserError: no usable checkpoint, a bundle that can't be read or does not
      fit the model, or no such account in it.
  """
  trained = trained_model.restore(workdir)
  if bundle is None:
    stored = dataset_lib.load(trained.config.data)
    named = ''
  else:
    stored = bundle_lib.read_bundle(bundle)
    named = str(bundle)
  fingerprint = dataset_lib.fingerprint(stored)
  is_own = fingerprint == trained.data_fingerprint
  if not is_own and not named:
    raise errors.UserError(
      f'{stored.name}: the data has changed since the model was trained; name'
      ' it with --bundle to recommend from it as it is now'
    )
  notes = preprocessing.check_fits(trained.spec, stored)
  account_names.check(stored, asked_of)
  dataset = (
    dataset_lib.assign_splits(stored, trained.config) if is_own else stored
  )
  return encode_dataset(
    trained,
    dataset,
    is_own_data=is_own,
    bundle_fingerprint=fingerprint,
    notes=tuple(notes),
    keep=encoding.keep_in(workdir, fingerprint),
  )


def encode_dataset(
  trained: trained_model.Trained,
  dataset: accounts_lib.Dataset,
  *,
  is_own_data: bool,
  bundle_fingerprint: str,
  notes: tuple[str, ...] = (),
  keep: encoding.Keep | None = None,
) -> Catalogue:
  """Encodes every account of a data set that fits a model, each once.

  Args:
    trained: the model.
    dataset: the accounts.
    is_own_data: whether the model was trained on them.
    bundle_fingerprint: of the data set as it is stored.
    notes: for the catalogue.
    keep: where vectors go if the data set's features are stored.

  Returns:
    The catalogue.

  Raises:
    UserError: there is no brand or no influencer.
    DivergedError: a representation is not finite.
  """
  encoder = profiles_lib.ProfileEncoder(trained, dataset.attribute_names)
  sides = []
  slices: dict[str, slice] = {}
  for role in (accounts_lib.BRAND, accounts_lib.INFLUENCER):
    side, slices = encoding.encode_role(
      trained, encoder, dataset, role, keep=keep
    )
    sides.append(side)
  return Catalogue(
    trained=trained,
    dataset=dataset,
    is_own_data=is_own_data,
    bundle_fingerprint=bundle_fingerprint,
    brands=sides[accounts_lib.BRAND],
    influencers=sides[accounts_lib.INFLUENCER],
    slices=slices,
    pieces=tuple(encoding.pieces_of(trained, slices)),
    encoder=encoder,
    notes=notes,
  )
