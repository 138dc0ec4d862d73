"""Named random streams: every draw of a run comes from a stream of its own.

A stream's key is the seed's key folded with the stream's number, so that no two
purposes ever share random numbers, whatever the seed. Numbers are never given
to another purpose; a stream that is no longer used leaves its number free.
"""

from __future__ import annotations

import enum

import jax
import numpy as np


class Stream(enum.IntEnum):
  """What random numbers are drawn for."""

  PARAMETERS = 0
  EPOCH_ORDER = 1
  NEGATIVES = 2
  DROPOUT = 3
  WALKS = 4
  SKIP_GRAM_START = 5
  SKIP_GRAM_ORDER = 6
  SKIP_GRAM_NOISE = 7
  VALIDATION_SPLIT = 8
  FOLDS = 9
  BRAND_SHARES = 10
  RANDOM_SCORES = 11
  LAMBDAMART = 12
  BOOTSTRAP = 13
  RANDOMIZATION_TEST = 14


def key(seed: int, stream: Stream) -> jax.Array:
  """Returns the JAX key of a stream.

  Args:
    seed: of the run, 0 to 2^32 - 1.
    stream: what is drawn.
  """
  return jax.random.fold_in(jax.random.key(seed), int(stream))


def generator(seed: int, stream: Stream, *path: int) -> np.random.Generator:
  """Returns the NumPy generator of a stream.

  Args:
    seed: of the run, at least 0.
    stream: what is drawn.
    *path: further numbers, at least 0, that tell draws of one stream apart.
  """
  return np.random.default_rng([seed, int(stream), *path])
