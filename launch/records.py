r"""Writes a bundle as ArrayRecord files, for data that is larger than memory.

Examples:
  python -m launch.records --bundle=my_bundle --output=my_records
  python -m launch.records --builder=brand_micro_influencer/synthetic \
    --output=world_records
  python -m launch.records --check=my_records

Every command takes the new folder where it takes a bundle, and reads its
features by account, never whole (docs/how-to/large-data.md). Of the same data,
both forms are the same bundle: models and runs go on with either.
"""

from __future__ import annotations

import pathlib
import shlex

from absl import flags

from launch import command_line
from morning_jax.core import errors
from morning_jax.data import packing
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.reporting import console

_BUNDLE = flags.DEFINE_string(
  'bundle', None, 'The bundle to read. Example: --bundle=my_bundle'
)
_BUILDER = flags.DEFINE_string(
  'builder',
  None,
  'Instead of --bundle: a TFDS data set. Example:'
  ' --builder=brand_micro_influencer/synthetic',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Of --builder: where TFDS keeps what it prepared.'
)
_OUTPUT = flags.DEFINE_string(
  'output',
  None,
  'Folder to write; it must not exist yet or be empty. Example:'
  ' --output=my_records',
)
_CHECK = flags.DEFINE_string(
  'check',
  None,
  'Instead of writing: read all records of this folder and compare them with'
  ' its index. Example: --check=my_records',
)
_FILE_MIB = flags.DEFINE_integer(
  'file_mib', 1024, 'MiB of a file, about.', lower_bound=1, upper_bound=1 << 20
)


def main(argv: list[str]) -> None:
  """Writes or checks the records that the flags name."""
  del argv
  sources = [f for f in (_BUNDLE, _BUILDER, _CHECK) if f.value is not None]
  if len(sources) != 1:
    raise errors.UserError('name one of --bundle, --builder, --check')
  if _BUILDER.value is None:
    command_line.refuse([_DATA_DIR], 'without --builder=NAME')
  if _CHECK.value is not None:
    command_line.refuse(
      (_OUTPUT, _FILE_MIB), 'beside --check: nothing is written'
    )
    count = packing.check(_CHECK.value)
    console.say(f'{_CHECK.value}: the records of {count:,} accounts are whole')
    return
  if _OUTPUT.value is None:
    raise errors.UserError('--output=DIR: name the folder to write')
  folder = pathlib.Path(_OUTPUT.value)
  try:
    bundle_lib.check_new(folder)  # known before the long reading
  except errors.UserError as e:
    raise errors.UserError(f'--output={e}') from None
  if _BUNDLE.value is not None:
    dataset = bundle_lib.read_bundle(_BUNDLE.value, mapped=True)
  else:
    # TFDS takes a second to import.
    from morning_jax.data.tfds import loader

    dataset = loader.load(_BUILDER.value or '', data_dir=_DATA_DIR.value)
  console.notes(dataset.notes)
  packing.pack(dataset, folder, file_bytes=_FILE_MIB.value << 20)
  sizes = ', '.join(f'{f} {n}' for f, n in dataset.feature_sizes.items())
  console.say(
    f'{folder}: written, {len(dataset.accounts):,} accounts ({sizes})'
  )
  console.say('next:')
  console.say(
    '  python -m launch.train --config=configs/morning.py'
    f' --config.data.bundle={shlex.quote(str(folder))}'
    ' --config.data.placement=stream'
  )


if __name__ == '__main__':
  command_line.run(main)
