"""Scores of brands against the whole catalogue, kept in memory.

One product at a time: it reads the whole catalogue, so that two at once would
share the memory's rate, and their threads would fight for the cores.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable, Sequence
import functools
import threading

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import encoded
from morning_jax.recommend import ordering
from morning_jax.serving import products

_HEAD = 256  # of the best, which nearly every question is answered from


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

  def __init__(self, catalogue: catalogue_lib.Catalogue, most_bytes: int):
    """Makes an empty cache.

    Args:
      catalogue: who there is.
      most_bytes: of scores that are kept.
    """
    self._catalogue = catalogue
    self._most_bytes = most_bytes
    self._kept: collections.OrderedDict[Hashable, Scores] = (
      collections.OrderedDict()
    )
    self._bytes = 0
    self._lock = threading.Lock()
    self._turn = threading.Lock()
    self._products: dict[int, products.Products] = {}

  @property
  def most(self) -> int:
    """How many brands share a product at most."""
    return self._products_of(accounts_lib.BRAND).most

  def warm_up(self) -> None:
    """Compiles what brands are multiplied with."""
    self._products_of(accounts_lib.BRAND).warm_up()

  def get(self, key: Hashable) -> Scores | None:
    """Returns kept scores; None where there are none."""
    with self._lock:
      scores = self._kept.get(key)
      if scores is not None:
        self._kept.move_to_end(key)
      return scores

  def of(self, account: encoded.Account) -> Scores:
    """Returns the scores of an account.

    Args:
      account: an account; its scores are kept if the bundle has it.
    """
    if account.row is not None:
      scores = self.get((account.role, account.row))
      if scores is not None:
        return scores
    return self.of_several([account])[0]

  def of_several(self, accounts: Sequence[encoded.Account]) -> list[Scores]:
    """Computes the scores of accounts of one role, by one product.

    Args:
      accounts: up to `most`; scores of those that the bundle has are kept.
    """
    role = accounts[0].role
    keys: list[Hashable] = [
      object() if account.row is None else (role, account.row)
      for account in accounts
    ]
    with self._turn:
      # Who asked twice, or while another product was computed, is in it.
      found: dict[Hashable, Scores] = {}
      new: dict[Hashable, encoded.Account] = {}
      for key, account in zip(keys, accounts, strict=True):
        kept = self.get(key)
        if kept is None:
          new[key] = account
        else:
          found[key] = kept
      vectors = [account.vector_D for account in new.values()]
      computed = self._products_of(role).of(vectors) if new else []
      for (key, account), score_N in zip(new.items(), computed, strict=True):
        found[key] = Scores(score_N)
        if account.row is not None:
          self._keep(key, found[key])
    return [found[key] for key in keys]

  def _products_of(self, role: int) -> products.Products:
    if role not in self._products:
      side = self._catalogue.side(1 - role)
      self._products[role] = products.Products(side.vector_NxD)
    return self._products[role]

  def _keep(self, key: Hashable, scores: Scores) -> None:
    with self._lock:
      old = self._kept.pop(key, None)
      self._bytes += scores.score_N.nbytes - (old.score_N.nbytes if old else 0)
      self._kept[key] = scores
      while self._bytes > self._most_bytes and len(self._kept) > 1:
        _, oldest = self._kept.popitem(last=False)
        self._bytes -= oldest.score_N.nbytes
