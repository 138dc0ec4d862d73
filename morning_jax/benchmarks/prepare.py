"""From posts to features: captions, topics, pictures, and all of it."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import json
import pathlib
import tempfile
import time
from typing import BinaryIO

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import memory
from morning_jax.benchmarks import pictures
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import topics
from morning_jax.core import files
from morning_jax.data.synthetic import options as world_options
from morning_jax.features import options as options_lib
from morning_jax.features import preparation
from morning_jax.features.embedded import writing as embedded
from morning_jax.features.images import options as image_options
from morning_jax.features.raw import blocks
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.raw import layout
from morning_jax.features.stages import runner as runner_lib
from morning_jax.features.stages import store
from morning_jax.features.steps import posts as posts_lib

_PROFILES = 4_000
_KEPT = 50  # newest posts of a profile
_BLOCK = 8 << 20  # bytes


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures each part of a preparation, then a whole one.

  Args:
    options: `quick`, `repeats`, `peers`, `folder`.
    rates: of this machine.

  Yields:
    Figures of `prepare`: captions/s, documents/s, pictures/s, posts/s with the
    memory that reading takes, and accounts/s of the embedded world.
  """
  for figure in topics.run_captions(options, rates):
    yield _part('words of captions', figure)
  for figure in topics.run_topics(options, rates):
    yield _part('topics', figure)
  yield from pictures.run(options, rates)
  each = 2 if options.quick else _KEPT
  for times in (1, 4):
    yield _reading(options, rates, each * times)
  yield _whole(options, rates)


def _part(stage: str, figure: harness.Measurement) -> harness.Measurement:
  """Makes a figure of another benchmark one of this."""
  parameters = {'stage': stage, **figure.parameters}
  return dataclasses.replace(figure, name='prepare', parameters=parameters)


def _reading(
  options: harness.Options, rates: rates_lib.Rates, each: int
) -> harness.Measurement:
  """Measures reading and sorting posts, with the memory that it takes."""
  profiles = 20 if options.quick else _PROFILES
  with tempfile.TemporaryDirectory(dir=options.folder) as name:
    folder = pathlib.Path(name)
    path = folder / layout.POSTS
    files.write_whole(path, lambda f: _write_posts(f, profiles, each))
    place = folder / 'profiles.npz'
    store.write(
      place,
      {
        'names': [f'account_{i}' for i in range(profiles)],
        'num_accounts': profiles,
      },
    )
    who = posts_lib.Who(place, options_lib.Sizes.profiles, _KEPT, 2)
    count = blocks.count(path, block_bytes=_BLOCK)

    def once(number: int) -> None:
      work = folder / f'work{number}'
      read = posts_lib.ReadPosts(
        work=work,
        key='benchmark',
        shards=count,
        posts=path,
        who=who,
        block_bytes=_BLOCK,
        skip_bad=False,
      )
      merged = posts_lib.MergePosts(
        work=work, key='benchmark', shards=who.num_shards(), read=read
      )
      for task in (read, merged):
        for shard in range(task.shards):
          task.do(shard)

    peak = memory.peak_beyond(lambda: once(0))
    start = time.perf_counter()
    once(1)
    seconds = [time.perf_counter() - start]
    size = path.stat().st_size
  return harness.measured(
    'prepare',
    {'stage': 'reading posts', 'profiles': profiles, 'posts': profiles * each},
    seconds,
    rates.limit(flops=0.0, moved=2.0 * size),
    work=float(profiles * each),
    unit='posts/s',
    also={
      'MB of posts': size / 1e6,
      **({} if peak is None else {'peak MB beyond': peak / 1e6}),
    },
  )


def _write_posts(file: BinaryIO, profiles: int, each: int) -> None:
  caption = 'Nothing is better than a coffee after the marathon. ' * 4
  for number in range(each):
    for profile in range(profiles):
      post = {
        'account_id': f'account_{profile}',
        'post_id': str(number),
        'timestamp': 1_700_000_000 + 3600 * number,
        'caption': caption,
      }
      file.write(json.dumps(post).encode() + b'\n')


def _whole(
  options: harness.Options, rates: rates_lib.Rates
) -> harness.Measurement:
  """Measures a preparation of the small embedded world, first to last byte."""
  world = world_options.small()
  posts, workers = embedded.PostOptions(), harness.num_threads()
  if options.quick:
    world = dataclasses.replace(
      world, influencers=60, brands_per_category=8, max_positives=10
    )
    posts, workers = embedded.PostOptions(2, 1, 1, 2), 1
  with tempfile.TemporaryDirectory(dir=options.folder) as name:
    folder = pathlib.Path(name)
    dataset = embedded.write(world, folder / 'raw', posts)
    size = sum(p.stat().st_size for p in (folder / 'raw').rglob('*'))
    start = time.perf_counter()
    preparation.prepare(
      folder_lib.open_folder(folder / 'raw'),
      options_lib.Options(
        topics=options_lib.TopicOptions(
          content=world.content_topics, audience=world.audience_topics
        ),
        images=image_options.ImageOptions(encoder=embedded.encoder_of(world)),
      ),
      work=folder / 'work',
      runner=runner_lib.LocalRunner(workers),
      sizes=options_lib.Sizes(),
      report=folder / 'report',
    )
    seconds = [time.perf_counter() - start]
  accounts = len(dataset.accounts)
  return harness.measured(
    'prepare',
    {'stage': 'the embedded world', 'accounts': accounts},
    seconds,
    rates.limit(flops=0.0, moved=2.0 * size),
    work=float(accounts),
    unit='accounts/s',
    also={'seconds': seconds[0], 'MB of posts and pictures': size / 1e6},
  )
