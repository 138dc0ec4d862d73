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

import pathlib

from absl import flags

from launch import command_line
from launch import feature_options
from morning_jax.core import errors
from morning_jax.features import options as options_lib
from morning_jax.features.importers import registry as importers
from morning_jax.features.importers import writing as importing

_RAW = flags.DEFINE_string(
  'raw', None, 'The raw folder. Example: --raw=my_posts', required=True
)
_BUNDLE = flags.DEFINE_string(
  'bundle',
  None,
  'Folder to write; it must not exist yet or be empty.'
  ' Example: --bundle=my_bundle',
)
_RECORDS = flags.DEFINE_bool(
  'records',
  False,
  'Of --bundle: write features as ArrayRecord files, for data larger than'
  ' memory (docs/how-to/large-data.md).',
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
  f' {", ".join(sorted(importers.IMPORTERS))}, or one that MORNING_PLUGINS'
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


def _check_task() -> None:
  """Checks that no flag is of another task than the one asked for.

  Raises:
    UserError: one is.
  """
  if not _EMBEDDED.value:
    command_line.refuse([_WORLD], 'without --embedded')
  if not _IMPORT.value:
    command_line.refuse(
      (_SOURCE, _PICTURES, *_TABLES.values()), 'without --import=PROGRAM'
    )
  for task in (_EMBEDDED, _IMPORT):
    if task.value:
      command_line.refuse(
        (*_OF_PREPARING, *feature_options.defined()),
        f'beside --{task.name}, which writes the raw folder and ends; prepare'
        ' it with a second command',
      )
  if _EMBEDDED.value:
    command_line.refuse([_IMPORT, _SKIP_BAD], 'beside --embedded')


_OF_PREPARING = (
  _BUNDLE,
  _RECORDS,
  _BRAND_FILES,
  _FITTED,
  _WORK,
  _REPORT,
  _WORKERS,
  _RUNNER,
  _BEAM,
  _SHARD_SIZE,
)


def _check_outputs() -> None:
  """Checks which flags go together."""
  if bool(_BUNDLE.value) == bool(_BRAND_FILES.value):
    raise errors.UserError('name one of --bundle and --brand_files')
  if _BRAND_FILES.value and not _FITTED.value:
    raise errors.UserError(
      '--brand_files: needs --fitted, the bundle that the model was trained on'
    )
  if _RECORDS.value and not _BUNDLE.value:
    raise errors.UserError('--records: is of --bundle')
  if _FITTED.value:
    for name in feature_options.LEARNED:
      if flags.FLAGS[name].present:
        raise errors.UserError(
          f'--{name}: --fitted decides that; leave the flag out'
        )


def main(argv: list[str]) -> None:
  """Prepares what the flags name."""
  del argv
  _check_task()
  try:
    from launch import preparing
  except ImportError as e:
    raise errors.UserError(
      f"needs {e.name}: run pip install 'morning_jax[prepare]'"
    ) from None
  if _EMBEDDED.value:
    preparing.write_embedded(_RAW.value, full=_WORLD.value == 'full')
    return
  if _IMPORT.value:
    if not _SOURCE.value:
      raise errors.UserError('--import: needs --source, what was saved')
    preparing.import_folder(
      _IMPORT.value,
      _SOURCE.value,
      _RAW.value,
      importing.Tables(
        **{n: pathlib.Path(f.value) for n, f in _TABLES.items() if f.value}
      ),
      pictures=_PICTURES.value,
      skip_bad=_SKIP_BAD.value,
    )
    return
  _check_outputs()
  preparing.prepare(
    preparing.Places(
      raw=_RAW.value,
      bundle=_BUNDLE.value,
      brand_files=_BRAND_FILES.value,
      fitted=_FITTED.value,
      work=_WORK.value,
      report=_REPORT.value,
      records=_RECORDS.value,
    ),
    feature_options.options(skip_bad=_SKIP_BAD.value),
    preparing.runner_of(_RUNNER.value, _BEAM.value, _WORKERS.value),
    options_lib.Sizes(profiles=_SHARD_SIZE.value),
  )


if __name__ == '__main__':
  command_line.run(main)
