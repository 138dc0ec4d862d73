"""What the benchmarks of training run."""

import jax
import pytest

from morning_jax.benchmarks import workload


@pytest.mark.parametrize('variant', ['', 'paper'])
def test_what_rates_limit_runs_on_the_device_they_are_of(variant, small):
  assert jax.device_count() > 1
  work = workload.prepare(workload.recipe(variant), small)
  assert list(work.mesh.devices.flat) == jax.devices()[:1]
