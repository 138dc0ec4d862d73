"""Worker processes that never outlive the process that started them.

However the work ends (done, failed, stopped by a signal, killed), no worker
stays behind: the parent kills them on its way out, and each watches for the
end of its parent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
import contextlib
import multiprocessing
from multiprocessing import connection
import os
import signal
import threading
import traceback
from typing import Any, TypeVar

import tqdm

Item = TypeVar('Item')
Result = TypeVar('Result')


class WorkerDied(Exception):
  """A worker ended without a result, as when memory runs out."""


class _Crash:
  """What a worker sends of an exception: its traceback as text."""

  def __init__(self, text: str):
    self.text = text


def _end_with_parent() -> None:
  parent = multiprocessing.parent_process()
  assert parent is not None
  connection.wait([parent.sentinel])
  os._exit(1)  # the other thread may be in the middle of a computation


def _serve(
  pipe: connection.Connection,
  function: Callable[..., Any],
  arguments: tuple[Any, ...],
) -> None:
  """Answers each item that arrives; runs in a worker."""
  threading.Thread(target=_end_with_parent, daemon=True).start()
  # Its own is shared by processes: a killed one would leave it behind.
  tqdm.tqdm.set_lock(threading.RLock())
  while True:
    item = pipe.recv()
    try:
      answer = function(item, *arguments)
    except Exception:
      answer = _Crash(traceback.format_exc())
    pipe.send(answer)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
  """Sets environment variables for processes that are started inside."""
  before = {k: os.environ.get(k) for k in values}
  os.environ.update(values)
  try:
    yield
  finally:
    for name, value in before.items():
      if value is None:
        os.environ.pop(name, None)
      else:
        os.environ[name] = value


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
  """Blocks SIGINT for processes that are started inside.

  The terminal sends it to all of them, and the parent is the one to act. Here
  it waits until the end of the block.
  """
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
    workers, whatever they are at.

  Raises:
    WorkerDied: a worker ended on its own.
    RuntimeError: the function raised; the message holds the traceback.
  """
  context = multiprocessing.get_context('spawn')
  processes = []
  left = list(reversed(items))
  busy: dict[Any, Item] = {}
  try:
    for _ in range(min(jobs, len(items))):
      ours, theirs = context.Pipe()
      process = context.Process(
        target=_serve, args=(theirs, function, arguments), daemon=True
      )
      with _environment(environment), _deaf_to_ctrl_c():
        process.start()
      processes.append(process)
      theirs.close()  # so that its end is seen here
      busy[ours] = left.pop()
      ours.send(busy[ours])
    while busy:
      for pipe in connection.wait(list(busy)):
        assert isinstance(pipe, connection.Connection)
        answer = pipe.recv()
        if isinstance(answer, _Crash):
          raise RuntimeError(f'in a worker:\n{answer.text}')
        item = busy.pop(pipe)
        if left:
          busy[pipe] = left.pop()
          pipe.send(busy[pipe])
        yield item, answer
  except (EOFError, ConnectionError):
    raise WorkerDied from None
  finally:
    for process in processes:
      process.kill()
    for process in processes:
      process.join()
