r"""Proves on data of any size that memory stays bounded, command by command.

Example, which takes about 36 GB of disk for a while:
  python -m launch.large_data --folder=/mnt/disk/large --accounts=3000000

It writes a bundle of noise (two image features an account, 11 KB) as records,
trains an epoch, resumes for another, evaluates, encodes the catalogue and
recommends, each by its own command; prints the seconds and the peak of resident
memory of each; and deletes what it wrote. Beside a step from disk stands one of
a smaller data set in memory.
"""

from __future__ import annotations

import pathlib
import shutil

from absl import flags

from launch import command_line
from morning_jax.benchmarks import large_data
from morning_jax.core import errors
from morning_jax.reporting import console

_FOLDER = flags.DEFINE_string(
  'folder',
  None,
  'Folder to make, on the disk to measure; deleted in the end.',
  required=True,
)
_ACCOUNTS = flags.DEFINE_integer(
  'accounts',
  3_000_000,
  'How many accounts.',
  lower_bound=large_data.LEAST_ACCOUNTS,
)
_KEEP = flags.DEFINE_bool('keep', False, 'Leave the folder where it is.')
_SHOW = flags.DEFINE_bool('show', False, 'Print what the commands say too.')


def main(argv: list[str]) -> None:
  """Runs the stages and prints a line for each."""
  del argv
  folder = pathlib.Path(_FOLDER.value).absolute()
  try:
    folder.mkdir(parents=True)
  except FileExistsError:
    raise errors.UserError(
      f'--folder={folder}: is there already; name a new one'
    ) from None
  try:
    for stage in large_data.run(_ACCOUNTS.value, folder):
      if _SHOW.value:
        console.say(stage.said)
      said = f': {stage.said.strip()}' if stage.name.startswith('step') else ''
      console.say(
        f'{stage.name}: {stage.seconds:.1f} s, at most'
        f' {stage.peak_bytes / (1 << 30):.2f} GiB{said}'
      )
  finally:
    if not _KEEP.value:
      shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
  command_line.run(main)
