"""From the start of a process to its first training step."""

from __future__ import annotations

from collections.abc import Iterator
import statistics
import tempfile
import time
from typing import Any

import jax

from morning_jax.benchmarks import child_process
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import workload

_STAGES = ('data', 'compile and first step')
# What JAX reads; without it, only programs that took a second are cached.
_CACHE = 'JAX_COMPILATION_CACHE_DIR'
_LEAST = 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'


def first_step(
  variant: str, bundle: str | None, *, quick: bool
) -> dict[str, float]:
  """Loads the data, builds everything and trains one dispatch.

  Args:
    variant: of configs/morning.py.
    bundle: the data; the embedded world if None.
    quick: whether to take tiny sizes.

  Returns:
    The seconds of each stage after the imports.
  """
  began = time.perf_counter()
  dataset = workload.load(bundle, quick=quick)
  loaded = time.perf_counter()
  config = workload.recipe(variant, quick=quick)
  work = workload.prepare(config, dataset)
  jax.block_until_ready(work.run(1))
  ended = time.perf_counter()
  return {_STAGES[0]: loaded - began, _STAGES[1]: ended - loaded}


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures fresh processes without the compilation cache and with it.

  Args:
    options: `bundle`, `repeats`, `quick`.
    rates: unused; a start is limited by its imports, which are measured here.

  Yields:
    Two figures for each recipe.
  """
  del rates
  repeats = min(options.repeats, 5)
  without = {_CACHE: '', _LEAST: ''}
  imports = [
    child_process.run('imports', {}, environment=without)[0]
    for _ in range(repeats)
  ]
  limit = harness.Limit(min(imports), 'imports')
  for variant in ('',) if options.quick else ('', 'paper'):
    arguments = {
      'variant': variant,
      'bundle': options.bundle,
      'quick': options.quick,
    }
    with tempfile.TemporaryDirectory() as cache:
      environments = {'none': without, 'warm': {_CACHE: cache, _LEAST: '0'}}
      child_process.run(
        'first_step', arguments, environment=environments['warm']
      )
      starts: dict[str, list[tuple[float, dict[str, Any]]]] = {
        name: [] for name in environments
      }
      for _ in range(repeats):
        for name, environment in environments.items():
          starts[name].append(
            child_process.run('first_step', arguments, environment=environment)
          )
    seconds = {k: [s for s, _ in v] for k, v in starts.items()}
    for name, values in seconds.items():
      yield harness.measured(
        'startup',
        {
          'implementation': 'morning_jax',
          'recipe': variant or 'default',
          'compilation_cache': name,
        },
        values,
        limit,
        peer=('no cache', seconds['none']) if name == 'warm' else None,
        also={
          stage: statistics.median(s[stage] for _, s in starts[name])
          for stage in _STAGES
        },
      )
