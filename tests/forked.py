"""Commands in processes of their own, without the imports of each.

Most of the time of a command that ends with a mistake goes into importing JAX,
Flax and Orbax. So a server imports what a command imports, but nothing of
`launch` and no backend of JAX, and forks for each command line. The child
then runs `python -m launch.<command>` to its end as a shell's would: flags,
streams, exit code and all. Only the interpreter is not taken apart object by
object, which takes ten times as long as most mistakes (`leave`).
"""

import ast
import atexit
from collections.abc import Callable
import functools
import importlib
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from typing import Any, NoReturn

ROOT = pathlib.Path(__file__).resolve().parent.parent


class _Server:
  """A process that forks one for each command line."""

  def __init__(self) -> None:
    self._process = subprocess.Popen(
      [sys.executable, '-m', 'tests.forked'],
      cwd=ROOT,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    atexit.register(self._process.kill)

  def ask(self, **request: Any) -> dict[str, Any]:
    assert self._process.stdin and self._process.stdout
    self._process.stdin.write(json.dumps(request) + '\n')
    self._process.stdin.flush()
    answer: dict[str, Any] = json.loads(self._process.stdout.readline())
    return answer


@functools.cache
def _server(number: int) -> _Server:
  """A server of this process that runs tests; each does one thing at a time."""
  del number
  return _Server()


def run(
  module: str,
  args: tuple[str, ...],
  environment: dict[str, str],
  seconds: float,
  server: int = 0,
) -> subprocess.CompletedProcess[str]:
  """Runs `python -m launch.<module> <args>` from the project's folder.

  Args:
    module: the command.
    args: its arguments.
    environment: its environment.
    seconds: how long it may take.
    server: which server runs it; several run several at a time.

  Returns:
    Its exit code, below 0 for a signal, and what it printed.

  Raises:
    TimeoutExpired: it took longer and was killed.
  """
  with tempfile.TemporaryDirectory() as folder:
    answer = _server(server).ask(
      module=module,
      args=args,
      environment=environment,
      folder=folder,
      seconds=seconds,
    )
    stdout, stderr = (
      (pathlib.Path(folder) / name).read_text(encoding='utf-8')
      for name in ('stdout', 'stderr')
    )
  command = [module, *args]
  if answer['code'] is None:
    raise subprocess.TimeoutExpired(command, seconds, stdout, stderr)
  return subprocess.CompletedProcess(command, answer['code'], stdout, stderr)


@functools.cache
def _import_what_it_imports(module: str) -> None:
  """Imports all that a module of `launch` imports but `launch` itself.

  Commands define flags as they are imported, and two may use one name.
  """
  tree = ast.parse((ROOT / 'launch' / f'{module}.py').read_text('utf-8'))
  for node in tree.body:
    if isinstance(node, ast.Import):
      for name in node.names:
        importlib.import_module(name.name)
    elif isinstance(node, ast.ImportFrom) and node.module == 'launch':
      for name in node.names:
        _import_what_it_imports(name.name)
    elif isinstance(node, ast.ImportFrom) and node.module:
      for name in node.names:
        found = importlib.import_module(node.module)
        if not hasattr(found, name.name):
          importlib.import_module(f'{node.module}.{name.name}')


def leave(run: Callable[[], object]) -> NoReturn:
  """Runs to the end of the process, as Python does but for its garbage.

  Threads are waited for, exit handlers called, streams flushed. A stream that
  can't be flushed makes an exit code of 120, as of Python.

  Args:
    run: what the process does; the exit code is that of its SystemExit, 1 where
      it raises another exception, else 0.
  """
  code: object = 0
  try:
    run()
  except SystemExit as e:
    code = e.code
  except BaseException as e:  # Python prints it, and so do hooks of others
    code = 1
    sys.excepthook(type(e), e, e.__traceback__)
  if not isinstance(code, int | None):
    print(code, file=sys.stderr)
    code = 1
  try:
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
  except BaseException:
    traceback.print_exc()
  for stream in (sys.stdout, sys.stderr):
    try:
      if stream is not None and not stream.closed:
        stream.flush()
    except OSError:
      code = 120
  os._exit((code or 0) & 0xFF)


def _child(request: dict[str, Any]) -> None:
  """Becomes the process that a shell would have started."""
  os.setsid()
  signal.signal(signal.SIGINT, signal.default_int_handler)
  os.environ.clear()
  os.environ.update(request['environment'])
  for number, stream in ((1, 'stdout'), (2, 'stderr')):
    path = os.path.join(request['folder'], stream)
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  name = f'launch.{request["module"]}'
  sys.argv = [f'{ROOT}/launch/{request["module"]}.py', *request['args']]
  sys.orig_argv[:] = [sys.executable, '-m', name, *request['args']]
  runpy.run_module(name, run_name='__main__', alter_sys=True)


def _wait(child: int, seconds: float) -> int | None:
  deadline = time.monotonic() + seconds
  while time.monotonic() < deadline:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
      return os.waitstatus_to_exitcode(status)
    time.sleep(0.01)
  os.killpg(child, signal.SIGKILL)
  os.waitpid(child, 0)
  return None


def _serve() -> None:
  answers = os.fdopen(os.dup(1), 'w')
  for line in sys.stdin:
    request = json.loads(line)
    _import_what_it_imports(request['module'])
    child = os.fork()
    if not child:
      answers.close()
      leave(functools.partial(_child, request))
    code = _wait(child, request['seconds'])
    answers.write(json.dumps({'code': code}) + '\n')
    answers.flush()


if __name__ == '__main__':
  _serve()
