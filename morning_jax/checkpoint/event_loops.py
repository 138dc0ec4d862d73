"""Event loops that finish Orbax's tasks before they close.

Orbax writes and reads arrays by asyncio tasks, many at a time. When the first
of them fails, Orbax closes their event loop under the others. Each of those
then is called back into a closed loop when its file operation ends, for which
TensorStore's threads print a traceback apiece: hundreds of lines about a full
disk or a damaged file, of which the exception that is raised says all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import contextlib
import functools
import sys
import types

_MARK = '_finishes_tasks_of_orbax'
# Seconds that tasks may take to end by themselves, before they are cancelled.
_PATIENCE = 60.0


def install() -> None:
  """Has the loops that Orbax makes finish their tasks before they close.

  Orbax takes no loop from outside, but all loops come from asyncio's policy.
  Loops that others make stay as they are.
  """
  policy = asyncio.get_event_loop_policy()
  if hasattr(policy, _MARK):
    return
  make = policy.new_event_loop

  def new_event_loop() -> asyncio.AbstractEventLoop:
    loop = make()
    if _is_called_by_orbax():
      # A loop that is no Python object lets nothing be replaced.
      with contextlib.suppress(AttributeError):
        loop.close = functools.partial(_close, loop, loop.close)  # type: ignore[method-assign]
    return loop

  policy.new_event_loop = new_event_loop  # type: ignore[method-assign]
  setattr(policy, _MARK, True)


def _is_called_by_orbax() -> bool:
  frame: types.FrameType | None = sys._getframe(1)
  while frame is not None:
    if frame.f_globals.get('__name__', '').startswith('orbax.'):
      return True
    frame = frame.f_back
  return False


def _close(loop: asyncio.AbstractEventLoop, close: Callable[[], None]) -> None:
  """Closes a loop once all of its tasks have ended."""
  if not (loop.is_closed() or loop.is_running()):
    tasks: set[asyncio.Task] | None = None
    while tasks is None or tasks:
      tasks = asyncio.all_tasks(loop)
      if tasks:
        _, late = loop.run_until_complete(
          asyncio.wait(tasks, timeout=_PATIENCE)
        )
        for task in late:
          task.cancel()
      for task in tasks:
        if task.done() and not task.cancelled():
          task.exception()  # taken note of: else its deletion is logged
      # Those that had ended before: who waits for them is called back.
      loop.run_until_complete(asyncio.sleep(0))
  close()
