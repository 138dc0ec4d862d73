"""Writes the embedded world as a raw folder: captions, pictures, followers.

What a world's features say is what its accounts post: a caption's words are
drawn from the account's topics, a picture's tiles from its classes. So
everything from posts to a ranking runs with no data, and what a preparation
loses against the world's own features can be measured.

The two perspectives differ in who posts: content is an account's own posts,
audience those of followers that nobody shares. An account that lacks a feature
posts without captions, or without pictures. A brand and an influencer of one
name are one profile, which posts what the brand shows.
"""

from __future__ import annotations

from collections.abc import Iterator
import concurrent.futures
import dataclasses
import io
import json
import os
import pathlib
from typing import Any, BinaryIO

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.bundle import writing as bundle_writing
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib
from morning_jax.features.embedded import vocabulary
from morning_jax.features.images import pattern as pattern_lib
from morning_jax.features.raw import layout
from morning_jax.reporting import console

_STREAM = 1_000  # beyond those of the world itself
_START = 1_700_000_000  # seconds; posts are some hours apart
_OBJECTS, _SCENES = 4, 3  # classes of a picture, as in the world
_QUALITY = 92  # of JPEG files


@dataclasses.dataclass(frozen=True)
class PostOptions:
  """How much accounts post.

  Attributes:
    posts: of an account.
    followers: of an account.
    follower_posts: of a follower.
    sentences: of a caption, two words of topics each.
  """

  posts: int = 16
  followers: int = 8
  follower_posts: int = 2
  sentences: int = 3


def encoder_of(world: world_options.World) -> str:
  """Returns the image encoder that reads the pictures of a world."""
  return pattern_lib.Pattern(world.objects, world.scenes).spec


def write(
  world: world_options.World,
  path: str | os.PathLike[str],
  options: PostOptions,
) -> accounts_lib.Dataset:
  """Writes a world as a raw folder, which appears complete or not at all.

  Args:
    world: the world; its topics are at most `len(vocabulary.TOPICS)`.
    path: the folder to make; it may exist if it is empty.
    options: how much accounts post.

  Returns:
    The world, with its own features.

  Raises:
    UserError: the folder is not new, or the world has more topics than there
      are words for.
    OSError: it can't be written.
  """
  most = max(world.content_topics, world.audience_topics)
  if most > len(vocabulary.TOPICS):
    raise errors.UserError(
      f'a world of {most} topics: there are words for'
      f' {len(vocabulary.TOPICS)} of them'
    )
  dataset = world_lib.generate(world)
  with files.new_folder(path) as draft:
    bundle_writing.write_files(
      accounts_lib.Dataset(
        name=dataset.name,
        accounts=dataset.accounts,
        features={},
        positives_Px2=dataset.positives_Px2,
      ),
      draft,
    )
    authors = list(_authors(dataset, options))
    _write_followers(draft, dataset, authors)
    (draft / layout.IMAGES).mkdir()
    files.write_whole(
      draft / layout.POSTS,
      lambda f: _write_posts(f, draft, world, options, dataset, authors),
    )
  return dataset


@dataclasses.dataclass(frozen=True)
class _Author:
  """Who posts what.

  Attributes:
    name: of the profile.
    row: of the account whose features the posts show.
    perspective: 'content', or 'audience' for a follower.
    posts: how many.
    number: of the author, which its random numbers follow from.
    sponsors: names of the brands that paid for posts, one each.
  """

  name: str
  row: int
  perspective: str
  posts: int
  number: int
  sponsors: tuple[str, ...] = ()


def _authors(
  dataset: accounts_lib.Dataset, options: PostOptions
) -> Iterator[_Author]:
  names = dataset.accounts.ids.tolist()
  paid: dict[int, list[str]] = {}
  for brand, influencer in dataset.positives_Px2.tolist():
    paid.setdefault(influencer, []).append(names[brand])
  seen: set[str] = set()
  number = 0
  for row, name in enumerate(names):
    if name in seen:
      continue
    seen.add(name)
    sponsors = tuple(paid.get(row, ())[: options.posts])
    yield _Author(name, row, 'content', options.posts, number, sponsors)
    number += 1
    for _ in range(options.followers):
      yield _Author(
        f'fan_{number:06d}', row, 'audience', options.follower_posts, number
      )
      number += 1


