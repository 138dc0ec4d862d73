"""Accounts as a catalogue has them: encoded, row by row."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

import numpy as np

from morning_jax.recommend import profiles as profiles_lib
from morning_jax.recommend import stored_vectors

_BLOCK = 4096  # rows that are summed at a time


@dataclasses.dataclass(frozen=True)
class Coordinates:
  """A piece of an account's vector that the score can be split by.

  Attributes:
    perspective: 'content', 'audience' or 'attribute'.
    modality: 'image', 'text', 'embedding', 'list' (attributes), or
      'image x text' where the encoder multiplies the two (eq. 7-12), so that no
      sum of their parts exists.
    where: which coordinates of the joined vector.
  """

  perspective: str
  modality: str
  where: slice


@dataclasses.dataclass(frozen=True)
class Account:
  """A brand or an influencer that is encoded.

  Attributes:
    role: `BRAND` or `INFLUENCER`.
    account_id: its name.
    row: its row among the catalogue's accounts of its role; None for a brand
      that the bundle does not have.
    category: '' where unknown.
    vector_D: float32, its perspectives side by side.
    profile: what it shows.
    lacks: the model's perspectives of which it shows nothing.
  """

  role: int
  account_id: str
  row: int | None
  category: str
  vector_D: np.ndarray
  profile: profiles_lib.Profile
  lacks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Encoded:
  """The accounts of one role.

  Attributes:
    role: `BRAND` or `INFLUENCER`.
    account_row_N: int64, their rows in the data set's account table.
    ids_N: their names.
    vector_NxD: float32, perspectives side by side: an array, or on disk
      (`stored_vectors.StoredVectors`), where the bundle's features are.
    present: perspective -> bool [N], who shows anything of it.
  """

  role: int
  account_row_N: np.ndarray
  ids_N: np.ndarray
  vector_NxD: Any
  present: Mapping[str, np.ndarray]

  def __len__(self) -> int:
    return len(self.ids_N)

  def products_N(
    self, vector_d: np.ndarray, where: slice = slice(None)
  ) -> np.ndarray:
    """Multiplies some coordinates of every account with a vector.

    Args:
      vector_d: float32 [d], or [d, K] for several.
      where: the d coordinates.

    Returns:
      float32 [N], or [N, K].
    """
    if isinstance(self.vector_NxD, stored_vectors.StoredVectors):
      return self.vector_NxD.product(vector_d, where)
    found: np.ndarray = self.vector_NxD[:, where] @ vector_d
    return found

  @functools.cached_property
  def row_of(self) -> dict[str, int]:
    """Name -> row."""
    return {name: row for row, name in enumerate(self.ids_N.tolist())}

  @functools.cached_property
  def mean_D(self) -> np.ndarray:
    """The typical account: the mean vector, float64."""
    total = np.zeros(self.vector_NxD.shape[1])
    for start in range(0, len(self), _BLOCK):
      total += self.vector_NxD[start : start + _BLOCK].sum(0, np.float64)
    return total / len(self)

  @functools.cached_property
  def _spreads(self) -> dict[tuple[int, int], np.ndarray]:
    return {}

  def spread_N(self, where: slice = slice(None)) -> np.ndarray:
    """Returns float64 [N], each account's distance from the typical one."""
    start, stop, _ = where.indices(self.vector_NxD.shape[1])
    if (start, stop) not in self._spreads:
      self._spreads[start, stop] = self._spread(where)
    return self._spreads[start, stop]

  def _spread(self, where: slice) -> np.ndarray:
    mean = self.mean_D[where]
    square = np.empty(len(self))
    for start in range(0, len(self), _BLOCK):
      block = self.vector_NxD[start : start + _BLOCK, where] - mean
      square[start : start + _BLOCK] = np.einsum('nd,nd->n', block, block)
    return np.sqrt(square)
