"""Small raw folders and their preparation, in this process."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from morning_jax.data.synthetic import options as world_options
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import options as options_lib
from morning_jax.features import output
from morning_jax.features import preparation
from morning_jax.features import work as work_lib
from morning_jax.features.embedded import writing as embedded
from morning_jax.features.images import options as image_options
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.stages import runner as runner_lib
from morning_jax.features.text import options as text_options
from morning_jax.features.topics import options as topic_options

WORLD = dataclasses.replace(
  world_options.small(),
  categories=2,
  brands_per_category=6,
  test_per_category=1,
  valid_per_category=1,
  influencers=30,
  brands_per_influencer=(2, 1),
  max_positives=8,
  shared_names=1,
  objects=12,
  scenes=6,
  content_topics=4,
  audience_topics=4,
  attributes=22,
  missing=0.05,
)
POSTS = embedded.PostOptions(
  posts=4, followers=2, follower_posts=2, sentences=2
)
OPTIONS = options_lib.Options(
  posts=options_lib.PostOptions(content=4, followers=2, of_follower=2),
  topics=options_lib.TopicOptions(
    content=3,
    audience=3,
    vocabulary=text_options.VocabularyOptions(min_accounts=2),
    lda=topic_options.LdaOptions(passes=2, batch_size=8),
  ),
  images=image_options.ImageOptions(encoder='pattern:12,6'),
)


def write_world(folder: pathlib.Path) -> pathlib.Path:
  """Writes the posts of a tiny world."""
  embedded.write(WORLD, folder, POSTS)
  return folder


def prepare(
  raw: pathlib.Path,
  bundle: pathlib.Path,
  *,
  options: options_lib.Options = OPTIONS,
  sizes: options_lib.Sizes | None = None,
  runner: runner_lib.Runner | None = None,
  fitted: fitted_lib.Fitted | None = None,
  records: bool = False,
) -> preparation.Prepared:
  """Prepares a raw folder as `launch.prepare` does."""
  work = bundle.with_name(bundle.name + '.work')
  opened = folder_lib.open_folder(raw)
  with work_lib.opened(work):
    prepared = preparation.prepare(
      opened,
      options,
      work=work,
      runner=runner or runner_lib.LocalRunner(1),
      sizes=sizes or options_lib.Sizes(),
      report=bundle.with_name(bundle.name + '.report'),
      fitted=fitted,
    )
    output.write_bundle(prepared, bundle, records=records)
  return prepared


def content(folder: pathlib.Path) -> dict[str, bytes]:
  """The bytes of all files of a folder."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }


def post(**fields: Any) -> dict[str, Any]:
  """A post of ann."""
  return {
    'account_id': 'ann',
    'post_id': '1',
    'timestamp': 1_700_000_000,
    'caption': '',
    **fields,
  }


def write_posts(folder: pathlib.Path, posts: list[Any]) -> None:
  """Writes `posts.jsonl`; a text is a line as it is."""
  lines = [p if isinstance(p, str) else json.dumps(p) for p in posts]
  (folder / 'posts.jsonl').write_text('\n'.join(lines) + '\n', 'utf-8')


def write_tables(folder: pathlib.Path, *, followers: str = '') -> pathlib.Path:
  """Writes two brands, two influencers and who worked for whom."""
  folder.mkdir(exist_ok=True)
  (folder / 'accounts.csv').write_text(
    'account_id,role,category,split,biography\n'
    'nike,brand,shoes,train,sneakers for all\n'
    'lush,brand,makeup,test,fresh cosmetics\n'
    'ann,influencer,,,coffee lover and runner\n'
    'bob,influencer,,,barista\n'
  )
  (folder / 'interactions.csv').write_text(
    'brand_id,influencer_id\nnike,ann\nlush,bob\n'
  )
  if followers:
    (folder / 'followers.csv').write_text(
      'account_id,follower_id\n' + followers
    )
  return folder
