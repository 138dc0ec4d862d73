"""Recommendations as JSON text, made once for a brand and an influencer.

What is said of an influencer for a brand stays the same whatever else is
asked: filters change who is in a ranking and at which rank, not the score, its
parts or its band.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
import threading

_OVERHEAD = 200  # bytes that a short text takes besides its characters

Make = Callable[[Sequence[int]], Sequence[bytes]]


class Entries:
  """Texts of the pairs that were asked about most recently."""

  def __init__(self, most_bytes: int):
    """Makes an empty store.

    Args:
      most_bytes: of the texts that are kept.
    """
    self._most_bytes = most_bytes
    self._bytes = 0
    self._kept: collections.OrderedDict[tuple[int, int], bytes] = (
      collections.OrderedDict()
    )
    self._lock = threading.Lock()

  def of(self, brand_row: int, rows: Sequence[int], make: Make) -> list[bytes]:
    """Returns the texts of a brand's influencers.

    Args:
      brand_row: of the brand.
      rows: of the influencers.
      make: makes the texts of those that are not kept.
    """
    found: dict[int, bytes] = {}
    with self._lock:
      for row in rows:
        text = self._kept.get((brand_row, row))
        if text is not None:
          found[row] = text
          self._kept.move_to_end((brand_row, row))
    new = [row for row in rows if row not in found]
    if new:
      made = make(new)
      found.update(zip(new, made, strict=True))
      with self._lock:
        for row, text in zip(new, made, strict=True):
          self._keep((brand_row, row), text)
    return [found[row] for row in rows]

  def _keep(self, key: tuple[int, int], text: bytes) -> None:
    if key in self._kept:
      return
    self._kept[key] = text
    self._bytes += len(text) + _OVERHEAD
    while self._bytes > self._most_bytes:
      _, old = self._kept.popitem(last=False)
      self._bytes -= len(old) + _OVERHEAD