def _write_followers(
  folder: pathlib.Path, dataset: accounts_lib.Dataset, authors: list[_Author]
) -> None:
  names = dataset.accounts.ids
  lines = ['account_id,follower_id\n'] + [
    f'{names[a.row]},{a.name}\n' for a in authors if a.perspective == 'audience'
  ]
  files.write_text(folder / layout.FOLLOWERS, ''.join(lines))


def _write_posts(
  file: BinaryIO,
  folder: pathlib.Path,
  world: world_options.World,
  options: PostOptions,
  dataset: accounts_lib.Dataset,
  authors: list[_Author],
) -> None:
  """Writes the lines of the posts, and their pictures beside them."""

  def posts_of(author: _Author) -> list[dict[str, Any]]:
    return list(_posts(author, folder, world, options, dataset))

  with (
    concurrent.futures.ThreadPoolExecutor() as threads,
    console.Progress(
      total=len(authors), unit='profiles', title='writing posts'
    ) as progress,
  ):
    # Some at a time: what is drawn ahead stays in memory.
    for start in range(0, len(authors), 64):
      for posts in threads.map(posts_of, authors[start : start + 64]):
        progress.advance(1)
        for post in posts:
          file.write(json.dumps(post).encode() + b'\n')


def _posts(
  author: _Author,
  folder: pathlib.Path,
  world: world_options.World,
  options: PostOptions,
  dataset: accounts_lib.Dataset,
) -> Iterator[dict[str, Any]]:
  rng = np.random.Generator(
    np.random.PCG64([world.seed, _STREAM, author.number])
  )
  topics = dataset.features[f'{author.perspective}_text'][author.row]
  classes = dataset.features[f'{author.perspective}_image'][author.row]
  has_text, has_image = not np.isnan(topics).any(), not np.isnan(classes).any()
  if not has_text and not has_image:
    return
  topic = _Drawing(topics)
  object_, scene = (
    _Drawing(part) for part in np.split(classes, [world.objects])
  )
  pattern = pattern_lib.Pattern(world.objects, world.scenes)
  home = pathlib.PurePosixPath(layout.IMAGES, f'{author.number // 500:04d}')
  (folder / home).mkdir(exist_ok=True)
  hours = rng.integers(5, size=author.posts).tolist()
  for i, hour in enumerate(hours):
    post: dict[str, Any] = {
      'account_id': author.name,
      'post_id': f'{author.number}-{i}',
      'timestamp': _START + 3600 * (7 * i + hour),
      'caption': _caption(rng, topic, options.sentences) if has_text else '',
      'images': [],
      'sponsors': list(author.sponsors[i : i + 1]),
    }
    if has_image:
      name = home / f'{author.number}-{i}.jpg'
      shown = object_(rng, _OBJECTS), scene(rng, _SCENES)
      _save(pattern_lib.draw(pattern, *shown, rng), folder / name)
      post['images'].append(str(name))
    yield post


class _Drawing:
  """Draws numbers by weight."""

  def __init__(self, weights: np.ndarray) -> None:
    self._up_to = np.cumsum(weights, dtype=np.float64)

  def __call__(self, rng: np.random.Generator, count: int) -> np.ndarray:
    found = rng.random(count) * self._up_to[-1]
    return np.searchsorted(self._up_to, found, side='right')


_WORDS = tuple(words.split() for _, words in vocabulary.TOPICS)
_USED = _Drawing(1.0 / (2.0 + np.arange(len(_WORDS[0]))))


def _caption(rng: np.random.Generator, topics: _Drawing, sentences: int) -> str:
  words = [
    _WORDS[topic][word]
    for topic, word in zip(
      topics(rng, 2 * sentences).tolist(),
      _USED(rng, 2 * sentences).tolist(),
      strict=True,
    )
  ]
  frames = rng.integers(len(vocabulary.SENTENCES), size=sentences).tolist()
  return ' '.join(
    vocabulary.SENTENCES[frame].format(*words[2 * i : 2 * i + 2])
    for i, frame in enumerate(frames)
  )


def _save(pixels: np.ndarray, path: pathlib.Path) -> None:
  from PIL import Image

  encoded = io.BytesIO()
  Image.fromarray(pixels).save(encoded, 'JPEG', quality=_QUALITY, subsampling=0)
  path.write_bytes(encoded.getvalue())
