"""What the user reads: lines of results, notes and progress."""

from __future__ import annotations

from collections.abc import Iterable
import sys

import tqdm

from morning_jax.core import multihost


def say(text: str = '') -> None:
  """Prints a result on stdout, from the first process alone."""
  if multihost.is_first():
    print(text, flush=True)


def note(text: str) -> None:
  """Prints something the user should know on stderr."""
  if multihost.is_first():
    tqdm.tqdm.write(f'note: {text}', file=sys.stderr)


def notes(lines: Iterable[str]) -> None:
  """Prints several notes."""
  for line in lines:
    note(line)


class Progress:
  """A progress bar with rate and time left; quiet lines where it is a file."""

  def __init__(
    self,
    *,
    total: int,
    unit: str,
    title: str,
    initial: int = 0,
    quiet: bool = False,
  ):
    """Shows the bar.

    Args:
      total: how many units the work has.
      unit: what is counted, plural.
      title: what is done.
      initial: how many are done already; they don't count for the rate.
      quiet: whether it is not shown.
    """
    self._bar = tqdm.tqdm(
      total=total,
      initial=initial,
      unit=f' {unit}',
      unit_scale=True,
      desc=title,
      dynamic_ncols=True,
      mininterval=0.2 if sys.stderr.isatty() else 10.0,
      disable=quiet or not multihost.is_first(),
    )

  def advance(
    self, units: int, *, left: int | None = None, **values: str
  ) -> None:
    """Counts units done, and shows values beside the bar.

    Args:
      units: that are done since the last call.
      left: how many remain, where that is not what was left before.
      **values: to show.
    """
    if left is not None:
      self._bar.total = self._bar.n + units + left
    if values:
      self._bar.set_postfix(values, refresh=False)
    self._bar.update(units)

  def close(self) -> None:
    """Ends the bar."""
    self._bar.close()

  def __enter__(self) -> Progress:
    return self

  def __exit__(self, *exception: object) -> None:
    self.close()
