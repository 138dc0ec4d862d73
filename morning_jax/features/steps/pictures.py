"""From pictures to what accounts, or their audiences, show."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib

import numpy as np

from morning_jax.core import files
from morning_jax.features.images import encoder as encoder_lib
from morning_jax.features.images import encoders
from morning_jax.features.images import features as features_lib
from morning_jax.features.images import options as image_options
from morning_jax.features.raw import post as post_lib
from morning_jax.features.stages import store
from morning_jax.features.stages import task as task_lib
from morning_jax.features.steps import posts as posts_lib
from morning_jax.features.steps import words as words_lib


@functools.lru_cache(1)
def encoder(options: image_options.ImageOptions) -> encoder_lib.ImageEncoder:
  """Returns this process's image encoder, with its weights loaded once."""
  return encoders.load(options)


@dataclasses.dataclass(frozen=True)
class Pictures(task_lib.Task):
  """Encodes what the accounts of a shard show, or those that follow them.

  Attributes:
    merged: where the posts are.
    audience: who follows whom.
    perspective: 'content' or 'audience'.
    root: the raw folder.
    options: how pictures are encoded.
  """

  merged: posts_lib.MergePosts
  audience: words_lib.Audience
  perspective: str
  root: pathlib.Path
  options: image_options.ImageOptions

  @property
  def name(self) -> str:
    """See `Task`."""
    return f'pictures of {self.perspective}'

  @property
  def in_process(self) -> bool:
    """See `Task`."""
    return True

  def path(self, shard: int) -> pathlib.Path:
    """Returns where a result is stored: it depends on the files too."""
    seen = []
    for posts in self._posts(shard):
      for post in posts:
        for image in post.images:
          try:
            found = os.stat(self.root / image)
            seen.append((image, found.st_size, found.st_mtime_ns))
          except (OSError, ValueError):
            seen.append((image, -1, -1))
    key = files.digest(self.key, seen)
    return self.work / self.name / f'{shard:06d}-{key[:24]}.npz'

  def result(self, shard: int) -> store.Values:
    """Returns float32 [accounts of the shard, D], and what to report.

    NaN stands for an account without a picture that can be read.
    """
    found = features_lib.picture_features(
      [
        [
          features_lib.Post(
            post.post_id, tuple(self.root / image for image in post.images)
          )
          for post in posts
        ]
        for posts in self._posts(shard)
      ],
      encoder(self.options),
      self.options,
    )
    return {
      'values': np.asarray(found.values_AxF),
      'pictures': found.pictures,
      'reposted': found.reposted,
      'unreadable': [
        [u.post_id, os.path.relpath(u.path, self.root), u.reason]
        for u in found.unreadable
      ],
    }

  def _posts(self, shard: int) -> list[list[post_lib.Post]]:
    who = self.merged.read.who
    found = []
    for profile in who.shard(shard, accounts=True):
      if self.perspective == 'content':
        found.append(self._of(profile)[: who.content])
      else:
        found.append(
          [
            post
            for follower in self.audience.followers(profile)
            for post in self._of(follower)[: who.of_follower]
          ]
        )
    return found

  def _of(self, profile: int) -> list[post_lib.Post]:
    size = self.merged.read.who.shard_size
    return _shard_of(self.merged, profile // size)[profile % size]


@functools.lru_cache(16)
def _shard_of(
  merged: posts_lib.MergePosts, shard: int
) -> list[list[post_lib.Post]]:
  return merged.posts(shard)
