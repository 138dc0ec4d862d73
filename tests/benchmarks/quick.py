"""What the tests of benchmarks share: tiny sizes, and what a figure must be.

Nothing here looks at how fast anything was.
"""

import importlib.util
import math

import pytest

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib

needs_torch = pytest.mark.skipif(
  importlib.util.find_spec('torch') is None,
  reason="torch is not installed (pip install 'morning_jax[benchmark]')",
)


needs_faiss = pytest.mark.skipif(
  importlib.util.find_spec('faiss') is None,
  reason="faiss is not installed (pip install 'morning_jax[benchmark]')",
)


RATES = rates_lib.Rates(flops=4e9, exact_flops=2e9, memory=1e9)


QUICK = harness.Options(
  quick=True,
  repeats=2,
  peers='none',
  batch_sizes=(8,),
  epochs=1,
  influencers=3000,
  width=16,
  brands=4,
  k=5,
  job_brands=20,
  job_influencers=300,
  parameters=(2000,),
  accounts=(200,),
  pairs=(100,),
  devices=(2,),
)


def consistent(figure: harness.Measurement) -> None:
  """Checks a figure against its limit, whatever it is."""
  for value in (figure.median, figure.limit, figure.share):
    assert math.isfinite(value)
    assert value > 0
  assert figure.spread >= 0
  rate = figure.unit != 's'
  share = figure.median / figure.limit if rate else figure.limit / figure.median
  assert share == pytest.approx(figure.share)
  if figure.ratio is not None:
    assert math.isfinite(figure.ratio['value'])
    assert figure.ratio['value'] > 0
  assert all(math.isfinite(v) for v in figure.also.values())
