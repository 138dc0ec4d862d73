"""The machine's rates, and the limits they set."""

import dataclasses

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from tests.benchmarks import quick


def test_the_slower_of_two_resources_limits():
  assert quick.RATES.limit(flops=8e9, moved=1e9) == harness.Limit(2.0, 'FLOPs')
  assert quick.RATES.limit(flops=8e9, moved=3e9) == harness.Limit(3.0, 'bytes')
  assert quick.RATES.limit(flops=8e9, moved=3e9, exact=True).seconds == 4.0


def test_rates_are_measured():
  rates = rates_lib.measure(quick=True)
  assert all(v > 0 for v in dataclasses.astuple(rates))
