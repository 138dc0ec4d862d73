"""Folders that instaloader saved.

`PROFILE/DATE_UTC.json.xz` (or `.json`) describes the post whose pictures lie
beside it as `DATE_UTC.jpg`, or `DATE_UTC_1.jpg` and so on; what has no JSON of
its own, as a profile's picture, is no post. `PROFILE/PROFILE_ID.json.xz`
describes the profile. Whoever paid for a post is in its sponsor edges.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
from typing import Any

from morning_jax.core import errors
from morning_jax.features.importers import items

_ENDINGS = ('.json', '.json.xz')


def read(
  source: pathlib.Path, pictures: pathlib.Path | None
) -> Iterator[items.Profile | items.Post]:
  """Reads a folder of profiles' folders, or one profile's.

  Args:
    source: the folder.
    pictures: not needed, as pictures lie beside the posts.

  Yields:
    Profiles and posts, file by file in the order of their names.

  Raises:
    UserError: there is nothing of instaloader's, or a file can't be read.
  """
  del pictures
  found = False
  for path in sorted(source.rglob('*')):
    if not path.name.endswith(_ENDINGS) or path.is_symlink():
      continue
    value = items.read_json(path)
    kind, node = (
      items.at(value, 'instaloader', 'node_type'),
      items.at(value, 'node'),
    )
    if kind == 'Profile':
      found = True
      yield _profile(path, node)
    elif kind == 'Post':
      found = True
      yield _post(path, node)
  if not found:
    raise items.SourceError(
      errors.in_file(
        source,
        'has no post of instaloader: a folder is expected with'
        ' PROFILE/..._UTC.json.xz',
      )
    )


def _profile(path: pathlib.Path, node: Any) -> items.Profile:
  name = items.text(items.at(node, 'username'))
  return items.Profile(
    name=name or path.parent.name,
    biography=items.text(items.at(node, 'biography')),
    followers=items.number(
      items.at(node, 'edge_followed_by', 'count'),
      items.at(node, 'follower_count'),
    ),
    category=items.text(
      items.at(node, 'business_category_name') or items.at(node, 'category')
    ),
  )


def _post(path: pathlib.Path, node: Any) -> items.Post:
  base = path.name.removesuffix('.xz').removesuffix('.json')
  post_id = items.at(node, 'shortcode') or items.at(node, 'code')
  for key in ('taken_at_timestamp', 'date', 'taken_at'):
    if (time := items.at(node, key)) is not None:
      break
  else:
    time = items.at(node, 'iphone_struct', 'taken_at')
  caption = items.at(node, 'edge_media_to_caption', 'edges', 0, 'node', 'text')
  if caption is None:
    caption = items.at(node, 'caption')
    caption = items.at(caption, 'text') or caption
  return items.Post(
    account=items.text(items.at(node, 'owner', 'username')) or path.parent.name,
    post_id=str(post_id or items.at(node, 'id') or base),
    timestamp=time,
    caption=items.text(caption),
    pictures=tuple(items.pictures_of(path.parent, base)),
    sponsors=items.texts(
      [
        items.at(n, 'sponsor', 'username')
        for n in items.nodes(node, 'edge_media_to_sponsor_user')
      ]
    ),
    tagged=items.texts(
      [
        items.at(n, 'user', 'username')
        for n in items.nodes(node, 'edge_media_to_tagged_user')
      ]
    ),
    pinned=bool(items.at(node, 'pinned_for_users')),
  )
