"""How long the trials that are left will take, by those that are finished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses

from morning_jax.comparison import measurement


@dataclasses.dataclass
class _Method:
  """What is known of a method's trials, counted by their share of the brands.

  Attributes:
    guess: seconds of one trial with all training brands.
    left: trials that are not finished.
    finished: trials that are.
    seconds: that the finished ones took.
  """

  guess: float
  left: float = 0.0
  finished: float = 0.0
  seconds: float = 0.0


class TimeLeft:
  """Estimates the time that is left from the trials that are finished.

  Before any trial of a method is finished, its cost is a guess. The guesses are
  of data of another size and a machine of another speed: they are corrected by
  how far the guesses for the finished trials were off.
  """

  def __init__(
    self, guesses: Mapping[str, float], trials: Iterable[measurement.Trial]
  ):
    """Starts from guesses.

    Args:
      guesses: method -> seconds of one trial with all training brands.
      trials: all that are left.
    """
    self._methods = {k: _Method(guess) for k, guess in guesses.items()}
    for trial in trials:
      self._methods[trial.method].left += trial.fold.share

  def finish(self, trial: measurement.Trial, seconds: float) -> None:
    """Takes note that a trial is finished, and how long it took."""
    method = self._methods[trial.method]
    method.left -= trial.fold.share
    method.finished += trial.fold.share
    method.seconds += seconds

  def _each(self, method: _Method) -> float:
    """Estimates the seconds of a method's trial with all training brands."""
    if method.finished:
      return method.seconds / method.finished
    known = self._methods.values()
    guessed = sum(m.finished * m.guess for m in known)
    took = sum(m.seconds for m in known)
    return method.guess * (took / guessed if guessed else 1.0)

  def cost(self, trial: measurement.Trial) -> float:
    """Estimates the seconds of one trial."""
    return self._each(self._methods[trial.method]) * trial.fold.share

  @property
  def seconds(self) -> float:
    """The seconds that are left, of one trial at a time."""
    return sum(self._each(m) * max(m.left, 0.0) for m in self._methods.values())
