"""The command lines of morning_jax: `python -m launch.train` and so on."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType


def end_at_once(
  number: int | None = None, frame: FrameType | None = None
) -> None:
  """Ends the process at a Ctrl-C, without unwinding what it is at."""
  del number, frame
  os.write(2, b'stopped from the keyboard\n')
  os._exit(130)


def _open_closed_descriptors() -> None:
  """Keeps files from taking the numbers of a closed stdout or stderr.

  What is written to these numbers would go into the files.
  """
  for descriptor in (0, 1, 2):
    try:
      os.fstat(descriptor)
    except OSError:
      # The lowest free number is taken.
      os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


if sys.argv[:1] == ['-m']:  # as Python has it until it has found the module
  _open_closed_descriptors()
  if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    # The imports take seconds, and have nothing to clean up.
    signal.signal(signal.SIGINT, end_at_once)
    # Called last of all, as the first. After it Python gives signals back to
    # the system, and a Ctrl-C would change the exit code.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
