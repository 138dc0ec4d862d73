"""A comparison that is stopped or killed leaves no process behind."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from tests import runs


def _alive(session):
  """The processes of a session, less those that only wait to be reaped."""
  found = []
  for folder in pathlib.Path('/proc').glob('[0-9]*'):
    with contextlib.suppress(OSError):
      state = (folder / 'stat').read_text().rpartition(')')[2].split()[0]
      if os.getsid(int(folder.name)) == session and state != 'Z':
        found.append(int(folder.name))
  return found


def _wait(condition, seconds):
  deadline = time.monotonic() + seconds
  while not condition() and time.monotonic() < deadline:
    time.sleep(0.05)
  return condition()


def _ctrl_c(process):
  os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them


def _ctrl_c_twice(process):
  _ctrl_c(process)
  time.sleep(0.05)
  with contextlib.suppress(ProcessLookupError):
    _ctrl_c(process)


STOPS = {
  'SIGTERM': (subprocess.Popen.terminate, 0),
  'SIGKILL': (subprocess.Popen.kill, -9),
  'Ctrl-C': (_ctrl_c, 130),
  'Ctrl-C twice': (_ctrl_c_twice, 130),
}


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@pytest.mark.skipif(not os.path.isdir('/proc/self'), reason='takes /proc')
@pytest.mark.parametrize('name', runs.slow_but({'SIGTERM'}, STOPS))
def test_no_process_outlives_a_comparison(bundle, tmp_path, name):
  stop, code = STOPS[name]
  workdir = tmp_path / 'out'
  process = subprocess.Popen(
    runs.command(
      f'--bundle={bundle}',
      '--methods=morning',
      '--seeds=100',
      '--folds=2',
      '--jobs=2',
      f'--workdir={workdir}',
      module='compare',
    ),
    env=runs.environment(),
    cwd=runs.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
    # Tests that run in the background are born deaf to it.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )
  try:
    # Of two workers one has a result, and both are at the next.
    assert _wait(lambda: list(workdir.glob('parts/*/*.json')), 240)
    assert len(_alive(process.pid)) >= 3
    stop(process)
    assert _wait(lambda: not _alive(process.pid), 10), _alive(process.pid)
    stdout, stderr = process.communicate(timeout=5)
  finally:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)
  assert process.returncode == code, stderr
  for path in workdir.glob('parts/*/*.json'):
    json.loads(path.read_text())
  assert 'Traceback' not in stderr
  if code == 130:
    assert stderr.splitlines()[-1] == 'stopped from the keyboard'
  if name in ('SIGTERM', 'Ctrl-C'):
    last = stdout.splitlines()[-1]
    assert last.startswith('stopped; what is finished is stored: go on with')
    assert last.endswith(f'--workdir={workdir}')
