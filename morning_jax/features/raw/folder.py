"""Opens a raw folder: who its accounts are, who follows them, where posts lie.

The posts themselves are read by blocks (`raw.blocks`), as they need not fit
into memory.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import user_files
from morning_jax.data.bundle import accounts as bundle_accounts
from morning_jax.data.bundle import layout as bundle_layout
from morning_jax.features.raw import layout
from morning_jax.features.raw import profiles as profiles_lib


@dataclasses.dataclass(frozen=True)
class RawFolder:
  """A raw folder whose tables were checked.

  Attributes:
    path: the folder.
    posts: its posts, `posts.jsonl` or `posts.parquet`.
    accounts: who the A rows of the bundle will be.
    profiles: who posts.
    positives_Px2: int64 [P, 2], account rows (brand, influencer); None where
      there is no table of them, and sponsors tell.
    digest: SHA-256 of the tables and of the posts' file.
    notes: what was left out or merged.
  """

  path: pathlib.Path
  posts: pathlib.Path
  accounts: accounts_lib.Accounts
  profiles: profiles_lib.Profiles
  positives_Px2: np.ndarray | None
  digest: str
  notes: tuple[str, ...]


def open_folder(
  path: str | os.PathLike[str], *, complete: bool = True
) -> RawFolder:
  """Opens a raw folder and checks its tables.

  Args:
    path: the folder.
    complete: whether there must be brands and influencers.

  Returns:
    What is in it.

  Raises:
    UserError: it is no raw folder, or a row of a table is wrong.
  """
  folder = pathlib.Path(path)
  posts = _posts_of(folder)
  notes: list[str] = []
  accounts = bundle_accounts.read_accounts(folder, both_roles=complete)
  profiles = profiles_lib.read_profiles(folder, accounts, notes)
  positives = None
  tables = [folder / bundle_layout.ACCOUNTS]
  if os.path.lexists(folder / bundle_layout.INTERACTIONS):
    positives = bundle_accounts.read_interactions(folder, accounts, notes)
    tables.append(folder / bundle_layout.INTERACTIONS)
  if os.path.lexists(folder / layout.FOLLOWERS):
    tables.append(folder / layout.FOLLOWERS)
  try:
    digest = files.digest(
      *(part for t in (*tables, posts) for part in (t.name, t))
    )
  except OSError as e:
    raise layout.RawError(
      errors.in_file(e.filename or folder, e.strerror or str(e))
    ) from None
  return RawFolder(
    path=folder,
    posts=posts,
    accounts=accounts,
    profiles=profiles,
    positives_Px2=positives,
    digest=digest,
    notes=tuple(notes),
  )


def _posts_of(folder: pathlib.Path) -> pathlib.Path:
  """Returns the file of the posts, after it could be opened."""
  try:
    names = os.listdir(folder)
  except (OSError, ValueError) as e:
    problem = getattr(e, 'strerror', None) or str(e)
    raise layout.RawError(
      errors.in_file(folder, f'{problem}; a raw folder has accounts.csv')
    ) from None
  if bundle_layout.ACCOUNTS not in names:
    raise layout.RawError(
      errors.in_file(
        folder / bundle_layout.ACCOUNTS, 'no such file; a raw folder needs it'
      )
    )
  found = [n for n in (layout.POSTS, layout.POSTS_TABLE) if n in names]
  if not found:
    raise layout.RawError(
      errors.in_file(
        folder, f'has neither {layout.POSTS} nor {layout.POSTS_TABLE}'
      )
    )
  if len(found) > 1:
    raise layout.RawError(
      errors.in_file(
        folder, f'has {" and ".join(found)}; remove the one that is outdated'
      )
    )
  posts = folder / found[0]
  user_files.open_file(posts, error=layout.RawError).close()
  return posts
