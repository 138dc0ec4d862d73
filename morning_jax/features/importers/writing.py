"""Writes what was imported as a raw folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import csv
import dataclasses
import io
import json
import os
import pathlib
import re
import shutil
from typing import BinaryIO

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.bundle import accounts as bundle_accounts
from morning_jax.data.bundle import layout as bundle_layout
from morning_jax.data.bundle import tables
from morning_jax.features.importers import items
from morning_jax.features.raw import layout
from morning_jax.features.raw import times

Found = Iterable[items.Profile | items.Post]
_COLUMNS = ('followers', 'biography', 'found_under_category')


@dataclasses.dataclass(frozen=True)
class Tables:
  """Tables that a person brings, as scraped data does not know them.

  Attributes:
    accounts: `account_id,role,category,split`, and what else `accounts.csv`
      has; None: whoever paid for a post is a training brand, whoever was paid
      an influencer.
    followers: `account_id,follower_id`.
    interactions: `brand_id,influencer_id`; None: sponsors tell.
  """

  accounts: pathlib.Path | None = None
  followers: pathlib.Path | None = None
  interactions: pathlib.Path | None = None


@dataclasses.dataclass
class Summary:
  """What an import did.

  Attributes:
    posts: that were written.
    pictures: that were copied.
    missing: pictures of which there is no file.
    left_out: posts of profiles that are in no table.
    bad: posts that were skipped, as they lack a name or a time.
    first_bad: what is wrong with the first of them.
  """

  posts: int = 0
  pictures: int = 0
  missing: int = 0
  left_out: int = 0
  bad: int = 0
  first_bad: str = ''


def write(
  found: Found,
  path: str | os.PathLike[str],
  given: Tables,
  *,
  skip_bad: bool = False,
) -> Summary:
  """Writes a raw folder, which appears complete or not at all.

  Args:
    found: profiles and posts.
    path: the folder to make; it may exist if it is empty.
    given: tables of a person.
    skip_bad: whether to count posts without a name or a time.

  Returns:
    What was written and what was not.

  Raises:
    UserError: a table is wrong, or a post lacks a name or a time.
    OSError: it can't be written.
  """
  summary = Summary()
  profiles: dict[str, items.Profile] = {}
  paid: dict[str, list[str]] = {}
  with files.new_folder(path) as draft:
    wanted = _wanted(given)
    (draft / layout.IMAGES).mkdir()

    def write_posts(file: BinaryIO) -> None:
      for one in found:
        if isinstance(one, items.Profile):
          profiles[one.name] = one
          continue
        if wanted is not None and one.account not in wanted:
          summary.left_out += 1
          continue
        try:
          line = _line(one, draft, summary)
        except ValueError as e:
          problem = f'{one.account} {errors.quoted(one.post_id)}: {e}'
          if not skip_bad:
            raise items.SourceError(f'post of {problem}') from None
          summary.bad += 1
          summary.first_bad = summary.first_bad or problem
          continue
        file.write(line)
        summary.posts += 1
        profiles.setdefault(one.account, items.Profile(one.account))
        paid.setdefault(one.account, []).extend(one.sponsors)

    files.write_whole(draft / layout.POSTS, write_posts)
    if given.followers is not None:
      shutil.copyfile(given.followers, draft / layout.FOLLOWERS)
    if given.interactions is not None:
      shutil.copyfile(given.interactions, draft / bundle_layout.INTERACTIONS)
    if given.accounts is None:
      _write_accounts_of_sponsors(draft, profiles, paid)
    else:
      _write_accounts(draft, given.accounts, profiles)
    try:
      bundle_accounts.read_accounts(draft, both_roles=False)
    except errors.UserError as e:
      problem = str(e).rpartition(f'{draft.name}{os.sep}')[2]
      raise items.SourceError(
        errors.in_file(given.accounts or pathlib.Path(path), problem)
      ) from None
  return summary


def _wanted(given: Tables) -> set[str] | None:
  """Returns who may post; None for everybody."""
  if given.accounts is None:
    return None
  rows = tables.rows(given.accounts, ('account_id',))
  names = {row['account_id'] for row in rows}
  if given.followers is not None:
    followers = tables.rows(given.followers, ('account_id', 'follower_id'))
    names.update(row['follower_id'] for row in followers)
  return names


def _line(post: items.Post, folder: pathlib.Path, summary: Summary) -> bytes:
  """Copies a post's pictures and returns its line."""
  if not post.post_id or not post.account:
    raise ValueError('has no name')
  time = times.parse(post.timestamp)
  home = pathlib.PurePosixPath(layout.IMAGES, _plain(post.account))
  images = []
  for number, picture in enumerate(post.pictures):
    name = home / f'{_plain(post.post_id)}-{number}{picture.suffix.lower()}'
    (folder / home).mkdir(exist_ok=True)
    _copy(picture, folder / name)
    images.append(str(name))
  summary.pictures += len(images)
  summary.missing += post.missing
  value = {
    'account_id': post.account,
    'post_id': post.post_id,
    'timestamp': time / 1_000_000,
    'caption': post.caption,
    'images': images,
    'sponsors': list(post.sponsors),
    'tagged': list(post.tagged),
    'pinned': post.pinned,
  }
  return json.dumps(value).encode() + b'\n'


