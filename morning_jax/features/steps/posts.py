"""Brings the newest posts of each profile together, however a file lists them.

Two stages, as a file of posts need not fit into memory: `ReadPosts` deals the
posts of each block of the file to the shards of profiles, `MergePosts` gathers
a shard's from all blocks. Both keep no more than a profile's newest posts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np

from morning_jax.features.raw import blocks
from morning_jax.features.raw import post as post_lib
from morning_jax.features.stages import store
from morning_jax.features.stages import task as task_lib


@dataclasses.dataclass(frozen=True)
class Who:
  """Who posts, as workers know it.

  Attributes:
    path: a stored result with `names` and `num_accounts`.
    shard_size: profiles of a shard.
    content: newest posts of an account that count.
    of_follower: newest posts of a profile that is no account.
  """

  path: pathlib.Path
  shard_size: int
  content: int
  of_follower: int

  @property
  def names(self) -> Sequence[str]:
    """The names of the profiles; accounts first."""
    return _who(self.path)[0]

  @property
  def index(self) -> Mapping[str, int]:
    """Name -> profile."""
    return _who(self.path)[1]

  @property
  def num_accounts(self) -> int:
    """How many profiles are accounts."""
    return _who(self.path)[2]

  def most(self, profile: int) -> int:
    """Returns how many posts of a profile count."""
    return self.content if profile < self.num_accounts else self.of_follower

  def shard(self, number: int, *, accounts: bool = False) -> range:
    """Returns the profiles of a shard; of accounts alone, if so asked."""
    end = self.num_accounts if accounts else len(self.names)
    first = number * self.shard_size
    return range(first, min(first + self.shard_size, end))

  def num_shards(self, *, accounts: bool = False) -> int:
    """Returns how many shards of profiles there are, or of accounts."""
    count = self.num_accounts if accounts else len(self.names)
    return -(-count // self.shard_size)


@functools.lru_cache(2)
def _who(path: pathlib.Path) -> tuple[list[str], dict[str, int], int]:
  with store.Shard(path) as stored:
    names = stored['names']
    index = {name: i for i, name in enumerate(names)}
    return names, index, stored['num_accounts']


@dataclasses.dataclass(frozen=True)
class ReadPosts(task_lib.Task):
  """Reads a block of the posts' file.

  Attributes:
    posts: the file.
    who: the profiles.
    block_bytes: of a block.
    skip_bad: whether to count what is wrong and go on.
  """

  posts: pathlib.Path
  who: Who
  block_bytes: int
  skip_bad: bool

  @property
  def name(self) -> str:
    """See `Task`."""
    return 'reading posts'

  def result(self, shard: int) -> store.Values:
    """Returns the newest posts of each profile, by shards, and the sponsors."""
    skipped = blocks.Skipped()
    newest = _Newest(self.who)
    sponsors: set[tuple[int, str]] = set()
    for post in blocks.read(
      self.posts,
      shard,
      self.who.index,
      block_bytes=self.block_bytes,
      skip_bad=self.skip_bad,
      skipped=skipped,
    ):
      newest.add(post)
      sponsors.update((post.account, s) for s in post.sponsors if s)
    by_shard: dict[int, list[Any]] = {}
    for post in newest.posts():
      by_shard.setdefault(post.account // self.who.shard_size, []).append(
        post.to_json()
      )
    return {
      **{_member(s): found for s, found in sorted(by_shard.items())},
      'sponsors': sorted(map(list, sponsors)),
      'skipped': skipped.count,
      'first_skipped': skipped.first,
      'unread': sorted(skipped.unread),
      'duplicates': newest.duplicates,
    }


@dataclasses.dataclass(frozen=True)
class MergePosts(task_lib.Task):
  """Gathers the posts of a shard of profiles.

  Attributes:
    read: the stage before.
  """

  read: ReadPosts

  @property
  def name(self) -> str:
    """See `Task`."""
    return 'sorting posts'

  def result(self, shard: int) -> store.Values:
    """Returns the posts of each profile of the shard, the newest first."""
    who = self.read.who
    newest = _Newest(who)
    for block in range(self.read.shards):
      with self.read.open(block) as stored:
        for post in stored.get(_member(shard), ()):
          newest.add(post_lib.Post.from_json(post))
    profiles = who.shard(shard)
    posts: list[list[Any]] = [[] for _ in profiles]
    for post in newest.posts():
      posts[post.account - profiles.start].append(post.to_json())
    return {
      'posts': posts,
      'count': np.array([len(p) for p in posts], np.int64),
      'duplicates': newest.duplicates,
    }

  def posts(self, shard: int) -> list[list[post_lib.Post]]:
    """Reads the posts of each profile of a shard, the newest first."""
    with self.open(shard) as stored:
      return [
        [post_lib.Post.from_json(post) for post in of_profile]
        for of_profile in stored['posts']
      ]


def _member(shard: int) -> str:
  return f'shard {shard}'


class _Newest:
  """The newest posts of each profile among those that were added.

  Of two posts of one name, the newer one stays; of two at the same time, the
  greater one in every respect. So the order in which they come does not matter,
  nor does in how many parts.
  """

  def __init__(self, who: Who) -> None:
    self._who = who
    self._posts: dict[int, dict[str, post_lib.Post]] = {}
    self.duplicates = 0

  def add(self, post: post_lib.Post) -> None:
    posts = self._posts.setdefault(post.account, {})
    other = posts.get(post.post_id)
    if other is not None:
      self.duplicates += 1
      if dataclasses.astuple(other)[2:] >= dataclasses.astuple(post)[2:]:
        return
    posts[post.post_id] = post
    most = self._who.most(post.account)
    if len(posts) > 2 * most:  # now and then: sorting costs time
      self._posts[post.account] = {
        p.post_id: p for p in _newest(posts.values(), most)
      }

  def posts(self) -> Iterable[post_lib.Post]:
    """Yields the posts by profile, the newest first."""
    for account, posts in sorted(self._posts.items()):
      yield from _newest(posts.values(), self._who.most(account))


def _newest(posts: Iterable[post_lib.Post], most: int) -> list[post_lib.Post]:
  return sorted(posts, key=lambda p: p.newest_first)[:most]
