"""Two processes, of which one is killed: the other says so, and ends with 75.

All of them:
  pytest -m slow tests/attack/test_two_process_kill.py
MORNING_ATTACK_KILLS says how many (20), MORNING_ATTACK_SEED which ones (0).
"""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

from tests import runs
from tests.launch import test_distributed


def _children(parent: int) -> list[int]:
  text = pathlib.Path(f'/proc/{parent}/task/{parent}/children').read_text()
  return [int(x) for x in text.split()]


def _is_running(number: int) -> bool:
  try:
    state = pathlib.Path(f'/proc/{number}/stat').read_text()
  except OSError:
    return False
  return state.rpartition(')')[2].split()[0] != 'Z'


def _wait_for(condition, processes) -> None:
  deadline = time.monotonic() + runs.PATIENCE
  while not condition():
    assert time.monotonic() < deadline
    assert all(p.poll() is None for p in processes), [
      p.communicate() for p in processes
    ]
    time.sleep(0.02)


def kill_one(
  bundle: pathlib.Path,
  workdir: pathlib.Path,
  *,
  victim: int,
  how: str,
  saved: int,
  later: float,
) -> None:
  """Kills one of two processes, and demands what the other has to do.

  Args:
    bundle: what they train on.
    workdir: where.
    victim: which one is killed.
    how: 'all' of it, or its 'child', as for want of memory.
    saved: how many checkpoints there have to be; 0: as soon as it has begun.
    later: seconds after that.
  """
  processes = test_distributed.start_two(
    *test_distributed.arguments(bundle, workdir), '--config.train.epochs=1000'
  )
  try:
    if saved:
      step = 4 * saved
      _wait_for(lambda: runs.newest_step(workdir) >= step, processes)
    else:
      _wait_for(workdir.exists, processes)
    time.sleep(later)
    children = [_children(p.pid)[0] for p in processes]
    if how == 'child':
      os.kill(children[victim], signal.SIGKILL)
    else:
      processes[victim].kill()
    (code, _, stderr), (own, _, _) = (
      test_distributed.ends([processes[i]])[0] for i in (1 - victim, victim)
    )
    _gone(children)
  finally:
    for p in processes:
      with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        p.kill()
        p.communicate(timeout=runs.PATIENCE)
  assert code == 75, stderr
  what = 'killed, lost or hanging' if how == 'all' else 'ended by SIGKILL'
  assert runs.error_lines(stderr) == [
    f'error: process {victim} of 2 is gone ({what}); start all of them again'
  ]
  assert own == (-signal.SIGKILL if how == 'all' else 128 + signal.SIGKILL)
  assert not (workdir / 'metrics.json').exists()


def _gone(numbers: list[int]) -> None:
  """Waits until processes have ended that nobody here can wait for."""
  deadline = time.monotonic() + runs.PATIENCE
  while any(map(_is_running, numbers)) and time.monotonic() < deadline:
    time.sleep(0.02)
  assert not any(map(_is_running, numbers))


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@pytest.mark.slow
def test_the_first_is_killed(bundle, tmp_path):
  # It takes the coordinator along, upon which JAX aborts the other.
  kill_one(bundle, tmp_path / 'w', victim=0, how='all', saved=1, later=0)


@pytest.mark.slow
def test_any_is_killed_at_any_time(bundle, tmp_path):
  rng = random.Random(int(os.environ.get('MORNING_ATTACK_SEED', '0')))
  for number in range(int(os.environ.get('MORNING_ATTACK_KILLS', '20'))):
    drawn = {
      'victim': rng.randrange(2),
      'how': rng.choice(['all', 'child']),
      'saved': rng.randrange(4),
      'later': rng.choice([0, rng.random()]),
    }
    print(number, drawn, flush=True)
    kill_one(bundle, tmp_path / str(number), **drawn)
