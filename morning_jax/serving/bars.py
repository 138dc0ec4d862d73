"""Parts of scores as bars: numbers for SVG, since styles are not inline."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from morning_jax.recommend import recommend as recommend_lib
from morning_jax.serving import words

_WIDTH = 200.0  # of the drawing, zero in the middle


@dataclasses.dataclass(frozen=True)
class Bar:
  """One bar.

  Attributes:
    label: what it is about.
    perspective: its colour.
    value: what it shows.
    x: its left end.
    width: its length.
  """

  label: str
  perspective: str
  value: float
  x: float
  width: float


def scale(found: Sequence[recommend_lib.Recommendation]) -> float:
  """Returns the value that fills half of the drawing, for all of a page."""
  values = [abs(v) for x in found for v in x.by_perspective.values()]
  return max(values, default=0.0) or 1.0


def by_perspective(
  found: recommend_lib.Recommendation, full: float
) -> list[Bar]:
  """Returns a bar for each perspective."""
  return [
    _bar(words.PERSPECTIVES.get(name, name), name, value, full)
    for name, value in found.by_perspective.items()
  ]


def by_modality(found: recommend_lib.Recommendation) -> list[Bar]:
  """Returns a bar for each part of one recommendation."""
  full = max((abs(p.value) for p in found.parts), default=0.0) or 1.0
  return [
    _bar(words.modality(p), p.perspective, p.value, full) for p in found.parts
  ]


def _bar(label: str, perspective: str, value: float, full: float) -> Bar:
  half = _WIDTH / 2
  length = min(abs(value) / full, 1.0) * half
  return Bar(
    label=label,
    perspective=perspective if perspective in words.PERSPECTIVES else 'other',
    value=value,
    x=round(half - length if value < 0 else half, 1),
    width=round(max(length, 0.5), 1),
  )
