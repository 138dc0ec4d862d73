"""Whom influencers reach together, counted once.

Where the bundle lists followers (`audience_members.csv`, hashed), reach is the
number of different ones. Without them there is no telling who follows two
accounts; what can be told is how alike their audiences are. Then reach is the
audience similarity that the chosen have to all of the pool, each taken with the
nearest of them: how much of the kinds of audience is covered, and no people.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from morning_jax.core import errors
from morning_jax.recommend import catalogue as catalogue_lib

_AUDIENCE = 'audience'


class Reach(Protocol):
  """A monotone and submodular measure of whom a set of a pool reaches.

  Attributes:
    unit: what it counts.
    most: the most that one of the pool reaches alone.
  """

  unit: str
  most: float

  def start(self) -> Any:
    """Returns what nobody covers."""

  def new(self, covered: Any) -> np.ndarray:
    """Returns what each of the pool adds to what is covered, float64 [n]."""

  def cover(self, covered: Any, index: int) -> Any:
    """Returns what is covered with one more of the pool."""


class Members:
  """Reach in followers that are listed."""

  unit = 'followers'

  def __init__(self, lists: list[np.ndarray], count: int):
    """Takes the followers of each of the pool, numbers in 0..count-1."""
    self._lists, self._count = lists, count
    self.most = float(max(map(len, lists))) or 1.0

  def start(self) -> np.ndarray:
    """Returns bool [count], who is reached: nobody."""
    return np.zeros(self._count, bool)

  def new(self, covered: np.ndarray) -> np.ndarray:
    """Counts those that are not reached yet."""
    return np.array([float((~covered[x]).sum()) for x in self._lists])

  def cover(self, covered: np.ndarray, index: int) -> np.ndarray:
    """Reaches the followers of one more."""
    after = covered.copy()
    after[self._lists[index]] = True
    return after


class Likeness:
  """Reach in audience similarity: facility location over the pool."""

  unit = 'audience similarity'

  def __init__(self, cosine: np.ndarray):
    """Takes the cosines of the pool's centred audiences, [n, n]."""
    self._similarity = np.maximum(cosine, 0.0)
    self.most = float(self._similarity.sum(axis=1).max()) or 1.0

  def start(self) -> np.ndarray:
    """Returns the similarity that each of the pool has to the chosen: 0."""
    return np.zeros(len(self._similarity))

  def new(self, covered: np.ndarray) -> np.ndarray:
    """Adds up by how much each of the pool would be nearer."""
    return np.maximum(self._similarity - covered, 0.0).sum(axis=1)

  def cover(self, covered: np.ndarray, index: int) -> np.ndarray:
    """Chooses one more."""
    return np.maximum(covered, self._similarity[index])


def of_pool(catalogue: catalogue_lib.Catalogue, rows: np.ndarray) -> Reach:
  """Prepares to measure whom some influencers reach.

  Args:
    catalogue: who there is.
    rows: of the catalogue's influencers.

  Returns:
    The measure, by listed followers where the bundle has them.

  Raises:
    UserError: the bundle lists no followers and the model sees no audience.
  """
  side = catalogue.influencers
  audience = catalogue.dataset.audience
  if audience is not None:
    table_rows = side.account_row_N[rows]
    first = np.searchsorted(audience.holder, table_rows, side='left')
    last = np.searchsorted(audience.holder, table_rows, side='right')
    return Members(
      [audience.member[a:b] for a, b in zip(first, last, strict=True)],
      len(audience.hashes_N),
    )
  where = catalogue.slices.get(_AUDIENCE)
  if where is None:
    raise errors.UserError(
      'reach: the bundle has no audience_members.csv, and the model has no'
      ' audience perspective to compare audiences by'
    )
  vectors = side.vector_NxD[rows, where] - side.mean_D[where]
  length = np.linalg.norm(vectors, axis=1, keepdims=True)
  vectors /= np.maximum(length, 1e-12)
  return Likeness(vectors @ vectors.T)
