"""Data sets of Apify's Instagram scrapers, of posts and of profiles.

A data set is a JSON file with a list of objects, or one object a line. Its
pictures are addresses that expire; files of them are looked for in a folder
under the post's short code. Mentions are taken from the caption again, as those
of the data set carry punctuation. Nothing in it says who paid for a post.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
from typing import Any

from morning_jax.core import errors
from morning_jax.features.importers import items


def read(
  source: pathlib.Path, pictures: pathlib.Path | None
) -> Iterator[items.Profile | items.Post]:
  """Reads data sets.

  Args:
    source: a file, or a folder of them.
    pictures: folder of `SHORTCODE.jpg`, `SHORTCODE_1.jpg`, ...; None: none.

  Yields:
    Profiles and posts in their order.

  Raises:
    UserError: a file can't be read, or holds something else.
  """
  for path in items.json_files(source):
    for place, value in enumerate(items.read_records(path), 1):
      name = items.text(items.at(value, 'username'))
      owner = items.text(items.at(value, 'ownerUsername'))
      if owner:
        yield _post(value, owner, pictures)
      elif name:
        yield items.Profile(
          name=name,
          biography=items.text(items.at(value, 'biography')),
          followers=items.number(items.at(value, 'followersCount')),
          category=items.text(items.at(value, 'businessCategoryName')),
        )
        for post in items.at(value, 'latestPosts') or []:
          yield _post(post, name, pictures)
      elif items.at(value, 'error') is None:
        raise items.SourceError(
          errors.in_file(
            path,
            f'object {place}: has neither ownerUsername, as a post has, nor'
            ' username, as a profile has',
          )
        )


def _post(
  value: Any, account: str, pictures: pathlib.Path | None
) -> items.Post:
  caption = items.text(items.at(value, 'caption'))
  code = str(
    items.at(value, 'shortCode')
    or items.at(value, 'shortcode')
    or items.at(value, 'id')
    or ''
  )
  shown = items.texts(items.at(value, 'images'))
  if not shown and items.at(value, 'displayUrl'):
    shown = ('one',)
  files = items.pictures_of(pictures, code) if pictures and code else []
  tagged = items.at(value, 'taggedUsers')
  names = [items.at(t, 'username') for t in tagged or [] if t]
  return items.Post(
    account=account,
    post_id=code,
    timestamp=items.at(value, 'timestamp'),
    caption=caption,
    pictures=tuple(files),
    missing=max(0, len(shown) - len(files)),
    tagged=items.texts([*names, *items.mentions(caption)]),
    pinned=bool(items.at(value, 'isPinned')),
  )
