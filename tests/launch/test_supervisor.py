"""Supervisors of processes without JAX: who is gone, in one line."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from launch import supervisor
from tests import runs

# A process of two: joins as `launch.supervised` does, says it is ready by a
# file, then does what it is told to.
_CHILD = r"""
import json, os, pathlib, signal, socket, sys, time
index, folder, work = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
told = json.loads(os.environ['MORNING_JAX_SUPERVISOR'])
sys.stderr = os.fdopen(told['stderr'], 'w')
control = socket.socket(fileno=told['control'])
def send(**message):
  control.sendall(json.dumps(message).encode() + b'\n')
meeting = folder / 'meeting'
if index == 0:
  draft = folder / 'draft'
  draft.write_text(json.dumps({'port': told['port'], 'token': told['token']}))
  draft.rename(meeting)
while not meeting.exists():
  time.sleep(0.01)
send(joined=index, count=2, host='127.0.0.1', **json.loads(meeting.read_text()))
(folder / f'ready-{index}').write_text(str(os.getpid()))
def wait_for(name):
  while not (folder / name).exists():
    time.sleep(0.01)
def noise():
  os.write(2, b'E0101 coordination service agent: a page of text\n' * 60)
exec(work)
"""
_WAIT = 'time.sleep(1000)'
_ABORT = """
noise()
os.write(2, b'the JAX distributed service detected fatal errors. %s')
os.abort()
"""
# A supervisor that waits less for what these tests let it wait for in vain.
_IMPATIENT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location('supervisor', sys.argv.pop(1))
supervisor = importlib.util.module_from_spec(spec)
spec.loader.exec_module(supervisor)
supervisor.GRACE_SECONDS /= 10
supervisor.NEWS_SECONDS /= 10
supervisor.main()
"""


def start(folder: pathlib.Path, index: int, work: str, patient: bool = True):
  return subprocess.Popen(
    [
      *(sys.executable, '-I', *(() if patient else ('-c', _IMPATIENT))),
      supervisor.__file__,
      *(sys.executable, '-c', _CHILD, str(index), str(folder), work),
    ],
    stderr=subprocess.PIPE,
    text=True,
    cwd=runs.ROOT,
  )


def start_two(folder, first: str, second: str, patient: bool = True):
  """Starts two supervisors, and waits until their children have met."""
  both = start(folder, 0, first, patient), start(folder, 1, second, patient)
  deadline = time.monotonic() + runs.PATIENCE
  while len(list(folder.glob('ready-*'))) < 2:
    assert time.monotonic() < deadline
    time.sleep(0.01)
  time.sleep(0.5)  # the connection is made after the message
  return both


def end(process) -> tuple[int, str]:
  _, stderr = process.communicate(timeout=runs.PATIENCE)
  # After one that was ended at work there may be an unfinished line.
  return process.returncode, stderr.removeprefix('\n')


def pid(folder, index: int) -> int:
  return int((folder / f'ready-{index}').read_text())


def is_running(number: int) -> bool:
  try:
    state = pathlib.Path(f'/proc/{number}/stat').read_text()
  except OSError:
    return False
  return state.rpartition(')')[2].split()[0] != 'Z'


@pytest.mark.parametrize('who', [0, 1])
def test_one_that_is_killed_ends_the_other(tmp_path, who):
  both = start_two(tmp_path, 'noise(); time.sleep(1000)', _WAIT)
  child = pid(tmp_path, who)
  both[who].kill()
  code, line = end(both[1 - who])
  assert (code, line) == (
    75,
    f'error: process {who} of 2 is gone (killed, lost or hanging); start all'
    ' of them again\n',
  )
  assert not is_running(pid(tmp_path, 1 - who))
  os.kill(child, signal.SIGKILL)  # here nothing of it watches for its parent
  end(both[who])


def test_a_child_that_is_killed_is_told_by_its_parent(tmp_path):
  both = start_two(tmp_path, _WAIT, _WAIT)
  os.kill(pid(tmp_path, 1), signal.SIGKILL)
  assert end(both[0]) == (
    75,
    'error: process 1 of 2 is gone (ended by SIGKILL); start all of them'
    ' again\n',
  )
  assert end(both[1]) == (
    137,
    'error: this process was killed, perhaps for want of memory\n',
  )


def test_a_mistake_of_one_is_told_by_both(tmp_path):
  both = start_two(
    tmp_path,
    _WAIT,
    "wait_for('go'); send(said='x/stream: no');"
    " print('error: x/stream: no', file=sys.stderr, flush=True); sys.exit(2)",
    patient=False,
  )
  (tmp_path / 'go').touch()
  assert end(both[1]) == (2, 'error: x/stream: no\n')
  assert end(both[0]) == (2, 'error: process 1: x/stream: no\n')


