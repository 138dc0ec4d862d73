"""Training throughput against batch size, beside PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import importlib
from typing import Any

from morning_jax.benchmarks import costs
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import workload
from morning_jax.core import accounts as accounts_lib

# Loss -> variant of configs/morning.py, and what a step counts.
_RECIPES = {'triplet': ('paper', 'triplets'), 'all_pairs': ('', 'positives')}
_STEPS = 2  # of one repetition, at the least
_ROWS = 512  # triplets or positives of one repetition, at the least


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures steps of the paper's recipe (`triplet`) and of the default one.

  Args:
    options: `batch_sizes`, `bundle`, `peers`, `quick`, `repeats`.
    rates: of this machine.

  Yields:
    One figure for each loss, batch size and implementation.
  """
  with_torch = harness.has_peer('torch', options)
  dataset = workload.load(options.bundle, quick=options.quick)
  for kind in _RECIPES:
    for batch_size in options.batch_sizes:
      yield from _measure(
        kind, batch_size, dataset, options, rates, with_torch=with_torch
      )


def _measure(
  kind: str,
  batch_size: int,
  dataset: accounts_lib.Dataset,
  options: harness.Options,
  rates: rates_lib.Rates,
  *,
  with_torch: bool,
) -> Iterator[harness.Measurement]:
  variant, unit = _RECIPES[kind]
  config = workload.recipe(variant, quick=options.quick)
  config.train.batch_size = batch_size
  work = workload.prepare(config, dataset)
  steps = 2 if options.quick else max(_STEPS, _ROWS // batch_size)
  calls: dict[str, Callable[[], Any]] = {'morning_jax': lambda: work.run(steps)}
  if with_torch:
    pytorch: Any = importlib.import_module('morning_jax.benchmarks.pytorch')
    trainer = pytorch.Trainer(work)
    calls['pytorch'] = lambda: trainer.run(steps)
  seconds = harness.interleave(calls, repeats=options.repeats)
  flops, moved = costs.step(work)
  limit = rates.limit(flops=steps * flops, moved=steps * moved)
  for name, values in seconds.items():
    others = [(k, v) for k, v in seconds.items() if k != name]
    figure = harness.measured(
      'training',
      {
        'implementation': name,
        'loss': kind,
        'batch_size': batch_size,
        'model_parameters': workload.count(work.state.params),
      },
      values,
      limit,
      work=float(steps * batch_size),
      unit=f'{unit}/s',
      peer=others[0] if others and name == 'morning_jax' else None,
    )
    figure.also['steps/s'] = figure.median / batch_size
    yield figure
