"""A comparison that is stopped or killed leaves no process behind."""

import contextlib
import json
import os
import signal
import subprocess
import time

import pytest

from tests import runs
from tests.comparison import processes


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
  process = processes.start(
    bundle, workdir, '--methods=similarity', '--seeds=10000', '--folds=2'
  )
  try:
    # Of two workers one has a result, and both are at the next.
    assert processes.wait(lambda: processes.results(workdir))
    assert len(processes.alive(process.pid)) >= 3
    stop(process)
    stdout, stderr = process.communicate(timeout=600)
    assert processes.wait(lambda: not processes.alive(process.pid))
  finally:
    processes.end(process)
  assert process.returncode == code, stderr
  for path in processes.results(workdir):
    json.loads(path.read_text())
  assert 'Traceback' not in stderr
  if code == 130:
    assert stderr.splitlines()[-1] == 'stopped from the keyboard'
  if name in ('SIGTERM', 'Ctrl-C'):
    last = stdout.splitlines()[-1]
    assert last.startswith('stopped; what is finished is stored: go on with')
    assert last.endswith(f'--workdir={workdir}')
