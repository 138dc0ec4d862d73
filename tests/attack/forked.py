"""Launchers that run hundreds of command lines without hundreds of imports.

A server process imports one launcher, then forks for each command line: the
child runs it to its end as a process of its own would, exit code and all.
"""

import functools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from typing import Any, NamedTuple

from tests import forked
from tests import runs
from tests.attack import system_calls


class Aim(NamedTuple):
  """What happens to a command line at its operations on files.

  Attributes:
    folder: where operations count.
    number: how many happen before; None: all of them.
    error: what those after them get, as from a disk that is full for good; 0:
      the process is killed.
    only: kinds or roles of the operations that count; all, if empty.
  """

  folder: str
  number: int | None = None
  error: int = 0
  only: tuple[str, ...] = ()


class Ended(NamedTuple):
  """How a command line ended.

  Attributes:
    code: exit code, below 0 for a signal; None where it hung and was killed.
    stdout: what it printed.
    stderr: what it printed there.
    left: processes that it left behind.
    operations: on files, as far as an aim counted them.
  """

  code: int | None
  stdout: str
  stderr: str
  left: list[int]
  operations: list[system_calls.Operation]


class Launcher:
  """A server that has imported a launcher, by the name of its module."""

  def __init__(self, module: str):
    self._process = subprocess.Popen(
      [sys.executable, '-W', 'ignore', '-m', 'tests.attack.forked', module],
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
    aim: Aim | None = None,
    seconds: float = runs.PATIENCE,
  ) -> Ended:
    """Runs a command line in a folder.

    Args:
      *args: the command line, less the launcher.
      folder: where it runs.
      closed: a descriptor that it finds closed, as after `>&-`.
      aim: what happens at its operations on files.
      seconds: how long it may take.
    """
    output = folder.parent / f'{folder.name}-output'
    output.mkdir(exist_ok=True)
    request = {
      'args': [os.fsencode(a).hex() for a in args],
      'folder': str(folder),
      'output': str(output),
      'closed': closed,
      'aim': aim,
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
    operations = [system_calls.Operation(*x) for x in answer['operations']]
    return Ended(answer['code'], *texts, answer['left'], operations)

  def close(self) -> None:
    """Ends the server."""
    self._process.communicate()


def _child(
  name: str, module: Any, request: dict[str, Any], here: socket.socket
) -> None:
  """Becomes the process that a shell would have started."""
  os.setsid()
  signal.signal(signal.SIGINT, signal.default_int_handler)
  for number, stream in ((1, 'stdout'), (2, 'stderr')):
    file = os.open(
      os.path.join(request['output'], stream),
      os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    )
    os.dup2(file, number)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  if request['closed']:
    # As Python finds it, and `launch` then leaves it.
    os.dup2(os.open(os.devnull, os.O_RDWR), request['closed'])
    setattr(sys, {1: 'stdout', 2: 'stderr'}[request['closed']], None)
  os.chdir(request['folder'])
  args = [os.fsdecode(bytes.fromhex(a)) for a in request['args']]
  sys.argv = [module.__file__, *args]
  sys.orig_argv = [sys.executable, '-m', name, *args]
  if request['aim']:
    socket.send_fds(here, [b'x'], [system_calls.listen()])
  here.close()
  words = {'launch.benchmark': 1, 'tests.attack.saves': 2}
  module.command_line.run(module.main, arguments=words.get(name, 0))


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


class _Child:
  """A process that was forked here."""

  def __init__(self, number: int):
    self._number = number
    self.code: int | None = None

  def has_ended(self) -> bool:
    """Tells whether it has ended; then `code` is there."""
    if self.code is None:
      ended, status = os.waitpid(self._number, os.WNOHANG)
      if ended:
        self.code = os.waitstatus_to_exitcode(status)
    return self.code is not None

  def wait(self, seconds: float) -> None:
    """Waits for its end, but no longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while not self.has_ended() and time.monotonic() < deadline:
      time.sleep(0.01)

  def serve(
    self, aim: Aim, there: socket.socket, seconds: float
  ) -> list[system_calls.Operation]:
    """Waits for its end, and does to it what an aim says."""
    _, (listener, *_), _, _ = socket.recv_fds(there, 1, 1)
    operations: list[system_calls.Operation] = []

    def answer(operation: system_calls.Operation) -> int:
      if aim.only and not {operation.kind, operation.role} & {*aim.only}:
        return 0
      operations.append(operation)
      if aim.number is None or len(operations) <= aim.number:
        return 0
      if not aim.error:
        os.kill(self._number, signal.SIGKILL)
        os.waitid(os.P_PID, self._number, os.WEXITED | os.WNOWAIT)
      return aim.error

    system_calls.serve(listener, aim.folder, answer, self.has_ended, seconds)
    os.close(listener)
    return operations


def _serve(name: str) -> None:
  import importlib

  module = importlib.import_module(name)
  answers = os.fdopen(os.dup(1), 'w')
  for line in sys.stdin:
    request = json.loads(line)
    sys.stdout.flush()
    here, there = socket.socketpair()
    number = os.fork()
    if not number:
      there.close()
      forked.leave(functools.partial(_child, name, module, request, here))
    here.close()
    child, operations = _Child(number), []
    if request['aim']:
      operations = child.serve(Aim(*request['aim']), there, request['seconds'])
    else:
      child.wait(request['seconds'])
    there.close()
    deadline = time.monotonic() + 5
    left = _sessions(number)
    while child.code is not None and left and time.monotonic() < deadline:
      time.sleep(0.05)
      left = _sessions(number)
    for process in left:
      os.kill(process, signal.SIGKILL)
    if child.code is None:
      os.waitpid(number, 0)
    answer = {'code': child.code, 'left': left, 'operations': operations}
    answers.write(json.dumps(answer) + '\n')
    answers.flush()


if __name__ == '__main__':
  _serve(sys.argv[1])
