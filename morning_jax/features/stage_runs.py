"""Runs the stages from posts to features, and keys what they store.

The key of a stored result is made of everything that the result depends on, so
that what is there may be taken.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import pathlib
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import files
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import options as options_lib
from morning_jax.features import texts
from morning_jax.features import training
from morning_jax.features.attributes import fitted as attributes_lib
from morning_jax.features.raw import blocks
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.raw import profiles as profiles_lib
from morning_jax.features.stages import runner as runner_lib
from morning_jax.features.stages import store
from morning_jax.features.steps import pictures as pictures_lib
from morning_jax.features.steps import posts as posts_lib
from morning_jax.features.steps import words as words_lib

_VERSION = 1  # of what stored results mean
_LIBRARIES = (
  'HanTa',
  'py3langid',
  'simplemma',
  'stopwordsiso',
  'wordninja',
  'pillow',
  'jax',
  'numpy',
)


def _versions() -> list[str]:
  """Returns the versions of libraries that results depend on."""
  found = []
  for name in _LIBRARIES:
    try:
      found.append(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
      found.append('')  # what needs it says so
  return found


@dataclasses.dataclass(frozen=True)
class StageRuns:
  """Runs the stages of a preparation, each with what it depends on.

  Attributes:
    raw: the raw folder.
    options: what to compute.
    work: folder of stored results.
    runner: who does shards.
    sizes: how the work is cut up.
  """

  raw: folder_lib.RawFolder
  options: options_lib.Options
  work: pathlib.Path
  runner: runner_lib.Runner
  sizes: options_lib.Sizes

  def _key(self, stage: str, *parts: Any) -> str:
    return files.digest(_VERSION, stage, _versions(), *parts)

  def posts(
    self, notes: list[str]
  ) -> tuple[posts_lib.MergePosts, list[tuple[int, str]], dict[str, int]]:
    """Reads the posts; returns where they are, sponsors, and counts."""
    posts = self.options.posts
    profiles = self.raw.profiles
    key = self._key(
      'posts',
      self.raw.digest,
      dataclasses.asdict(self.sizes),
      [posts.content, posts.of_follower, self.options.skip_bad],
    )
    place = self.work / 'profiles' / f'{key[:24]}.npz'
    store.write(
      place,
      {'names': list(profiles.names), 'num_accounts': profiles.num_accounts},
    )
    who = posts_lib.Who(
      place, self.sizes.profiles, posts.content, posts.of_follower
    )
    read = posts_lib.ReadPosts(
      work=self.work,
      key=key,
      shards=blocks.count(self.raw.posts, block_bytes=self.sizes.block_bytes),
      posts=self.raw.posts,
      who=who,
      block_bytes=self.sizes.block_bytes,
      skip_bad=self.options.skip_bad,
    )
    runner_lib.complete(read, self.runner)
    merged = posts_lib.MergePosts(
      work=self.work, key=key, shards=who.num_shards(), read=read
    )
    runner_lib.complete(merged, self.runner)
    sponsors: set[tuple[int, str]] = set()
    skipped, duplicates, first, unread = 0, 0, '', set()
    for block in range(read.shards):
      with read.open(block) as stored:
        sponsors.update(map(tuple, stored['sponsors']))
        skipped += stored['skipped']
        first = first or stored['first_skipped']
        unread.update(stored['unread'])
        duplicates += stored['duplicates']
    for shard in range(merged.shards):
      with merged.open(shard) as stored:
        duplicates += stored['duplicates']
    if skipped:
      notes.append(f'{skipped:,} posts are skipped, the first: {first}')
    if duplicates:
      notes.append(f'{duplicates:,} posts that were there twice are merged')
    if unread:
      shown = ', '.join(sorted(unread)[:8])
      notes.append(f'keys of posts that nothing reads: {shown}')
    return merged, sorted(sponsors), {'posts skipped': skipped}

  def audience(
    self,
    merged: posts_lib.MergePosts,
    trains_A: np.ndarray,
    counts: dict[str, int],
    notes: list[str],
  ) -> words_lib.Audience:
    """Chooses each account's audience and who may shape topics."""
    raw, profiles = self.raw, self.raw.profiles
    parts = []
    for shard in range(merged.shards):
      with merged.open(shard) as stored:
        parts.append(stored['count'])
    num_posts = np.concatenate(parts)
    start, follower = profiles_lib.active(
      profiles, num_posts, self.options.posts.followers
    )
    trains = training.training_profiles(raw.accounts, profiles, trains_A)
    keeps_out = np.zeros(len(profiles), bool)
    keeps_out[: profiles.num_accounts] = ~trains
    silent = int((num_posts[profiles.profile_A] == 0).sum())
    alone = int((np.diff(start)[profiles.profile_A] == 0).sum())
    if silent:
      notes.append(f'{silent:,} of {len(raw.accounts):,} accounts have no post')
    if alone:
      notes.append(
        f'{alone:,} of {len(raw.accounts):,} accounts have no follower with a'
        ' post: they lack audience features'
      )
    counts['posts'] = int(num_posts.sum())
    counts['followers'] = len(np.unique(follower))
    values = {
      'start': start,
      'follower': follower,
      'trains': trains,
      'keeps_out': keeps_out,
    }
    key = self._key('audience', merged.key, *values.values())
    place = self.work / 'audience' / f'{key[:24]}.npz'
    store.write(place, values)
    return words_lib.Audience(place)

  def documents(
    self, merged: posts_lib.MergePosts, audience: words_lib.Audience
  ) -> words_lib.Documents:
    """Turns captions into documents."""
    words = words_lib.Words(
      work=self.work,
      key=self._key('words', merged.key, dataclasses.asdict(self.options.text)),
      shards=merged.shards,
      merged=merged,
      options=self.options.text,
    )
    runner_lib.complete(words, self.runner)
    documents = words_lib.Documents(
      work=self.work,
      key=self._key('documents', words.key, audience.path.name),
      shards=merged.read.who.num_shards(accounts=True),
      words=words,
      audience=audience,
    )
    runner_lib.complete(documents, self.runner)
    return documents

  def attributes(
    self, trains_A: np.ndarray, fitted: fitted_lib.Fitted | None
  ) -> tuple[
    accounts_lib.Attributes | None,
    attributes_lib.AttributeWords | None,
    list[attributes_lib.LeftOver],
  ]:
    """Chooses attributes, or takes those chosen before; gives them out."""
    biographies = self.raw.accounts.biographies
    if biographies is None or (fitted and fitted.attributes is None):
      return None, None, []
    nouns_A = texts.nouns_of(
      biographies.tolist(), self.work, self.options, self.sizes, self.runner
    )
    left_over: list[attributes_lib.LeftOver] = []
    words = fitted.attributes if fitted else None
    if words is None:
      words, left_over = attributes_lib.fit(
        (nouns_A[row] for row in np.flatnonzero(trains_A)),
        self.options.attributes,
      )
    held = words.held(nouns_A)
    if not len(held.names_V):
      return None, None, left_over
    return held, words, left_over

  def pictures(
    self,
    merged: posts_lib.MergePosts,
    audience: words_lib.Audience,
    perspective: str,
    image_digest: str,
    counts: dict[str, int],
    unreadable: list[tuple[str, str, str, str]],
  ) -> np.ndarray:
    """Encodes the pictures of a perspective."""
    images = self.options.images
    assert images is not None
    task = pictures_lib.Pictures(
      work=self.work,
      key=self._key(
        'pictures',
        merged.key,
        audience.path.name,
        image_digest,
        perspective,
        [images.batch_size, images.threshold, images.same_bits],
      ),
      shards=merged.read.who.num_shards(accounts=True),
      merged=merged,
      audience=audience,
      perspective=perspective,
      root=self.raw.path,
      options=images,
    )
    runner_lib.complete(task, self.runner)
    parts = []
    for shard in range(task.shards):
      with task.open(shard) as stored:
        parts.append(stored['values'])
        for name in ('pictures', 'reposted'):
          label = f'{name} of {perspective}'
          counts[label] = counts.get(label, 0) + stored[name]
        unreadable.extend(
          (perspective, post_id, picture, reason)
          for post_id, picture, reason in stored['unreadable']
        )
    return np.concatenate(parts)
