"""Exact searches for many brands at once, over all devices and processes."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import numpy as np

from morning_jax.core import multihost
from morning_jax.core import sharding
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import stored_vectors
from morning_jax.recommend import top_k as top_k_lib
from morning_jax.recommend import top_k_sharded

_NOBODY = -1
_FEWEST = 8  # partners of a brand that a program is compiled for
# Rows of scores on a CPU: enough to choose from by groups.
_BLOCK_ROWS_CPU = 8192
_COUNTED_ROWS = 16_384  # rows that are scored at a time, to be counted


@dataclasses.dataclass(frozen=True)
class Found:
  """The best of some brands.

  Attributes:
    row_Bxk: int64 rows of the catalogue's influencers, best first; -1 where
      fewer are left.
    place_Bxk: int64, how many of all influencers score at least as high.
  """

  row_Bxk: np.ndarray
  place_Bxk: np.ndarray


class Search:
  """Searches the influencers who pass filters that are the same for all."""

  def __init__(
    self,
    catalogue: catalogue_lib.Catalogue,
    filters: filters_lib.Filters,
    mesh: Mesh,
  ):
    """Puts the influencers on the devices, each row once.

    Args:
      catalogue: who there is.
      filters: who may be found.
      mesh: the devices.

    Raises:
      UserError: a filter can't be applied.
    """
    self.passed = filters_lib.mask(catalogue, None, filters)
    self._catalogue = catalogue
    self._mesh = mesh
    self._skips = not filters.include_cooperating
    vector_MxD = catalogue.influencers.vector_NxD
    self._row_M = np.flatnonzero(self.passed.mask_M)
    self._outside_N = np.flatnonzero(~self.passed.mask_M)
    place = np.cumsum(self.passed.mask_M) - 1
    self._own_row_M = np.where(self.passed.mask_M, place, _NOBODY)
    if len(self._outside_N):
      if isinstance(vector_MxD, stored_vectors.StoredVectors):
        vector_MxD = vector_MxD.select(self._row_M)
      else:
        vector_MxD = vector_MxD[self._row_M]
    self._vector_MxD = vector_MxD
    # On one CPU, blocks of what is in memory are searched where they are.
    self._on_cpu = mesh.devices.flat[0].platform == 'cpu'
    self._on_devices: jax.Array | None = None
    if len(self._row_M) and not (self._on_cpu and mesh.size == 1):
      self._on_devices = _put_rows(np.asarray(vector_MxD), mesh)

  def __call__(self, rows: Sequence[int], k: int, *, block: int) -> Found:
    """Finds the best influencers of some brands.

    All processes call it alike.

    Args:
      rows: of the brands.
      k: how many influencers.
      block: brands are padded to so many, so that blocks share a program.
    """
    vectors = self._catalogue.brands.vector_NxD[rows]
    brand_BxD = np.zeros((block, vectors.shape[1]), np.float32)
    brand_BxD[: len(rows)] = vectors
    found = self._search(brand_BxD, self._skip(rows, block), k)
    count = len(rows)
    score_Bxk = np.asarray(found.scores)[:count]
    own_Bxk = np.asarray(found.rows)[:count]
    place_Bxk = _places_within(score_Bxk)
    if len(self._outside_N):
      place_Bxk += self._count_outside(brand_BxD, found.scores)[:count]
    if self._skips:
      for i, row in enumerate(rows):
        place_Bxk[i] += self._count_partners(row, score_Bxk[i])
    there = own_Bxk >= 0
    return Found(
      row_Bxk=np.where(there, self._row_M[own_Bxk], _NOBODY),
      place_Bxk=np.where(there, place_Bxk, 0),
    )

  def _skip(self, rows: Sequence[int], block: int) -> np.ndarray | None:
    """Returns int32 [block, P], partners of the brands among those who pass."""
    if not self._skips:
      return None
    lists = [
      self._own_row_M[self._catalogue.partners.get(row, [])] for row in rows
    ]
    most = max([_FEWEST, *map(len, lists)])
    skip = np.full((block, 1 << (most - 1).bit_length()), _NOBODY, np.int32)
    for line, partners in zip(skip, lists, strict=False):
      line[: len(partners)] = partners
    return skip

  def _search(
    self, brand_BxD: np.ndarray, skip_BxP: np.ndarray | None, k: int
  ) -> top_k_lib.TopK:
    k = min(k, len(self._row_M))
    block_rows = _BLOCK_ROWS_CPU if self._on_cpu else None
    if self._on_devices is None:
      return top_k_lib.top_k(
        brand_BxD,
        self._vector_MxD,
        k=k,
        skip_BxP=skip_BxP,
        block_rows=block_rows,
      )
    everywhere = sharding.replicated(self._mesh)
    found = top_k_sharded.top_k(
      sharding.put(brand_BxD, everywhere),
      self._on_devices,
      k=k,
      skip_BxP=None if skip_BxP is None else sharding.put(skip_BxP, everywhere),
      num_rows=len(self._row_M),
      mesh=self._mesh,
      block_rows=block_rows,
    )
    return multihost.fetch(found)

  def _count_outside(
    self, brand_BxD: np.ndarray, least_Bxk: np.ndarray
  ) -> np.ndarray:
    """Counts who scores as high of those who do not pass: int64 [B, k]."""
    everywhere = sharding.replicated(self._mesh)
    brands = sharding.put(brand_BxD, everywhere)
    least = sharding.put(np.asarray(least_Bxk, np.float32), everywhere)
    total = np.zeros(least_Bxk.shape, np.int64)
    vector_NxD = self._catalogue.influencers.vector_NxD
    for start in range(0, len(self._outside_N), _COUNTED_ROWS):
      rows = self._outside_N[start : start + _COUNTED_ROWS]
      padded = np.zeros((_COUNTED_ROWS, vector_NxD.shape[1]), np.float32)
      padded[: len(rows)] = vector_NxD[rows]
      counts = _count(
        brands,
        _put_rows(padded, self._mesh),
        least,
        sharding.put(np.array(len(rows), np.int32), everywhere),
      )
      total += multihost.fetch(counts)
    return total

  def _count_partners(self, row: int, least_k: np.ndarray) -> np.ndarray:
    """Counts the partners who pass and score as high: int64 [k]."""
    partners = self._catalogue.partners.get(row)
    if partners is None:
      return np.zeros(len(least_k), np.int64)
    partners = partners[self.passed.mask_M[partners]]
    vectors = self._catalogue.influencers.vector_NxD[partners]
    scores = vectors @ self._catalogue.brands.vector_NxD[row]
    return (scores[:, None] >= least_k).sum(axis=0)


def _put_rows(vector_MxD: np.ndarray, mesh: Mesh) -> jax.Array:
  on_devices: jax.Array = sharding.put_rows(vector_MxD, mesh)  # type: ignore[assignment]
  return on_devices


def _places_within(score_Bxk: np.ndarray) -> np.ndarray:
  """Returns how many of a list score at least as high: int64 [B, k], from 1."""
  k = score_Bxk.shape[1]
  place_Bxk = np.tile(np.arange(1, k + 1), (len(score_Bxk), 1))
  for i in range(k - 2, -1, -1):
    ties = score_Bxk[:, i] == score_Bxk[:, i + 1]
    place_Bxk[ties, i] = place_Bxk[ties, i + 1]
  return place_Bxk


@jax.jit
def _count(
  brand_BxD: jax.Array,
  vector_NxD: jax.Array,
  least_Bxk: jax.Array,
  num_rows: jax.Array,
) -> jax.Array:
  score_BxN = jnp.matmul(
    brand_BxD, vector_NxD.T, precision=jax.lax.Precision.HIGHEST
  )
  there_N = jnp.arange(len(vector_NxD)) < num_rows
  score_BxN = jnp.where(there_N, score_BxN, -jnp.inf)
  count_kxB = jax.lax.map(
    lambda least_B: (score_BxN >= least_B[:, None]).sum(axis=1), least_Bxk.T
  )
  return count_kxB.T
