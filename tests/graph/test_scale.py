"""Co-occurrence at the sizes that it must reach; run with `-m slow -s`."""

import resource
import time

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.graph import co_occurrence


def world(num_attributes, num_brands, num_influencers, num_positives):
  """Accounts with five attributes each, and pairs of them, at random."""
  rng = np.random.default_rng(0)
  num_accounts = num_brands + num_influencers
  names = np.arange(num_attributes).astype(str)
  pairs = np.stack(
    [
      np.repeat(np.arange(num_accounts), 5),
      rng.integers(0, num_attributes, 5 * num_accounts),
    ],
    axis=1,
  )
  pairs = np.unique(pairs, axis=0)
  positives = np.stack(
    [
      rng.integers(0, num_brands, num_positives),
      num_brands + rng.integers(0, num_influencers, num_positives),
    ],
    axis=1,
  )
  return positives, accounts_lib.Attributes(
    names_V=names, ids_V=names, holder=pairs[:, 0], held=pairs[:, 1]
  )


@pytest.mark.slow
@pytest.mark.parametrize(
  'sizes',
  [(572, 286, 3_075, 3_385), (100_000, 100_000, 1_000_000, 10_000_000)],
)
def test_co_occurrence_stays_within_memory(sizes):
  num_attributes, num_brands, num_influencers, _ = sizes
  positives, attributes = world(*sizes)
  start = time.perf_counter()
  counts = co_occurrence.co_occurrence(
    positives, attributes, num_brands + num_influencers
  )
  edges, weights = co_occurrence.edges_of(counts, eta=2.0)
  seconds = time.perf_counter() - start
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  print(
    f'\n{num_attributes:,} attributes: {len(edges):,} edges in {seconds:.2f} s,'
    f' process peak {peak:.1f} GiB'
  )
  assert len(edges) == len(weights) > num_attributes
  assert edges.max() < num_attributes
  assert peak < 12
