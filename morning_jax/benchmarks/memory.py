"""The peak of this process's memory while something runs."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any

_STATUS = pathlib.Path('/proc/self/status')
_RESET = pathlib.Path('/proc/self/clear_refs')


def _read(field: str) -> int:
  for line in _STATUS.read_text('ascii').splitlines():
    if line.startswith(field + ':'):
      return int(line.split()[1]) * 1024
  raise KeyError(field)


def peak_beyond(call: Callable[[], Any]) -> float | None:
  """Runs a call and returns by how much memory rose at its peak.

  Args:
    call: what to run.

  Returns:
    Bytes of resident memory at the peak beyond those before; None on
    other systems than Linux.
  """
  try:
    _RESET.write_text('5', 'ascii')  # the peak starts again at what is now
    before = _read('VmRSS')
  except (OSError, KeyError):
    call()
    return None
  call()
  return float(max(_read('VmHWM') - before, 0))
