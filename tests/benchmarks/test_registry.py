"""Every benchmark at tiny sizes, and their names."""

import dataclasses
import json

import pytest

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import registry
from morning_jax.benchmarks import report
from tests.benchmarks import quick

COUNTS = {
  'training': 2,
  'paper': 2,
  'encoding': 2,
  'ranking': 1,
  'ranking_on_disk': 1,
  'recommending': 2,
  'checkpoint': 3,
  'startup': 2,
  'scaling': 3,
  'serving': 4,
  # Of pictures, decoding by one thread and by all.
  'prepare': 9 + len({1, harness.num_threads()}),
}
_FAST = (
  *('encoding', 'ranking', 'ranking_on_disk', 'recommending'),
  'checkpoint',
)


@pytest.mark.parametrize(
  'name',
  [
    # The others compile much, or start processes that do.
    n if n in _FAST else pytest.param(n, marks=pytest.mark.slow)
    for n in COUNTS
  ],
)
def test_every_benchmark_runs(name, tmp_path):
  repeats = 1 if name == 'startup' else 2
  options = dataclasses.replace(
    quick.QUICK, folder=str(tmp_path), repeats=repeats
  )
  figures = list(registry.BENCHMARKS[name](options, quick.RATES))
  assert len(figures) == COUNTS[name]
  for figure in figures:
    assert figure.name == name
    quick.consistent(figure)
  parameters = [tuple(f.parameters.items()) for f in figures]
  if name != 'paper':  # there, one of seconds and one of a rate
    assert len(set(parameters)) == len(figures)
  records = [registry.as_json(f, quick.RATES) for f in figures]
  assert json.loads(json.dumps(records)) == records
  table = report.of_figures(records).splitlines()
  assert len(table) == 2 + len(figures)
  assert list(tmp_path.iterdir()) == []  # cleaned up


def test_every_benchmark_is_listed():
  assert set(registry.BENCHMARKS) == set(COUNTS)
  assert registry.choose('all') == tuple(registry.BENCHMARKS)
