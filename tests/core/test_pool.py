"""Workers: what they do, and how they end."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from morning_jax.core import pool
from morning_jax.core import pool_worker

# Workers import this module: nothing heavy may be imported here.
ROOT = pathlib.Path(__file__).resolve().parents[2]


def double(item, offset):
  if item == 'wait':
    time.sleep(10_000)
  if item == 'raise':
    raise ValueError('of the function')
  if item == 'die':
    os._exit(3)
  return 2 * item + offset


def environment(item):
  del item
  blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
  return os.environ['NPROC'], signal.SIGINT in blocked, os.getpid()


def run(function, items, *arguments, jobs=2):
  return pool.run(
    function, items, arguments, jobs=jobs, environment={'NPROC': '1'}
  )


def children():
  """The processes that this one has started and not yet reaped."""
  path = pathlib.Path(f'/proc/self/task/{os.getpid()}/children')
  return set(path.read_text().split())


def test_every_item_is_answered():
  found = dict(run(double, [1, 2, 3, 4, 5], 100))
  assert found == {1: 102, 2: 104, 3: 106, 4: 108, 5: 110}


def test_workers_have_their_environment_and_hear_no_ctrl_c():
  ((_, (threads, deaf, process)),) = run(environment, [0])
  assert (threads, deaf) == ('1', True)
  assert process != os.getpid()
  assert 'NPROC' not in os.environ


def test_what_the_function_raises_is_told_with_its_traceback():
  with pytest.raises(
    RuntimeError, match=r'(?s)in double.*of the function'
  ) as e:
    list(run(double, ['raise'], 0))
  assert 'Traceback' in str(e.value)


def test_a_worker_that_dies_is_noticed():
  with pytest.raises(pool.WorkerDied):
    list(run(double, ['die', 1], 0))


def test_a_worker_that_can_not_be_started_is_noticed(monkeypatch):
  monkeypatch.setattr(sys, 'executable', '/nowhere/python')
  with pytest.raises(pool.WorkerDied):
    list(run(double, [1], 0))


def test_closing_ends_the_workers():
  before = children()
  answers = run(double, [1, 'wait', 'wait'], 0)
  assert next(answers) == (1, 2)
  assert len(children() - before) == 2
  answers.close()
  assert children() == before


@pytest.fixture
def worker():
  """A worker whose stderr can be read, and the parent's ends."""
  ours, theirs = pool.socket.socketpair()
  watched, life = os.pipe()
  with ours, theirs:
    process = subprocess.Popen(
      [
        *(sys.executable, '-m', pool_worker.__name__),
        *(str(theirs.fileno()), str(watched)),
      ],
      pass_fds=(theirs.fileno(), watched),
      stderr=subprocess.PIPE,
      text=True,
      cwd=ROOT,
      env=os.environ | {'PYTHONPATH': str(ROOT)},
    )
    theirs.close()
    os.close(watched)
    yield process, pool.connection.Connection(os.dup(ours.fileno())), life, ours
  process.kill()
  process.wait()


def close_pipe(pipe, life, ours):
  del life
  pipe.close()
  ours.close()


def close_life(pipe, life, ours):
  del pipe, ours
  os.close(life)


@pytest.mark.parametrize('close', [close_pipe, close_life])
@pytest.mark.parametrize('at', ['start', 'recv', 'function', 'send'])
def test_a_worker_that_is_not_wanted_any_more_says_nothing(worker, close, at):
  process, pipe, life, ours = worker
  if at != 'start':
    pipe.send((double, (0,)))
    pipe.send(1)
    assert pipe.recv() == (True, 2)
  if at == 'function' and close is close_life:
    pipe.send('wait')
  if at == 'send':
    pipe.send(1)
  close(pipe, life, ours)
  assert process.communicate(timeout=900) == (None, '')
  assert process.returncode == 0