def _plain(name: str) -> str:
  """Returns a name that is safe in a path, and nobody else's."""
  plain = re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:100]
  if plain == name and not name.startswith('.'):
    return name
  return f'{plain.lstrip(".")}~{files.digest(name)[:12]}'


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
  try:
    os.link(source, target)  # the same bytes, once on the disk
  except FileExistsError:
    return
  except OSError:
    shutil.copyfile(source, target)


def _write_accounts(
  folder: pathlib.Path,
  given: pathlib.Path,
  profiles: Mapping[str, items.Profile],
) -> None:
  """Adds what profiles say of themselves to a person's table."""
  required = ('account_id', 'role', 'category', 'split')
  rows = []
  for row in tables.rows(given, required, _COLUMNS):
    profile = profiles.get(row['account_id'], items.Profile(''))
    of_profile = {
      'followers': str(profile.followers) if profile.followers >= 0 else '',
      'biography': _biography(profile),
      'found_under_category': '',
    }
    rows.append(
      [
        *(row[name] for name in required),
        *(row.cells.get(name) or of_profile[name] for name in _COLUMNS),
      ]
    )
  _write_table(folder, (*required, *_COLUMNS), rows)


def _write_accounts_of_sponsors(
  folder: pathlib.Path,
  profiles: Mapping[str, items.Profile],
  paid: Mapping[str, list[str]],
) -> None:
  brands = sorted({name for names in paid.values() for name in names})
  rows = []
  for role, names in (
    (accounts_lib.BRAND, brands),
    (accounts_lib.INFLUENCER, sorted(n for n in paid if n not in brands)),
  ):
    for name in names:
      p = profiles.get(name, items.Profile(name))
      is_brand = role == accounts_lib.BRAND
      rows.append(
        [
          name,
          accounts_lib.ROLES[role],
          p.category if is_brand else '',
          'train' if is_brand else '',
          str(p.followers) if p.followers >= 0 else '',
          _biography(p),
        ]
      )
  _write_table(
    folder,
    ('account_id', 'role', 'category', 'split', 'followers', 'biography'),
    rows,
  )


def _biography(profile: items.Profile) -> str:
  # Tables of a bundle hold neither NUL nor halves of surrogate pairs.
  text = profile.biography.replace('\0', ' ')
  return text.encode('utf-8', 'replace').decode()[:10_000]


def _write_table(
  folder: pathlib.Path, header: Iterable[str], rows: Iterable[list[str]]
) -> None:
  text = io.StringIO()
  writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator='\n')
  writer.writerow(header)
  writer.writerows(rows)
  files.write_text(folder / bundle_layout.ACCOUNTS, text.getvalue())
