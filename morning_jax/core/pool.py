"""Worker processes that never outlive the process that started them.

However the work ends (done, failed, stopped by a signal, killed), no worker is
left: the parent kills them on its way out, and each watches for the end of its
parent from its first moment on (`pool_worker`). A worker that has to end says
nothing: it writes of no error but those that the function raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
import contextlib
import dataclasses
from multiprocessing import connection
import os
import signal
import socket
import subprocess
import sys
from typing import Any, TypeVar

from morning_jax.core import pool_worker

Item = TypeVar('Item')
Result = TypeVar('Result')


class WorkerDied(Exception):
  """A worker could not be started, or ended without a result.

  Memory that runs out is the usual reason.
  """


@dataclasses.dataclass(frozen=True)
class _Worker:
  """A process and the parent's ends of its pipes.

  Attributes:
    process: the worker.
    pipe: to it, for items and answers.
    life: descriptor; the worker ends when it is closed.
  """

  process: subprocess.Popen[bytes]
  pipe: connection.Connection
  life: int


@contextlib.contextmanager
def _without_signals() -> Iterator[None]:
  """Holds SIGINT and SIGTERM back until the end of the block.

  A process that is started inside never sees a SIGINT: the terminal sends it to
  all processes, and the parent is the one to act.
  """
  before = signal.pthread_sigmask(
    signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM}
  )
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(environment: Mapping[str, str]) -> _Worker:
  """Starts a worker; to be called without signals."""
  ours, theirs = socket.socketpair()
  watched, life = os.pipe()
  with theirs:
    try:
      process = subprocess.Popen(
        [
          *(sys.executable, '-m', pool_worker.__name__),
          *(str(theirs.fileno()), str(watched)),
        ],
        stdin=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(), watched),
        env={
          **os.environ,
          **environment,
          # Where this process finds its modules.
          'PYTHONPATH': os.pathsep.join(p or os.getcwd() for p in sys.path),
        },
      )
    except OSError:
      ours.close()
      os.close(life)
      raise
    finally:
      os.close(watched)
  return _Worker(process, connection.Connection(ours.detach()), life)


def run(
  function: Callable[..., Result],
  items: Sequence[Item],
  arguments: tuple[Any, ...],
  *,
  jobs: int,
  environment: Mapping[str, str],
) -> Generator[tuple[Item, Result], None, None]:
  """Calls a function on items in worker processes, in the order of the items.

  Args:
    function: (item, *arguments) -> result; a function of a module.
    items: what to call it on.
    arguments: the same for all items, sent to each worker once.
    jobs: number of workers.
    environment: variables that workers start with.

  Yields:
    An item and its result, as each is finished. Closing the iterator kills the
    workers, whatever they do at that time.

  Raises:
    WorkerDied: a worker ended on its own, or could not be started.
    RuntimeError: the function raised; the message holds the traceback.
  """
  workers: list[_Worker] = []
  left = list(reversed(items))
  busy: dict[Any, Item] = {}
  try:
    for _ in range(min(jobs, len(items))):
      with _without_signals():
        workers.append(_start(environment))
    for worker in workers:
      worker.pipe.send((function, arguments))
      busy[worker.pipe] = left.pop()
      worker.pipe.send(busy[worker.pipe])
    while busy:
      for pipe in connection.wait(list(busy)):
        assert isinstance(pipe, connection.Connection)
        succeeded, answer = pipe.recv()
        if not succeeded:
          raise RuntimeError(f'in a worker:\n{answer}')
        item = busy.pop(pipe)
        if left:
          busy[pipe] = left.pop()
          pipe.send(busy[pipe])
        yield item, answer
  except (EOFError, OSError):
    raise WorkerDied from None
  finally:
    with _without_signals():
      _end(workers)


def _end(workers: Sequence[_Worker]) -> None:
  """Kills workers and closes what leads to them."""
  for worker in workers:
    worker.process.kill()
  for worker in workers:
    worker.process.wait()
    worker.pipe.close()
    os.close(worker.life)
