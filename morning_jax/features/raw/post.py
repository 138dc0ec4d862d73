"""One post of a raw folder, checked."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from morning_jax.core import errors
from morning_jax.features.raw import paths
from morning_jax.features.raw import times

FIELDS = (
  'account_id',
  'post_id',
  'timestamp',
  'caption',
  'images',
  'sponsors',
  'tagged',
  'pinned',
)
_LONGEST_ID = 1_000
_MOST = 1_000  # of a list
_Key = tuple[int, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Post:
  """What of a post takes part.

  Attributes:
    account: index of who posted it, among the profiles.
    post_id: its name; unique within its account.
    time: microseconds since 1970.
    caption: valid Unicode; '' where there is none.
    images: paths of its pictures below the raw folder, in their order.
    sponsors: names of the accounts that paid for it.
  """

  account: int
  post_id: str
  time: int
  caption: str
  images: tuple[str, ...]
  sponsors: tuple[str, ...]

  @property
  def key(self) -> _Key:
    """What no two posts share."""
    return self.account, self.post_id

  @property
  def newest_first(self) -> tuple[int, str]:
    """Sorts the posts of an account, the newest first."""
    return -self.time, self.post_id

  def to_json(self) -> list[Any]:
    """Returns plain values."""
    return list(dataclasses.astuple(self))

  @classmethod
  def from_json(cls, value: list[Any]) -> Post:
    """Reads what `to_json` returned."""
    account, post_id, time, caption, images, sponsors = value
    return cls(account, post_id, time, caption, tuple(images), tuple(sponsors))


def parse(value: Any, index: Mapping[str, int], root: str) -> Post:
  """Checks a post.

  Pictures are checked by name alone: one that is missing or broken is found
  when it is decoded, and costs no more than itself. `tagged` and `pinned` are
  read by nothing: who is tagged need not have paid, and posts are sorted by
  time, wherever a page shows them.

  Args:
    value: of one line of JSON, or of one row.
    index: name -> index, of all profiles.
    root: the raw folder without links.

  Raises:
    ValueError: something is wrong with it; says what.
  """
  if not isinstance(value, Mapping):
    raise ValueError(
      f'{errors.quoted(value)} is no JSON object such as'
      ' {"account_id": "ann", "post_id": "1", "timestamp": 1700000000}'
    )
  account = _name(value, 'account_id')
  found = index.get(account)
  if found is None:
    raise ValueError(
      f'account_id {errors.quoted(account)} is neither in accounts.csv nor a'
      ' follower in followers.csv'
    )
  post_id = _name(value, 'post_id')
  if 'timestamp' not in value or value['timestamp'] is None:
    raise ValueError('timestamp is missing: the newest posts count')
  return Post(
    account=found,
    post_id=post_id,
    time=times.parse(value['timestamp']),
    caption=_caption(value.get('caption')),
    images=tuple(paths.check(root, p) for p in _list(value, 'images')),
    sponsors=tuple(_valid(s.strip()) for s in _list(value, 'sponsors', of=str)),
  )


def _valid(text: str) -> str:
  """Replaces lone surrogates, which no file can hold."""
  return text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')


def _name(value: Mapping[str, Any], field: str) -> str:
  name = value.get(field)
  if isinstance(name, int) and not isinstance(name, bool):
    name = str(name)
  if not isinstance(name, str) or not name.strip():
    raise ValueError(f'{field} is missing')
  if len(name) > _LONGEST_ID:
    raise ValueError(f'{field} has more than {_LONGEST_ID:,} characters')
  return _valid(name.strip())


def _caption(caption: Any) -> str:
  if caption is None:
    return ''
  if not isinstance(caption, str):
    raise ValueError(f'caption {errors.quoted(caption)} is no text')
  return _valid(caption)


def _list(
  value: Mapping[str, Any], field: str, *, of: type = object
) -> list[Any]:
  found = value.get(field)
  if found is None:
    return []
  if not isinstance(found, list) or not all(isinstance(x, of) for x in found):
    raise ValueError(f'{field} {errors.quoted(found)} is no list of texts')
  if len(found) > _MOST:
    raise ValueError(f'{field} has more than {_MOST:,} entries')
  return found
