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

  VALIDATION_SPLIT = 1
  FOLDS = 2
  BRAND_SHARES = 3
  RANDOM_SCORES = 4
  LAMBDAMART = 5
  BOOTSTRAP = 6
  RANDOMIZATION_TEST = 7
  PARAMETERS = 8
  EPOCH_ORDER = 9
  NEGATIVES = 10
  DROPOUT = 11
  WALKS = 12
  SKIP_GRAM_START = 13
  SKIP_GRAM_ORDER = 14
  SKIP_GRAM_NOISE = 15
  TOPICS_START = 16
  TOPICS_ORDER = 17
  TOPICS_HELD_OUT = 18


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
