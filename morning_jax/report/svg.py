"""Numbers to places in a picture; the templates draw it."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Scale:
  """Maps numbers to pixels, linearly.

  Attributes:
    low: the number at `start`.
    high: the number at `end`.
    start: pixels.
    end: pixels.
  """

  low: float
  high: float
  start: float
  end: float

  def __call__(self, value: float) -> float:
    """Returns where a number is drawn, to a tenth of a pixel."""
    share = (value - self.low) / ((self.high - self.low) or 1.0)
    return round(self.start + share * (self.end - self.start), 1)

  def ticks(self, most: int = 5) -> list[float]:
    """Returns round numbers within the scale."""
    step = 10.0 ** math.floor(math.log10((self.high - self.low) or 1.0))
    for factor in (0.1, 0.2, 0.5, 1.0):
      if (self.high - self.low) / (step * factor) <= most:
        step *= factor
        break
    first = math.ceil(self.low / step - 1e-9)
    last = math.floor(self.high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def spanning(
  values: Sequence[float], start: float, end: float, *, zero: bool = False
) -> Scale:
  """Makes a scale of all values, with zero if asked; never of no length."""
  low, high = min(values), max(values)
  if zero:
    low, high = min(low, 0.0), max(high, 0.0)
  if low == high:
    low, high = low - 0.5, high + 0.5
  return Scale(low, high, start, end)


def path(points: Sequence[tuple[float, float]]) -> str:
  """Returns the `d` of an SVG path through points."""
  return 'M' + 'L'.join(f'{x:g},{y:g}' for x, y in points)


def around(count: int, radius: float) -> list[tuple[float, float]]:
  """Places points around a circle from the top, clockwise."""
  angles = [2 * math.pi * i / max(count, 1) for i in range(count)]
  return [
    (round(radius * math.sin(a), 1), round(-radius * math.cos(a), 1))
    for a in angles
  ]
