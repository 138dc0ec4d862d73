"""Who posts: the accounts and, behind them, those that follow them.

A profile is a name that posts. A brand and an influencer of one name are two
accounts and one profile. Profiles are numbered such that the followers of
neighbouring accounts are neighbours, so that a shard of accounts finds its
audience in few shards of profiles.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import os
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import tables
from morning_jax.features.raw import layout


@dataclasses.dataclass(frozen=True)
class Profiles:
  """Names that post.

  Attributes:
    names: the names; first those of accounts, ascending, then followers.
    num_accounts: how many of them are names of accounts.
    profile_A: int64 [A], the profile of each account.
    followed: int64 [n], the account's profile of the n-th (account, follower)
      pair; ascending.
    follower: int64 [n], the follower's profile of that pair; within an account
      in the order of the table.
  """

  names: tuple[str, ...]
  num_accounts: int
  profile_A: np.ndarray
  followed: np.ndarray
  follower: np.ndarray

  def __len__(self) -> int:
    return len(self.names)


def read_profiles(
  folder: pathlib.Path, accounts: accounts_lib.Accounts, notes: list[str]
) -> Profiles:
  """Reads the followers, where the folder has any, and numbers who posts.

  A follower that is a brand is no audience, nor is an account its own: such
  rows are left out.

  Args:
    folder: the raw folder.
    accounts: its accounts.
    notes: gets a line for each kind of row that was left out.

  Returns:
    The profiles.

  Raises:
    UserError: the table is not readable, or a row names an unknown account.
  """
  names = sorted(set(accounts.ids.tolist()))
  index = {name: i for i, name in enumerate(names)}
  num_accounts = len(names)
  is_brand = accounts.roles == accounts_lib.BRAND
  brands = set(accounts.ids[is_brand].tolist())
  pairs: dict[tuple[int, int], None] = {}
  left_out = {'own': 0, 'brand': 0, 'twice': 0}
  path = folder / layout.FOLLOWERS
  if os.path.lexists(path):
    for row in tables.rows(path, ('account_id', 'follower_id')):
      account, follower = row['account_id'], row['follower_id']
      found = index.get(account)
      if found is None or found >= num_accounts:
        row.fail(
          f'account_id {errors.quoted(account)} is not in accounts.csv'
          + tables.near(account, names[:num_accounts])
        )
      if not follower:
        row.fail('follower_id is empty')
      if follower == account:
        left_out['own'] += 1
      elif follower in brands:
        left_out['brand'] += 1
      else:
        pair = found, index.setdefault(follower, len(index))
        left_out['twice'] += pair in pairs
        pairs[pair] = None
  _note(left_out, notes)
  return _numbered(list(index), num_accounts, accounts, list(pairs), index)


def _numbered(
  names: list[str],
  num_accounts: int,
  accounts: accounts_lib.Accounts,
  pairs: list[tuple[int, int]],
  index: dict[str, int],
) -> Profiles:
  """Sorts the followers by the first account that they follow, then by name."""
  pairs_Nx2 = np.array(pairs, np.int64).reshape(-1, 2)
  pairs_Nx2 = pairs_Nx2[np.argsort(pairs_Nx2[:, 0], kind='stable')]
  first = np.full(len(names), num_accounts, np.int64)
  np.minimum.at(first, pairs_Nx2[:, 1], pairs_Nx2[:, 0])
  rest = sorted(
    range(num_accounts, len(names)), key=lambda i: (int(first[i]), names[i])
  )
  order = [*range(num_accounts), *rest]
  new = np.empty(len(names), np.int64)
  new[order] = np.arange(len(names))
  return Profiles(
    names=tuple(names[i] for i in order),
    num_accounts=num_accounts,
    profile_A=np.array([index[n] for n in accounts.ids.tolist()], np.int64),
    followed=pairs_Nx2[:, 0],
    follower=new[pairs_Nx2[:, 1]],
  )


def _note(left_out: dict[str, int], notes: list[str]) -> None:
  for kind, text in (
    ('own', 'accounts that follow themselves are left out'),
    ('brand', 'followers that are brands are no audience and are left out'),
    ('twice', 'duplicate rows merged'),
  ):
    if left_out[kind]:
      notes.append(f'{layout.FOLLOWERS}: {left_out[kind]:,} {text}')


def active(
  profiles: Profiles, num_posts: Sequence[int] | np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
  """Chooses the followers that are an account's audience.

  Args:
    profiles: who posts.
    num_posts: [profiles], how many posts each has.
    most: of an account; the first ones of the table that have a post.

  Returns:
    int64 [num_accounts + 1], where the followers of each account's profile
    begin and end in the second; int64 profiles of followers.
  """
  kept = np.asarray(num_posts)[profiles.follower] > 0
  followed, follower = profiles.followed[kept], profiles.follower[kept]
  count = np.bincount(followed, minlength=profiles.num_accounts)
  start = np.concatenate([[0], np.cumsum(count)])
  place = np.arange(len(followed)) - start[followed]
  chosen = place < most
  count = np.minimum(count, most)
  return (
    np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
    follower[chosen],
  )
