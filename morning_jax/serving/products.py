"""Products of few accounts with all of the other side."""

from __future__ import annotations

from collections.abc import Sequence
import functools

import jax
from jax import numpy as jnp
import numpy as np

MOST = 8  # accounts of a product
_LARGEST = 1 << 30  # bytes of a side that is held a second time


class Products:
  """Scores of several accounts at once, which reads the other side once."""

  def __init__(self, vector_NxD: np.ndarray):
    """Takes the vectors of the other side.

    Args:
      vector_NxD: float32. Up to 1 GiB, it is copied to the device; larger ones
        are multiplied where they are, for one account at a time.
    """
    self._vector_NxD = vector_NxD

  @functools.cached_property
  def _on_device(self) -> jax.Array | None:
    if self._vector_NxD.nbytes > _LARGEST:
      return None
    return jnp.asarray(self._vector_NxD)

  def of(self, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Multiplies.

    Args:
      vectors: float32 [D] of up to `MOST` accounts.

    Returns:
      For each, float32 [N]. What several have at once may differ in its last
      bits from what each has alone.
    """
    if len(vectors) == 1 or self._on_device is None:
      return [self._vector_NxD @ vector_D for vector_D in vectors]
    few_KxD = np.zeros((MOST, self._vector_NxD.shape[1]), np.float32)
    few_KxD[: len(vectors)] = vectors
    score_KxN = np.asarray(_product(few_KxD, self._on_device))
    # Copies: a row that is kept must not keep the others.
    return [row_N.copy() for row_N in score_KxN[: len(vectors)]]


@jax.jit
def _product(few_KxD: jax.Array, vector_NxD: jax.Array) -> jax.Array:
  return jnp.matmul(few_KxD, vector_NxD.T, precision=jax.lax.Precision.HIGHEST)
