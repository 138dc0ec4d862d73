"""Work beside the loop that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

Value = TypeVar('Value')


async def run(call: Callable[[], Value]) -> Value:
  """Runs what computes in a thread of its own.

  Args:
    call: what to run.
  """
  return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
