"""The paper's recipe."""

import dataclasses

import pytest

from morning_jax.benchmarks import registry
from tests.benchmarks import quick


@pytest.mark.slow
def test_an_epoch_has_no_more_pieces_than_steps():
  options = dataclasses.replace(quick.QUICK, repeats=300)
  figure, _ = registry.BENCHMARKS['paper'](options, quick.RATES)
  assert figure.parameters['steps'] == 211
