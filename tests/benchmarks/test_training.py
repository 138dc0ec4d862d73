"""Training throughput, beside PyTorch."""

import dataclasses

from morning_jax.benchmarks import registry
from tests.benchmarks import quick


@quick.needs_torch
def test_training_beside_pytorch():
  options = dataclasses.replace(quick.QUICK, peers='required')
  figures = list(registry.BENCHMARKS['training'](options, quick.RATES))
  names = [f.parameters['implementation'] for f in figures]
  assert names == ['morning_jax', 'pytorch'] * 2
  assert [bool(f.ratio) for f in figures] == [True, False] * 2
  for figure in figures:
    quick.consistent(figure)
