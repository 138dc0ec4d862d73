"""Comparisons that are killed go on, and end as if nothing had happened.

All of them:
  pytest -m slow tests/attack/test_compare_kills.py
MORNING_ATTACK_KILLS says how many (20), MORNING_ATTACK_SEED which ones (0).
"""

import json
import os
import pathlib
import random
import signal
import time

import pytest

from tests import runs
from tests.comparison import processes
from tests.comparison import setups

pytestmark = pytest.mark.skipif(
  not os.path.isdir('/proc/self'), reason='takes /proc'
)

FEW = ('--methods=random,similarity', '--seeds=8', '--folds=2')
UNTRAINED = ('--methods=random,similarity', '--seeds=20', '--folds=2')
TRAINED = ('--methods=random,similarity,morning', '--seeds=4', '--folds=2')
MOMENTS = ('the workers start', 'some are finished', 'all are finished')


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


def _workers(process):
  path = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children')
  try:
    return [int(x) for x in path.read_text().split()]
  except OSError:  # it has ended
    return []


def _wait_for(moment, process, workdir, rng, *, trials):
  """Waits for a moment of a comparison, or for its end."""
  before = len(processes.results(workdir))
  wanted = trials
  if moment == 'some are finished':
    wanted = rng.randint(min(before + 1, trials), trials)

  def has_come():
    if moment == 'the workers start':
      return len(_workers(process)) == 2
    return len(processes.results(workdir)) >= wanted

  assert processes.wait(lambda: has_come() or process.poll() is not None)
  time.sleep(rng.uniform(0, 0.5))


def run_to_the_end(bundle, workdir, options):
  """Runs a comparison undisturbed; returns all files of its folder."""
  process = processes.start(bundle, workdir, *options)
  try:
    _, stderr = process.communicate(timeout=3000)
  finally:
    processes.end(process)
  assert process.returncode == 0, stderr
  assert runs.error_lines(stderr) == []
  return setups.files_in(workdir)


def kill(bundle, workdir, options, rng, *, victim, moment, trials):
  """Starts a comparison, and kills it or one of its workers.

  Args:
    bundle: what it compares on.
    workdir: where; earlier results are there.
    options: of the comparison.
    rng: decides on the details.
    victim: 'comparison' or 'worker'.
    moment: of `MOMENTS`.
    trials: how many there are.

  Returns:
    Whether it was killed; else it had ended before.
  """
  process = processes.start(bundle, workdir, *options)
  try:
    _wait_for(moment, process, workdir, rng, trials=trials)
    victims = _workers(process) if victim == 'worker' else [process.pid]
    if victims and process.poll() is None:
      os.kill(rng.choice(victims), signal.SIGKILL)
    _, stderr = process.communicate(timeout=3000)
    assert processes.wait(lambda: not processes.alive(process.pid))
  finally:
    processes.end(process)
  assert 'Traceback' not in stderr and 'Exception' not in stderr
  for path in processes.results(workdir):
    json.loads(path.read_text())
  if process.returncode == 2:
    assert victim == 'worker'
    (line,) = runs.error_lines(stderr)
    assert line.startswith('error: --jobs=2: a worker died'), stderr
    assert len(line) <= 300
  elif process.returncode == 0:
    assert runs.error_lines(stderr) == []
  else:
    assert (process.returncode, victim) == (-signal.SIGKILL, 'comparison')
  return process.returncode != 0


def test_a_comparison_that_is_killed_gives_the_same(bundle, tmp_path):
  rng = random.Random(0)
  workdir = tmp_path / 'killed'
  assert kill(
    bundle, workdir, FEW, rng, victim='worker', moment=MOMENTS[1], trials=20
  )
  expected = run_to_the_end(bundle, tmp_path / 'whole', FEW)
  assert run_to_the_end(bundle, workdir, FEW) == expected
  assert len(processes.results(workdir)) == 32


@pytest.mark.slow
@pytest.mark.parametrize('options', [UNTRAINED, TRAINED])
def test_killed_comparisons_give_the_same(bundle, tmp_path, options):
  rng = random.Random(int(os.environ.get('MORNING_ATTACK_SEED', '0')))
  expected = run_to_the_end(bundle, tmp_path / 'whole', options)
  trials = len(processes.results(tmp_path / 'whole'))
  left = int(os.environ.get('MORNING_ATTACK_KILLS', '20'))
  chain = 0
  while left > 0:
    # Kills in one folder, then an undisturbed run there.
    chain += 1
    workdir = tmp_path / str(chain)
    for _ in range(min(left, rng.randint(1, 4))):
      victim = rng.choice(('worker', 'comparison'))
      moment = rng.choice(MOMENTS)
      told = f'chain {chain}: the {victim} is killed when {moment}'
      left -= kill(
        bundle,
        workdir,
        options,
        rng,
        victim=victim,
        moment=moment,
        trials=trials,
      )
      print(told, flush=True)
    assert run_to_the_end(bundle, workdir, options) == expected
