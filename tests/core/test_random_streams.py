import itertools

import jax
import numpy as np
import pytest

from morning_jax.core import random_streams
from morning_jax.core.random_streams import Stream


@pytest.mark.parametrize('seed', [0, 1, 2**32 - 1])
def test_no_two_streams_share_a_key(seed):
  keys = [
    tuple(jax.random.key_data(random_streams.key(seed, s)).tolist())
    for s in Stream
  ]
  # What a step, an epoch or a walk folds in must not lead to another stream.
  folded = [
    tuple(
      jax.random.key_data(
        jax.random.fold_in(random_streams.key(seed, s), i)
      ).tolist()
    )
    for s in Stream
    for i in range(20)
  ]
  split = [
    tuple(row)
    for s in Stream
    for row in jax.random.key_data(
      jax.random.split(random_streams.key(seed, s), 3)
    ).tolist()
  ]
  # split(k)[i] is fold_in(k, i): of one stream, code does one or the other.
  assert set(split) <= set(folded)
  assert len(set(keys) | set(folded)) == len(keys) + len(folded)


def test_streams_and_paths_give_other_numbers():
  draws = [
    tuple(random_streams.generator(seed, s, *path).random(4).tolist())
    for seed, s, path in itertools.product(
      (0, 1), Stream, ((), (0, 1), (1, 0), (2,))
    )
  ]
  assert len(set(draws)) == len(draws)
  again = random_streams.generator(0, Stream.FOLDS).random(4)
  assert np.array_equal(
    again, random_streams.generator(0, Stream.FOLDS).random(4)
  )
