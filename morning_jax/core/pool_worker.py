"""A worker of `pool.run`: `python -m morning_jax.core.pool_worker`.

It ends without a word when the process that started it closes its ends of the
pipes, or ends itself, whatever the worker does at that time. Nothing heavy is
imported before it watches for that.
"""

from __future__ import annotations

from multiprocessing import connection
import os
import signal
import sys
import threading
import traceback


def _end_with_parent(life: int) -> None:
  """Ends the process when the parent's end of a pipe is closed."""
  os.read(life, 1)  # nothing is ever written
  os._exit(0)  # the main thread may be in the middle of a computation


def _work(pipe: connection.Connection) -> None:
  """Calls the function that arrives first on each item that follows.

  An answer is (True, the result), or (False, the traceback of an exception).
  """
  import tqdm

  from morning_jax.core import plugins

  # Its own lock is shared by processes, and outlives one that is killed.
  tqdm.tqdm.set_lock(threading.RLock())
  plugins.load()
  function, arguments = pipe.recv()
  while True:
    item = pipe.recv()
    try:
      answer = True, function(item, *arguments)
    except Exception:
      answer = False, traceback.format_exc()
    pipe.send(answer)


def main(pipe: int, life: int) -> None:
  """Works until the parent closes its ends.

  Args:
    pipe: descriptor of a socket to the parent, for items and answers.
    life: descriptor of a pipe, which the parent keeps open as long as the
      worker is wanted.
  """
  # The parent blocked it while this process started.
  signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
  threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
  try:
    _work(connection.Connection(pipe))
  except (EOFError, ConnectionError):
    os._exit(0)  # the parent has gone, or wants nothing more


if __name__ == '__main__':
  main(*map(int, sys.argv[1:]))
