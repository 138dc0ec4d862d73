"""Comparisons in processes of their own, and what is left of them."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

from tests import runs


def start(bundle, workdir, *args):
  """Starts a comparison with two workers, in a session of its own."""
  return subprocess.Popen(
    runs.command(
      f'--bundle={bundle}',
      '--jobs=2',
      f'--workdir={workdir}',
      *args,
      module='compare',
    ),
    env=runs.environment(),
    cwd=runs.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
    # Tests that run in the background ignore it, and so would this.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )


def end(process):
  """Kills what is left of a session."""
  with contextlib.suppress(ProcessLookupError):
    os.killpg(process.pid, signal.SIGKILL)
  process.wait()


def alive(session):
  """The processes of a session, less those that only wait to be reaped."""
  found = []
  for folder in pathlib.Path('/proc').glob('[0-9]*'):
    with contextlib.suppress(OSError):
      state = (folder / 'stat').read_text().rpartition(')')[2].split()[0]
      if os.getsid(int(folder.name)) == session and state != 'Z':
        found.append(int(folder.name))
  return found


def wait(condition, *, seconds=600):
  """Waits for a condition; the time is for a machine that has much to do."""
  deadline = time.monotonic() + seconds
  while not condition():
    if time.monotonic() > deadline:
      return False
    time.sleep(0.02)
  return True


def results(workdir):
  """The files of finished trials."""
  return list(workdir.glob('parts/*/[!.]*.json'))