def test_a_mistake_of_all_is_told_once_by_each(tmp_path):
  work = (
    "wait_for('go'); time.sleep(index); send(said='no');"
    " print('error: no', file=sys.stderr, flush=True); sys.exit(2)"
  )
  both = start_two(tmp_path, work, work)
  (tmp_path / 'go').touch()
  assert [end(p) for p in both] == [(2, 'error: no\n')] * 2


def test_a_mistake_of_all_is_told_once_by_one_that_hangs(tmp_path):
  work = (
    "wait_for('go'); send(failing=True); send(said='no', code=2);"
    " print('error: no', file=sys.stderr, flush=True); {}"
  )
  both = start_two(
    tmp_path,
    work.format(_WAIT),
    work.format('time.sleep(1); sys.exit(2)'),
    patient=False,
  )
  (tmp_path / 'go').touch()
  done = [(p.communicate()[1], p.returncode) for p in both]
  assert done == [('error: no\n', 2)] * 2


def test_an_error_for_another_ones_mistake_is_not_told(tmp_path):
  both = start_two(
    tmp_path,
    # As `supervised.wait_for_news` does before a traceback.
    "wait_for('go'); send(failing=True); time.sleep(5); noise()",
    "wait_for('go'); send(said='no'); sys.exit(2)",
  )
  (tmp_path / 'go').touch()
  assert end(both[0]) == (2, 'error: process 1: no\n')
  assert end(both[1]) == (2, '')


def test_an_abort_for_another_ones_end_is_one_line(tmp_path):
  # The first takes the coordinator along; JAX may be faster than the news.
  both = start_two(
    tmp_path,
    "wait_for('go'); time.sleep(1); os.kill(os.getpid(), 9)",
    f"wait_for('go'); {_ABORT}",
  )
  (tmp_path / 'go').touch()
  assert end(both[1]) == (
    75,
    'error: process 0 of 2 is gone (ended by SIGKILL); start all of them'
    ' again\n',
  )
  end(both[0])


def test_one_that_hangs_is_named_by_jax(tmp_path):
  both = start_two(
    tmp_path,
    f"wait_for('go'); {_ABORT}".replace('%s', '/job:jax_worker/task:1'),
    _WAIT,
    patient=False,
  )
  (tmp_path / 'go').touch()
  line = (
    'error: process 1 of 2 is gone (killed, lost or hanging); start all of'
    ' them again\n'
  )
  assert end(both[0]) == (75, line)
  # Its own child is alive, yet useless.
  assert end(both[1])[0] == 75
  assert not is_running(pid(tmp_path, 1))


def test_a_crash_of_its_own_keeps_its_text(tmp_path):
  both = start_two(
    tmp_path, "wait_for('go'); noise(); os.abort()", _WAIT, patient=False
  )
  (tmp_path / 'go').touch()
  code, text = end(both[0])
  assert code == 134 and text.count('a page of text') == 60
  assert end(both[1]) == (
    75,
    'error: process 0 of 2 is gone (ended by SIGABRT); start all of them'
    ' again\n',
  )


def test_one_that_is_done_is_no_loss(tmp_path):
  both = start_two(
    tmp_path,
    "wait_for('go')",
    "wait_for('on'); os.write(2, b'a warning\\n')",
  )
  (tmp_path / 'go').touch()
  assert end(both[0]) == (0, '')
  assert both[1].poll() is None
  (tmp_path / 'on').touch()
  assert end(both[1]) == (0, 'a warning\n')


def test_sigterm_reaches_the_child(tmp_path):
  work = (
    'signal.signal(15, lambda *_: sys.exit(0));'
    " (folder / 'handled').touch(); time.sleep(1000)"
  )
  both = start_two(tmp_path, work, work)
  while len(list(tmp_path.glob('handled'))) < 1:
    time.sleep(0.01)
  for process in both:
    process.terminate()
  assert [end(p) for p in both] == [(0, '')] * 2


def test_strangers_are_not_heard(tmp_path):
  both = start_two(tmp_path, "wait_for('go')", "wait_for('go')")
  import socket

  meeting = json.loads((tmp_path / 'meeting').read_text())
  for text in (b'{"gone": 1, "code": 9, "said": "x"}\n', b'\xff[}\n'):
    with socket.create_connection(('127.0.0.1', meeting['port'])) as stranger:
      stranger.sendall(text)
      assert stranger.recv(1) == b''
  (tmp_path / 'go').touch()
  assert [end(p) for p in both] == [(0, '')] * 2


@pytest.mark.parametrize(
  ('args', 'code'), [([], 2), (['--help'], 0), (['--nonsense', 'x'], 2)]
)
def test_without_a_command_it_says_what_it_is_for(
  args, code, monkeypatch, capsys
):
  monkeypatch.setattr(sys, 'argv', ['supervisor.py', *args])
  with pytest.raises(SystemExit) as ended:
    supervisor.main()
  assert ended.value.code == code
  assert 'Runs one of several processes' in capsys.readouterr().out
