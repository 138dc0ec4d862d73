r"""Prepares posts: from a raw folder to a bundle that is trained on.

Examples:
  python -m launch.prepare --raw=my_posts --bundle=my_bundle \
    --weights=weights --download
  python -m launch.prepare --embedded --raw=world_posts
  python -m launch.prepare --raw=world_posts --bundle=world_bundle \
    --image_encoder=pattern:60,24
  python -m launch.prepare --import=instaloader --source=saved --raw=my_posts
  python -m launch.prepare --raw=new_brand --fitted=my_bundle \
    --brand_files=new_brand_files

A raw folder has accounts.csv, posts.jsonl or posts.parquet and, as far as there
are any, followers.csv, interactions.csv and pictures; docs/prepare.md says what
is in them. The work goes by shards: killed, the same command goes on where it
was. Needs pip install 'morning_jax[prepare]'.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shlex

from absl import flags

from launch import command_line
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.data.synthetic import options as world_options
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import options as options_lib
from morning_jax.features import output
from morning_jax.features import preparation
from morning_jax.features import work as work_lib
from morning_jax.features.embedded import writing as embedded
from morning_jax.features.images import options as image_options
from morning_jax.features.importers import writing as importing
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.stages import beam as beam_lib
from morning_jax.features.stages import runner as runner_lib
from morning_jax.features.text import options as text_options
from morning_jax.features.topics import options as topic_options
from morning_jax.reporting import console

_RAW = flags.DEFINE_string(
  'raw', None, 'The raw folder. Example: --raw=my_posts', required=True
)
_BUNDLE = flags.DEFINE_string(
  'bundle',
  None,
  'Folder to write; it must not exist yet or be empty.'
  ' Example: --bundle=my_bundle',
)
_BRAND_FILES = flags.DEFINE_string(
  'brand_files',
  None,
  'With --fitted: folder to write, with a file for each brand, which'
  ' launch.recommend --brand_file takes. Example: --brand_files=new_brands',
)
_FITTED = flags.DEFINE_string(
  'fitted',
  None,
  'Take topics, vocabularies and attributes from the bundle of an earlier'
  ' preparation, so that a model trained on it can rank these accounts.'
  ' Example: --fitted=my_bundle',
)
_EMBEDDED = flags.DEFINE_bool(
  'embedded', False, 'Write the embedded world as a raw folder, and end.'
)
_WORLD = flags.DEFINE_enum(
  'world',
  'small',
  ['small', 'full'],
  'Of --embedded: the world of configs/morning.py:smoke, or the default one.',
)
_WORK = flags.DEFINE_string(
  'work',
  None,
  'Folder that keeps the results of shards; by default the bundle with .work'
  ' behind its name, which is removed in the end. Example: --work=/tmp/shards',
)
_REPORT = flags.DEFINE_string(
  'report',
  None,
  'Folder for what a person may look at: words that no table has, pictures that'
  ' could not be read; the bundle with .report behind its name if unset.',
)
_WORKERS = flags.DEFINE_integer(
  'workers',
  None,
  'Processes; one for each core if unset.',
  lower_bound=1,
  upper_bound=1024,
)
_RUNNER = flags.DEFINE_string(
  'runner',
  None,
  'Who does shards: this machine if unset, or the name of a runner of Apache'
  ' Beam (docs/prepare.md). Example: --runner=FnApiRunner',
)
_BEAM = flags.DEFINE_multi_string(
  'beam',
  [],
  'Of --runner: an option of Beam, as often as needed. Example:'
  ' --beam=--direct_num_workers=2',
)
_IMPORT = flags.DEFINE_string(
  'import',
  None,
  'Write the raw folder from what another program saved, and end:'
  f' {", ".join(sorted(importing.IMPORTERS))}, or one that MORNING_PLUGINS'
  ' adds. Example: --import=instaloader',
)
_SOURCE = flags.DEFINE_string(
  'source', None, 'Of --import: the folder or file that it saved.'
)
_PICTURES = flags.DEFINE_string(
  'pictures',
  None,
  'Of --import=apify and graph_api: folder of pictures, SHORTCODE.jpg or'
  ' ID.jpg, SHORTCODE_1.jpg and so on.',
)
_TABLES = {
  name: flags.DEFINE_string(f'{name}_table', None, f'Of --import: {text}')
  for name, text in (
    (
      'accounts',
      'a table account_id,role,category,split; without one, whoever paid for a'
      ' post is a training brand.',
    ),
    ('followers', 'a table account_id,follower_id.'),
    ('interactions', 'a table brand_id,influencer_id; sponsors tell without.'),
  )
}
_SHARD_SIZE = flags.DEFINE_integer(
  'shard_size',
  options_lib.Sizes.profiles,
  'Profiles of a shard; changes nothing about the bundle.',
  lower_bound=1,
)
_SKIP_BAD = flags.DEFINE_bool(
  'skip_bad', False, 'Count posts that are wrong and go on.'
)
_POSTS = options_lib.PostOptions()
_TEXT = text_options.TextOptions()
_WORDS = text_options.VocabularyOptions()
_LDA = topic_options.LdaOptions()
_IMAGES = image_options.ImageOptions()
_POSTS_OF = {
  name: flags.DEFINE_integer(flag, default, text, lower_bound=1)
  for name, flag, default, text in (
    ('content', 'posts', _POSTS.content, 'Newest posts of an account.'),
    (
      'followers',
      'followers',
      _POSTS.followers,
      'Followers of an account, the first ones that have posts.',
    ),
    (
      'of_follower',
      'follower_posts',
      _POSTS.of_follower,
      'Newest posts of a follower.',
    ),
  )
}
_TAGGER = flags.DEFINE_string(
  'tagger',
  _TEXT.tagger,
  'Who tells nouns: hanta, none, or spacy:NAME. Example:'
  ' --tagger=spacy:en_core_web_sm',
)
_LANGUAGE = flags.DEFINE_string(
  'language', None, 'Language of all captions; each account by itself if unset.'
)
_MIN_COUNT = flags.DEFINE_integer(
  'min_count',
  _WORDS.min_accounts,
  'Training accounts that use a word of a topic, at least.',
)
_MAX_SHARE = flags.DEFINE_float(
  'max_share',
  _WORDS.max_share,
  'Share of the training accounts that use a word of a topic, at most.',
)
_TOPICS, _AUDIENCE_TOPICS = (
  flags.DEFINE_string(
    name, 'auto', f'{text}: a number, or auto. Example: --{name}={example}'
  )
  for name, text, example in (
    ('topics', 'Topics of captions', 22),
    ('audience_topics', "Topics of the audience's captions", 21),
  )
)
_GRID = flags.DEFINE_list(
  'topic_grid',
  list(map(str, options_lib.TopicOptions.grid)),
  'Of auto: the numbers of topics to choose among.',
)
_PASSES = flags.DEFINE_integer(
  'passes', _LDA.passes, 'Passes over the documents to learn topics.'
)
_SEED = flags.DEFINE_integer('seed', _LDA.seed, 'Seed of the topics.')
_ENCODER = flags.DEFINE_string(
  'image_encoder',
  _IMAGES.encoder,
  'What sees pictures (docs/prepare.md has the table); none leaves pictures'
  ' out. Example: --image_encoder=pattern:60,24',
)
_WEIGHTS = flags.DEFINE_string(
  'weights', None, 'Folder of the weights of image encoders.'
)
_DOWNLOAD = flags.DEFINE_bool(
  'download', False, 'Download weights that are not in the folder.'
)
_THRESHOLD = flags.DEFINE_float(
  'threshold',
  _IMAGES.threshold,
  'Confidence below which a class of a picture does not count.',
  lower_bound=0.0,
  upper_bound=1.0,
)
_MIN_ATTRIBUTE = flags.DEFINE_integer(
  'min_attribute',
  options_lib.AttributeOptions.min_accounts,
  'Training accounts that have an attribute, at least.',
)
_IS_A = flags.DEFINE_string(
  'is_a', None, 'Table word,parent of biographies; the one that ships if unset.'
)
_WORDNET = flags.DEFINE_string(
  'wordnet', None, "Folder of WordNet's data.noun and index.noun."
)
# What --fitted decides.
_LEARNED = (
  *('posts', 'followers', 'follower_posts', 'tagger', 'language', 'min_count'),
  *('max_share', 'topics', 'audience_topics', 'topic_grid', 'passes', 'seed'),
  *('threshold', 'min_attribute', 'is_a', 'wordnet'),
)


def _number(flag: str, text: str, *, least: int = 2) -> int:
  if not (text.isascii() and text.isdigit()) or len(text) > 6:
    raise errors.UserError(
      f'--{flag}={errors.quoted(text, limit=40)}: is no whole number'
    )
  if int(text) < least:
    raise errors.UserError(f'--{flag}={text}: is less than {least}')
  return int(text)


def _topics(flag: str, text: str) -> int | None:
  return None if text == 'auto' else _number(flag, text)


def _options() -> options_lib.Options:
  images = None
  if _ENCODER.value != 'none':
    images = image_options.ImageOptions(
      encoder=_ENCODER.value,
      weights=_WEIGHTS.value,
      download=_DOWNLOAD.value,
      threshold=_THRESHOLD.value,
    )
  grid = sorted({_number('topic_grid', text) for text in _GRID.value})
  if not grid:
    raise errors.UserError('--topic_grid: names no number')
  return options_lib.Options(
    posts=options_lib.PostOptions(
      **{name: flag.value for name, flag in _POSTS_OF.items()}
    ),
    text=dataclasses.replace(
      _TEXT, tagger=_TAGGER.value, language=_LANGUAGE.value
    ),
    topics=options_lib.TopicOptions(
      content=_topics('topics', _TOPICS.value),
      audience=_topics('audience_topics', _AUDIENCE_TOPICS.value),
      grid=tuple(grid),
      vocabulary=dataclasses.replace(
        _WORDS, min_accounts=_MIN_COUNT.value, max_share=_MAX_SHARE.value
      ),
      lda=dataclasses.replace(_LDA, passes=_PASSES.value, seed=_SEED.value),
    ),
    images=images,
    attributes=options_lib.AttributeOptions(
      min_accounts=_MIN_ATTRIBUTE.value,
      is_a=pathlib.Path(_IS_A.value) if _IS_A.value else None,
      wordnet=pathlib.Path(_WORDNET.value) if _WORDNET.value else None,
    ),
    skip_bad=_SKIP_BAD.value,
  )


def _check_new(flag: str, folder: str) -> None:
  try:
    bundle_lib.check_new(folder)
  except errors.UserError as e:
    raise errors.UserError(f'--{flag}={e}') from None


def _write_embedded() -> None:
  """Writes the embedded world as a raw folder."""
  _check_new('raw', _RAW.value)
  world = (
    world_options.small() if _WORLD.value == 'small' else world_options.World()
  )
  dataset = embedded.write(world, _RAW.value, embedded.PostOptions())
  console.say(
    f'{_RAW.value}: written, the posts of {len(dataset.accounts):,} accounts'
    ' and their followers'
  )
  console.say('next:')
  console.say(
    f'  python -m launch.prepare --raw={shlex.quote(_RAW.value)}'
    f' --bundle=my_bundle --image_encoder={embedded.encoder_of(world)}'
    f' --topics={world.content_topics}'
    f' --audience_topics={world.audience_topics}'
  )


def _import() -> None:
  """Writes a raw folder from what another program saved."""
  if not _SOURCE.value:
    raise errors.UserError('--import: needs --source, what was saved')
  _check_new('raw', _RAW.value)
  places = {
    name: pathlib.Path(flag.value) if flag.value else None
    for name, flag in _TABLES.items()
  }
  for name, place in places.items():
    if place is not None and not place.is_file():
      raise errors.UserError(f'--{name}_table={place}: is no file')
  source = pathlib.Path(_SOURCE.value)
  if not source.exists():
    raise errors.UserError(f'--source={source}: is not there')
  pictures = pathlib.Path(_PICTURES.value) if _PICTURES.value else None
  done = importing.write(
    importing.reader(str(_IMPORT.value))(source, pictures),
    _RAW.value,
    importing.Tables(**places),
    skip_bad=_SKIP_BAD.value,
  )
  console.say(
    f'{_RAW.value}: written, {done.posts:,} posts with {done.pictures:,}'
    ' pictures'
  )
  for count, text in (
    (done.missing, 'pictures of posts are no files'),
    (done.left_out, 'posts are of profiles that are in no table'),
    (done.bad, f'posts are skipped, the first: {done.first_bad}'),
  ):
    if count:
      console.note(f'{count:,} {text}')
  console.say('next: see to accounts.csv, its splits above all, then')
  console.say(
    f'  python -m launch.prepare --raw={shlex.quote(_RAW.value)}'
    ' --bundle=my_bundle --weights=weights --download'
  )


def _runner() -> runner_lib.Runner:
  if _RUNNER.value is None:
    if _BEAM.value:
      raise errors.UserError('--beam: is of --runner, which is not given')
    return runner_lib.LocalRunner(_WORKERS.value or runner_lib.cores())
  beam_lib.check(_RUNNER.value)
  return beam_lib.BeamRunner(_RUNNER.value, tuple(_BEAM.value))


def _say_what_is_in_it(dataset: accounts_lib.Dataset) -> None:
  a, pairs = dataset.accounts, dataset.positives_Px2
  for split in accounts_lib.SPLITS:
    brands = int((a.splits == split).sum())
    if brands:
      mine = int((a.splits[pairs[:, 0]] == split).sum())
      console.say(f'  {split}: {brands:,} brands, {mine:,} positives')
  sizes = ', '.join(f'{f} {n}' for f, n in dataset.feature_sizes.items())
  console.say(f'  features: {sizes or "none"}')
  if dataset.attributes is not None:
    console.say(
      f'  attributes: {len(dataset.attributes.names_V):,}, held'
      f' {len(dataset.attributes.holder):,} times'
    )


def main(argv: list[str]) -> None:
  """Prepares what the flags name."""
  del argv
  if _EMBEDDED.value:
    _write_embedded()
    return
  if _IMPORT.value:
    _import()
    return
  target = _BUNDLE.value or _BRAND_FILES.value
  if not target or (_BUNDLE.value and _BRAND_FILES.value):
    raise errors.UserError('name one of --bundle and --brand_files')
  if _BRAND_FILES.value and not _FITTED.value:
    raise errors.UserError(
      '--brand_files: needs --fitted, the bundle that the model was trained on'
    )
  options, runner = _options(), _runner()
  fitted = None
  if _FITTED.value:
    for name in _LEARNED:
      if flags.FLAGS[name].present:
        raise errors.UserError(
          f'--{name}: --fitted decides that; leave the flag out'
        )
    fitted = fitted_lib.load(pathlib.Path(_FITTED.value))
  _check_new('bundle' if _BUNDLE.value else 'brand_files', target)
  raw = folder_lib.open_folder(_RAW.value, complete=bool(_BUNDLE.value))
  plain = target.rstrip('/')
  work = pathlib.Path(_WORK.value or f'{plain}.work')
  report = pathlib.Path(_REPORT.value or f'{plain}.report')
  with work_lib.opened(work):
    prepared = preparation.prepare(
      raw,
      options,
      work=work,
      runner=runner,
      sizes=options_lib.Sizes(profiles=_SHARD_SIZE.value),
      report=report,
      fitted=fitted,
    )
    console.notes(prepared.dataset.notes)
    if _BUNDLE.value:
      output.write_bundle(prepared, _BUNDLE.value)
      console.say(f'{_BUNDLE.value}: written')
      _say_what_is_in_it(prepared.dataset)
    else:
      written = output.write_brand_files(prepared, target)
      console.say(f'{target}: {len(written):,} brands written')
    output.write_report(prepared.report, report)
  if not _WORK.value:
    work_lib.remove(work)
  console.say(
    f'  {report}: {len(prepared.report.left_over):,} words that no table has,'
    f' {len(prepared.report.unreadable):,} pictures that could not be read'
  )
  console.say('next:')
  if _BUNDLE.value:
    console.say(
      '  python -m launch.train --config=configs/morning.py'
      f' --config.data.bundle={shlex.quote(_BUNDLE.value)}'
    )
  else:
    console.say(
      '  python -m launch.recommend --workdir=...'
      f' --brand_file={shlex.quote(str(written[0]))}'
    )


if __name__ == '__main__':
  command_line.run(main)
