"""Data of the benchmarks."""

import pytest

from morning_jax.benchmarks import workload


@pytest.fixture(scope='module')
def small():
  return workload.load(None, quick=True)
