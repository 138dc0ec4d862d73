r"""Trains a model, or resumes one, and prints how well it ranks.

Examples:
  python -m launch.train --config=configs/morning.py
  python -m launch.train --config=configs/morning.py:paper \
    --config.data.bundle=my_bundle --workdir=runs/mine
  python -m launch.train --config=configs/morning.py:paper \
    --config.data.bundle=my_bundle --config.data.folds=5

Started again on the same --workdir, it goes on where it stopped. SIGTERM makes
it save, say how to go on and end with code 0.
"""

from __future__ import annotations

import contextlib
import datetime

from absl import flags
import jax
import ml_collections

from launch import command_line
from launch import distributed
from morning_jax.core import multihost
from morning_jax.reporting import console
from morning_jax.training import config_check
from morning_jax.training import cross_validation
from morning_jax.training import termination
from morning_jax.training import train

_CONFIG = command_line.define_config()
_WORKDIR = flags.DEFINE_string(
  'workdir',
  None,
  'Where checkpoints, scalars and metrics.json go; a new folder under runs/'
  ' if unset. A folder with checkpoints is resumed.',
)


def main(argv: list[str]) -> None:
  """Runs the job that the flags name."""
  del argv
  distributed.join()
  config = _CONFIG.value
  config_check.check(config)  # before anything is loaded
  now = datetime.datetime.now().strftime('%Y%m%d-%H%M%S')
  workdir = _WORKDIR.value or multihost.text_of_first(f'runs/morning-{now}')
  # One of several can't leave the others: all stop where they agree on it.
  alone = jax.process_count() == 1
  stop = termination.raised if alone else termination.remembered
  finished = False
  with contextlib.suppress(termination.Stopped), stop():
    finished = _train(config, workdir)
  if not finished:
    console.say(
      f'stopped; to go on, run the same command with --workdir={workdir}'
    )


def _train(config: ml_collections.ConfigDict, workdir: str) -> bool:
  """Trains, in one fold or all; tells whether that is finished."""
  if config.data.folds and config.data.fold < 0:
    return cross_validation.cross_validate(config, workdir)
  finished = train.train(config, workdir).finished
  if finished:
    console.say(
      f'\nto evaluate it again: python -m launch.evaluate --workdir={workdir}'
    )
  return finished


if __name__ == '__main__':
  command_line.run(main)
