"""Answers of the Instagram Graph API, `business_discovery`.

Each file, or each line of one, is an answer: `{"business_discovery":
{"username": ..., "biography": ..., "media": {"data": [...]}}}`. Addresses of
media may be absent and expire; files are looked for in a folder under the id of
the media. Only professional accounts can be asked for, so nobody's followers
can be had from here, nor does anything say who paid for a post.
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
  """Reads answers.

  Args:
    source: a file, or a folder of them.
    pictures: folder of `ID.jpg`, `ID_1.jpg`, ...; None: none.

  Yields:
    Profiles and posts in their order.

  Raises:
    UserError: a file can't be read, or holds something else.
  """
  for path in items.json_files(source):
    for place, value in enumerate(items.read_records(path), 1):
      found = items.at(value, 'business_discovery')
      name = items.text(items.at(found, 'username'))
      if not name:
        if items.at(value, 'error') is not None:
          continue  # an account that can't be asked for
        raise items.SourceError(
          errors.in_file(
            path, f'answer {place}: has no business_discovery with a username'
          )
        )
      yield items.Profile(
        name=name,
        biography=items.text(items.at(found, 'biography')),
        followers=items.number(items.at(found, 'followers_count')),
      )
      for media in items.at(found, 'media', 'data') or []:
        yield _post(media, name, pictures)


def _post(
  media: Any, account: str, pictures: pathlib.Path | None
) -> items.Post:
  media_id = str(items.at(media, 'id') or '')
  children = items.at(media, 'children', 'data')
  shown = len(children) if isinstance(children, list) else 1
  files = items.pictures_of(pictures, media_id) if pictures and media_id else []
  caption = items.text(items.at(media, 'caption'))
  return items.Post(
    account=account,
    post_id=media_id,
    timestamp=items.at(media, 'timestamp'),
    caption=caption,
    pictures=tuple(files),
    missing=max(0, shown - len(files)),
    tagged=items.mentions(caption),
  )
