"""Launchers that run hundreds of command lines without hundreds of imports.

A server process imports one launcher, then forks for each command line: the
child runs it to its end as a process of its own would, exit code and all.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

from tests import runs


class Ended(NamedTuple):
  """How a command line ended.

  Attributes:
    code: exit code, below 0 for a signal; None where it hung and was killed.
    stdout: what it printed.
    stderr: what it printed there.
    left: processes that it left behind.
  """

  code: int | None
  stdout: str
  stderr: str
  left: list[int]


class Launcher:
  """A server that has imported `launch.<name>`."""

  def __init__(self, name: str):
    self._process = subprocess.Popen(
      [sys.executable, '-W', 'ignore', '-m', 'tests.attack.forked', name],
      cwd=runs.ROOT,
      env=runs.environment(),
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )

  def run(
    self,
    *args: str,
    folder: pathlib.Path,
    closed: int | None = None,
    seconds: float = 300,
  ) -> Ended:
    """Runs a command line in a folder.

    Args:
      *args: the command line, less the launcher.
      folder: where it runs.
      closed: a descriptor that it finds closed, as after `>&-`.
      seconds: how long it may take.
    """
    output = folder.parent / f'{folder.name}-output'
    output.mkdir()
    request = {
      'args': [os.fsencode(a).hex() for a in args],
      'folder': str(folder),
      'output': str(output),
      'closed': closed,
      'seconds': seconds,
    }
    assert self._process.stdin and self._process.stdout
    self._process.stdin.write(json.dumps(request) + '\n')
    self._process.stdin.flush()
    answer = json.loads(self._process.stdout.readline())
    texts = [
      (output / name).read_bytes().decode(errors='replace')
      for name in ('stdout', 'stderr')
    ]
    return Ended(answer['code'], *texts, answer['left'])

  def close(self) -> None:
    """Ends the server."""
    self._process.communicate()


def _child(name: str, module: Any, request: dict[str, Any]) -> None:
  """Becomes the process that a shell would have started."""
  os.setsid()
  signal.signal(signal.SIGINT, signal.default_int_handler)
  for number, stream in ((1, 'stdout'), (2, 'stderr')):
    file = os.open(
      os.path.join(request['output'], stream), os.O_WRONLY | os.O_CREAT
    )
    os.dup2(file, number)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  if request['closed']:
    # As Python finds it, and `launch` then leaves it.
    os.dup2(os.open(os.devnull, os.O_RDWR), request['closed'])
    setattr(sys, {1: 'stdout', 2: 'stderr'}[request['closed']], None)
  os.chdir(request['folder'])
  args = [os.fsdecode(bytes.fromhex(a)) for a in request['args']]
  sys.argv = [f'{runs.ROOT}/launch/{name}.py', *args]
  sys.orig_argv = [sys.executable, '-m', f'launch.{name}', *args]
  module.command_line.run(module.main, arguments=int(name == 'benchmark'))


def _sessions(session: int) -> list[int]:
  """The processes of a session, less those that only wait to be reaped."""
  found = []
  for folder in pathlib.Path('/proc').glob('[0-9]*'):
    try:
      state = (folder / 'stat').read_text().rpartition(')')[2].split()[0]
      if os.getsid(int(folder.name)) == session and state != 'Z':
        found.append(int(folder.name))
    except OSError:
      continue
  return found


def _wait(child: int, seconds: float) -> int | None:
  deadline = time.monotonic() + seconds
  while time.monotonic() < deadline:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
      return os.waitstatus_to_exitcode(status)
    time.sleep(0.01)
  return None


def _serve(name: str) -> None:
  import importlib

  module = importlib.import_module(f'launch.{name}')
  answers = os.fdopen(os.dup(1), 'w')
  for line in sys.stdin:
    request = json.loads(line)
    sys.stdout.flush()
    child = os.fork()
    if not child:
      _child(name, module, request)
    code = _wait(child, request['seconds'])
    deadline = time.monotonic() + 5
    left = _sessions(child)
    while code is not None and left and time.monotonic() < deadline:
      time.sleep(0.05)
      left = _sessions(child)
    for process in left:
      os.kill(process, signal.SIGKILL)
    if code is None:
      os.waitpid(child, 0)
    answers.write(json.dumps({'code': code, 'left': left}) + '\n')
    answers.flush()


if __name__ == '__main__':
  _serve(sys.argv[1])
