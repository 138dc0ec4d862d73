"""What attacks share: how much of them runs, and what they demand."""

import os
import random

SEED = int(os.environ.get('MORNING_ATTACK_SEED', '0'))

LONGEST_LINE = 300


def rng(name: str) -> random.Random:
  """Returns the random numbers of one attack, by its name and the seed."""
  return random.Random(f'{name} {SEED}')


def lines(stderr: str) -> list[str]:
  """Returns the lines of stderr but those of a progress bar."""
  return [
    line
    for line in stderr.replace('\r', '\n').split('\n')
    if line.strip() and not line.startswith('training: ')
  ]


def assert_one_line(stderr: str) -> str:
  """Checks that an error is told in one line, and returns it."""
  found = lines(stderr)
  assert len(found) == 1, stderr
  assert found[0].startswith('error: '), stderr
  assert len(found[0]) <= LONGEST_LINE, stderr
  return found[0]
