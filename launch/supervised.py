"""What a process that works with others has with its parent, the supervisor.

See `launch/supervisor.py`. In a process that works alone nothing here does
anything.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import os
import pathlib
import socket
import sys
import threading
import time
from typing import Any, NoReturn

import jax

from launch import supervisor
from morning_jax.core import multihost

# How long the others may take to end in order, before this one just ends.
_ORDER_SECONDS = 5.0

_told: dict[str, Any] = {}  # by the supervisor
_parent: supervisor.Wire | None = None


def start() -> None:
  """Has this process supervised.

  The first time, it becomes the supervisor, which runs the same command again,
  and does not return. In that second run it returns.
  """
  global _parent
  text = os.environ.pop(supervisor.VARIABLE, None)
  if text is None:
    sys.stdout.flush()
    sys.stderr.flush()
    script = str(pathlib.Path(supervisor.__file__).resolve())
    python = sys.executable
    os.execv(python, [python, '-I', script, python, *sys.orig_argv[1:]])
  assert text is not None
  _told.update(json.loads(text))
  _parent = supervisor.Wire(socket.socket(fileno=_told['control']))
  # C++ keeps writing to descriptor 2, which the supervisor reads.
  sys.stderr = os.fdopen(_told['stderr'], 'w', 1, 'utf-8', 'backslashreplace')
  threading.Thread(
    target=_end_with_parent, args=(_parent,), daemon=True
  ).start()
  threading.excepthook = _after_the_news(threading.excepthook)


def is_active() -> bool:
  """Tells whether this process is one of several, with a supervisor."""
  return _parent is not None


def _end_with_parent(parent: supervisor.Wire) -> None:
  while not parent.receive()[1]:
    pass
  os._exit(1)


def _after_the_news(
  hook: Callable[[threading.ExceptHookArgs], Any],
) -> Callable[[threading.ExceptHookArgs], Any]:
  def late(args: threading.ExceptHookArgs) -> None:
    wait_for_news()
    hook(args)

  return late


def joined(host: str | None) -> None:
  """Tells the supervisor where the others are, once all processes have met.

  Args:
    host: how the others reach the first process; None to find it out.
  """
  if _parent is None or jax.process_count() == 1:
    return
  meeting = {k: _told[k] for k in ('port', 'token')}
  meeting['host'] = host or _own_address()
  meeting = json.loads(multihost.text_of_first(json.dumps(meeting)))
  _parent.send(joined=jax.process_index(), count=jax.process_count(), **meeting)


def _own_address() -> str:
  """Returns the address of this machine that others see; sends nothing."""
  with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    try:
      s.connect(('192.0.2.1', 9))
    except OSError:
      return socket.gethostname()
    return s.getsockname()[0]


def wait_for_news() -> None:
  """Waits, after an exception, until it is known to be no other one's end.

  If it is, the supervisor ends this process in the meantime.
  """
  if _parent is not None:
    _parent.send(failing=True)
    time.sleep(supervisor.NEWS_SECONDS)


def leave(code: int, line: str) -> None:
  """Ends this process for an error, if it works with others; else returns.

  They are told why, and this one does not wait for them for long.

  Args:
    code: the exit code.
    line: what the user was told.
  """
  if _parent is None:
    return
  _parent.send(said=line, code=code)
  if code in (supervisor.MISTAKE, supervisor.TRY_AGAIN):
    # All may have met the same: then they take leave in order.
    leaving = threading.Thread(target=jax.distributed.shutdown, daemon=True)
    leaving.start()
    leaving.join(_ORDER_SECONDS)
  end(code)


def end(code: int) -> NoReturn:
  """Ends this process at once, with what is printed."""
  for stream in (sys.stdout, sys.stderr):
    try:
      stream.flush()
    except (OSError, ValueError):
      continue
  os._exit(code)
