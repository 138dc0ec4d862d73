"""From captions to words: a document an account, and one of its audience."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np

from morning_jax.features.stages import store
from morning_jax.features.stages import task as task_lib
from morning_jax.features.steps import posts as posts_lib
from morning_jax.features.text import documents as documents_lib
from morning_jax.features.text import options as text_options

PERSPECTIVES = ('content', 'audience')


@functools.lru_cache(1)
def tokenizer(options: text_options.TextOptions) -> documents_lib.Tokenizer:
  """Returns this process's tokenizer."""
  return documents_lib.Tokenizer(options)


@dataclasses.dataclass(frozen=True)
class Words(task_lib.Task):
  """Tells the words of captions, profile by profile.

  Attributes:
    merged: where the posts are.
    options: how captions become words.
  """

  merged: posts_lib.MergePosts
  options: text_options.TextOptions

  @property
  def name(self) -> str:
    """See `Task`."""
    return 'telling words'

  def result(self, shard: int) -> store.Values:
    """Returns the words of each profile as an account and as a follower.

    None stands for a profile without posts, or one that is no account.
    """
    who = self.merged.read.who
    tell = tokenizer(self.options)
    content: list[list[str] | None] = []
    audience: list[list[str] | None] = []
    captions = 0
    for profile, posts in zip(
      who.shard(shard), self.merged.posts(shard), strict=True
    ):
      texts = [post.caption for post in posts]
      captions += len(texts)
      newest = texts[: who.of_follower]
      is_account = profile < who.num_accounts
      content.append(tell.tokens(texts) if is_account and texts else None)
      if newest == texts and is_account:
        audience.append(content[-1])
      else:
        audience.append(tell.tokens(newest) if newest else None)
    return {'content': content, 'audience': audience, 'captions': captions}


@dataclasses.dataclass(frozen=True)
class Audience:
  """Who follows whom and who trains, as workers know it.

  Attributes:
    path: a stored result with `start` and `follower` (`profiles.active`),
      `trains` [num_accounts], whether an account's captions may shape topics,
      and `keeps_out` [profiles], whether a follower's may not.
  """

  path: pathlib.Path

  @property
  def trains(self) -> np.ndarray:
    """Bool [num_accounts]."""
    return _audience(self.path)[2]

  @property
  def keeps_out(self) -> np.ndarray:
    """Bool [profiles]."""
    return _audience(self.path)[3]

  def followers(self, profile: int) -> list[int]:
    """Returns the followers of an account that are its audience."""
    start, follower, *_ = _audience(self.path)
    found: list[int] = follower[start[profile] : start[profile + 1]].tolist()
    return found


@functools.lru_cache(2)
def _audience(path: pathlib.Path) -> tuple[np.ndarray, ...]:
  with store.Shard(path) as stored:
    return tuple(
      stored[name] for name in ('start', 'follower', 'trains', 'keeps_out')
    )


@dataclasses.dataclass(frozen=True)
class Documents(task_lib.Task):
  """Puts documents together, account by account, and counts their words.

  Attributes:
    words: where the words are.
    audience: who follows whom.
  """

  words: Words
  audience: Audience

  @property
  def name(self) -> str:
    """See `Task`."""
    return 'collecting documents'

  def result(self, shard: int) -> store.Values:
    """Returns documents, and word counts of those that may shape topics.

    The document of a perspective is None where an account has no posts of that
    kind. `training` holds the documents that topics are learned from: without
    the words of accounts that are held out, also where they follow.
    """
    who = self.words.merged.read.who
    found: dict[str, Any] = {}
    for perspective in PERSPECTIVES:
      documents: list[list[str] | None] = []
      training: list[list[str]] = []
      for profile in who.shard(shard, accounts=True):
        parts = list(self._parts(perspective, profile))
        known = [words for _, words in parts if words is not None]
        documents.append(_joined(known) if known else None)
        if self.audience.trains[profile]:
          training.append(
            _joined(
              [
                words
                for author, words in parts
                if words is not None and not self._is_held_out(author, profile)
              ]
            )
          )
      found[perspective] = documents
      found[f'{perspective} training'] = training
    return found

  def _is_held_out(self, author: int, profile: int) -> bool:
    return author != profile and bool(self.audience.keeps_out[author])

  def _parts(
    self, perspective: str, profile: int
  ) -> Iterator[tuple[int, list[str] | None]]:
    """Yields who wrote a part of a document, and its words."""
    authors = [profile]
    if perspective == 'audience':
      authors = self.audience.followers(profile)
    size = self.words.merged.read.who.shard_size
    for author in authors:
      shard = _words_of(self.words.path(author // size), perspective)
      yield author, shard[author % size]


@functools.lru_cache(16)
def _words_of(
  path: pathlib.Path, perspective: str
) -> Sequence[list[str] | None]:
  with store.Shard(path) as stored:
    found: list[list[str] | None] = stored[perspective]
    return found


def _joined(parts: Sequence[Sequence[str]]) -> list[str]:
  return [word for part in parts for word in part]
