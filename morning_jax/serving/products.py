"""Products of few accounts with all of the other side."""

from __future__ import annotations

from collections.abc import Sequence
import functools

import jax
from jax import numpy as jnp
import numpy as np

MOST = 16  # accounts of a product
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

  @property
  def most(self) -> int:
    """How many accounts share a product at most."""
    return 1 if self._on_device is None else MOST

  @functools.cached_property
  def _on_device(self) -> jax.Array | None:
    if self._vector_NxD.nbytes > _LARGEST:
      return None
    return jnp.asarray(self._vector_NxD)

  def warm_up(self) -> None:
    """Compiles the product for every number of accounts."""
    vector_D = np.zeros(self._vector_NxD.shape[1], np.float32)
    count = 1
    while count <= MOST and self._on_device is not None:
      self.of([vector_D] * count)
      count *= 2

  def of(self, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Multiplies.

    Args:
      vectors: float32 [D] of up to `MOST` accounts.

    Returns:
      For each, float32 [N]. What several have at once may differ in its last
      bits from what each has alone.
    """
    if self._on_device is None:
      return [self._vector_NxD @ vector_D for vector_D in vectors]
    few_KxD = np.zeros(
      (_padded(len(vectors)), self._vector_NxD.shape[1]), np.float32
    )
    few_KxD[: len(vectors)] = vectors
    score_NxK = np.asarray(_product(self._on_device, few_KxD))
    # Copies: scores that are kept must not keep the others.
    return [score_NxK[:, i].copy() for i in range(len(vectors))]


def _padded(count: int) -> int:
  """Returns of how many accounts a program is that multiplies some."""
  return 1 << (count - 1).bit_length()


@jax.jit
def _product(vector_NxD: jax.Array, few_KxD: jax.Array) -> jax.Array:
  # This way round, a CPU takes half the time of the other.
  return jnp.matmul(vector_NxD, few_KxD.T, precision=jax.lax.Precision.HIGHEST)
