"""Which accounts may shape what is learned: those that are trained on.

Topics, vocabularies and attributes are learned from training brands and their
influencers alone. A profile counts as one where one of its accounts does and
none is a brand that is held out for validation or testing.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.raw import layout
from morning_jax.features.raw import profiles as profiles_lib


def positives_of(
  raw: folder_lib.RawFolder,
  sponsors: Iterable[tuple[int, str]],
  notes: list[str],
) -> np.ndarray:
  """Returns who worked for whom, from the table or else from sponsors.

  Args:
    raw: the raw folder.
    sponsors: (profile, name of who paid for a post of it).
    notes: gets a line where sponsors tell.

  Returns:
    int64 [P, 2], account rows (brand, influencer).
  """
  if raw.positives_Px2 is not None:
    return raw.positives_Px2
  a = raw.accounts
  rows: tuple[dict[str, int], dict[str, int]] = ({}, {})
  for row, (name, role) in enumerate(
    zip(a.ids.tolist(), a.roles.tolist(), strict=True)
  ):
    rows[role][name] = row
  found, unknown = set(), set()
  for profile, sponsor in sponsors:
    influencer = rows[accounts_lib.INFLUENCER].get(raw.profiles.names[profile])
    brand = rows[accounts_lib.BRAND].get(sponsor)
    if brand is None:
      unknown.add(sponsor)
    elif influencer is not None:
      found.add((brand, influencer))
  notes.append(
    f'no interactions.csv: {len(found):,} interactions follow from the sponsors'
    f' of posts; {len(unknown):,} sponsors are no brands of accounts.csv'
  )
  return np.array(sorted(found), np.int64).reshape(-1, 2)


def training_rows(
  accounts: accounts_lib.Accounts, positives_Px2: np.ndarray
) -> np.ndarray:
  """Returns bool [A]: training brands, and influencers with such a positive."""
  trains = accounts.splits == 'train'
  with_one = positives_Px2[trains[positives_Px2[:, 0]]]
  found = np.zeros(len(accounts), bool)
  found[with_one.ravel()] = True
  return found


def training_profiles(
  accounts: accounts_lib.Accounts,
  profiles: profiles_lib.Profiles,
  trains_A: np.ndarray,
) -> np.ndarray:
  """Returns bool [num_accounts]: profiles that may shape what is learned."""
  held_out_A = np.isin(accounts.splits, ('valid', 'test'))
  found = np.zeros(profiles.num_accounts, bool)
  found[profiles.profile_A[trains_A]] = True
  found[profiles.profile_A[held_out_A]] = False
  return found


def check(trains: np.ndarray, raw: folder_lib.RawFolder) -> None:
  """Checks that somebody is trained on.

  Raises:
    RawError: nobody is.
  """
  if not trains.any():
    raise layout.RawError(
      f'{raw.path}: no brand of split "train" has an influencer: topics and'
      ' attributes are learned from training accounts; --fitted takes those of'
      ' an earlier preparation'
    )
