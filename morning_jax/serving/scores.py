"""Scores of brands against the whole catalogue, kept in memory.

One product at a time: it reads the whole catalogue, so that two at once would
share the memory's rate, and their threads would fight for the cores.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable
import functools
import threading

import numpy as np

from morning_jax.recommend import ordering
from morning_jax.recommend import recommend

_HEAD = 1000  # of the best, which nearly every question is answered from


class Scores:
  """The scores of an account against all of the other role."""

  def __init__(self, score_N: np.ndarray):
    """Sorts the best.

    Args:
      score_N: float32.
    """
    self.score_N = score_N
    everybody = np.ones(len(score_N), bool)
    self.head = np.array(ordering.best_rows(score_N, everybody, _HEAD))

  @functools.cached_property
  def _ordered(self) -> np.ndarray:
    return np.sort(self.score_N)

  def best(self, wanted_N: np.ndarray | None, top_k: int) -> list[int]:
    """Returns the best rows among some, best first.

    Args:
      wanted_N: bool, who takes part; None for all.
      top_k: how many rows, at most; of equal scores the lower row first.
    """
    if wanted_N is None:
      if top_k <= len(self.head):
        rows: list[int] = self.head[:top_k].tolist()
        return rows
      wanted_N = np.ones(len(self.score_N), bool)
    found = self.head[wanted_N[self.head]]
    if len(found) < top_k and len(self.head) < len(self.score_N):
      return ordering.best_rows(self.score_N, wanted_N, top_k)
    return [int(row) for row in found[:top_k]]

  def places(self, rows: list[int]) -> list[int]:
    """Returns how many score at least as high as each of some rows."""
    asked = self.score_N[rows]
    head = self.score_N[self.head]
    if len(rows) and (asked > head[-1]).all():
      return np.searchsorted(-head, -asked, side='right').tolist()
    above = np.searchsorted(self._ordered, asked, side='left')
    places: list[int] = (len(self._ordered) - above).tolist()
    return places


class ScoreCache:
  """Scores of the accounts that were asked about most recently."""

  def __init__(self, most_bytes: int):
    """Makes an empty cache.

    Args:
      most_bytes: of scores that are kept.
    """
    self._most_bytes = most_bytes
    self._kept: collections.OrderedDict[Hashable, Scores] = (
      collections.OrderedDict()
    )
    self._bytes = 0
    self._lock = threading.Lock()
    self._product = threading.Lock()

  def get(self, key: Hashable) -> Scores | None:
    """Returns kept scores; None where there are none."""
    with self._lock:
      scores = self._kept.get(key)
      if scores is not None:
        self._kept.move_to_end(key)
      return scores

  def of(
    self,
    catalogue: recommend.catalogue_lib.Catalogue,
    account: recommend.catalogue_lib.Account,
  ) -> Scores:
    """Returns the scores of an account.

    Args:
      catalogue: who there is.
      account: an account; its scores are kept if the bundle has it.
    """
    key = (account.role, account.row)
    scores = None if account.row is None else self.get(key)
    if scores is None:
      with self._product:
        if account.row is not None:
          scores = self.get(key)  # of who had the lock before
        if scores is None:
          scores = Scores(recommend.scores(catalogue, account))
          if account.row is not None:
            self._keep(key, scores)
    return scores

  def _keep(self, key: Hashable, scores: Scores) -> None:
    with self._lock:
      self._kept[key] = scores
      self._bytes += scores.score_N.nbytes
      while self._bytes > self._most_bytes and len(self._kept) > 1:
        _, old = self._kept.popitem(last=False)
        self._bytes -= old.score_N.nbytes
