"""SIGTERM: the end is asked for, and what is done so far must not be lost.

A machine that is taken away sends it, and so does `launch/pod.sh`. Training
then saves and stops. Whoever can stop only between pieces of work opens
`remembered` around all of it, and asks after each piece. The parts inside open
it too, and see the same request: one that comes during the last of them is not
forgotten when that one ends.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import signal
import threading
from types import FrameType


class Stopped(BaseException):
  """SIGTERM came where nothing has to be saved.

  It is no Exception, so that nobody takes it for a failure of their own.
  """


class Termination:
  """Whether SIGTERM has come.

  Attributes:
    requested: whether it has.
    at_once: whether it raises `Stopped`, there and then.
  """

  def __init__(self) -> None:
    self.requested = False
    self.at_once = False

  def _handle(self, number: int, frame: FrameType | None) -> None:
    del number, frame
    self.requested = True
    if self.at_once:
      self.at_once = False  # what is cleaned up now is not to be interrupted
      raise Stopped


_outermost: Termination | None = None


@contextlib.contextmanager
def remembered() -> Iterator[Termination]:
  """Remembers a SIGTERM until the work can be stopped well.

  Inside another one it is a part of that one. In a thread that is not the main
  one, signals can't be handled, and nothing is ever requested.

  Yields:
    What tells whether it has come.
  """
  yield from _handled(at_once=False)


@contextlib.contextmanager
def raised() -> Iterator[Termination]:
  """Ends the block at a SIGTERM by raising `Stopped`.

  Inside it, `remembered` suspends that: a request is then for its owner.

  Yields:
    What tells whether it has come.

  Raises:
    Stopped: it has come, also if that was before the block.
  """
  yield from _handled(at_once=True)


def _handled(*, at_once: bool) -> Iterator[Termination]:
  global _outermost
  if threading.current_thread() is not threading.main_thread():
    yield Termination()
    return
  own = _outermost is None
  termination = _outermost or Termination()
  before = termination.at_once
  previous = signal.getsignal(signal.SIGTERM)
  # Where it is ignored, it stays so.
  handled = own and previous != signal.SIG_IGN
  if own:
    _outermost = termination
  if handled:
    signal.signal(signal.SIGTERM, termination._handle)
  try:
    if at_once and termination.requested:
      raise Stopped
    termination.at_once = at_once
    yield termination
  finally:
    termination.at_once = before
    if handled:
      # None is a handler of C, as JAX has one; it can't be set again.
      signal.signal(signal.SIGTERM, previous or signal.SIG_DFL)
    if own:
      _outermost = None
