"""The paper's recipe: steps of 16 triplets, 100 epochs of 211."""

from __future__ import annotations

from collections.abc import Iterator
import time

import jax

from morning_jax.benchmarks import costs
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import workload

# The 3,385 positives of the data that the paper trains on, 16 at a time;
# taken for all data, so that figures compare.
STEPS_PER_EPOCH = 211
_EPOCHS = {'cpu': 1}  # unless the user gives a number
_ALL = 100


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures the recipe's steps, after compilation and without evaluation.

  Args:
    options: `bundle`, `epochs`, `quick`, `repeats`.
    rates: of this machine.

  Yields:
    Steps per second, the median over pieces of an epoch; and the seconds of
    all epochs.
  """
  epochs = options.epochs or _EPOCHS.get(jax.devices()[0].platform, _ALL)
  config = workload.recipe('paper', quick=options.quick)
  work = workload.prepare(
    config, workload.load(options.bundle, quick=options.quick)
  )
  # A short run is timed in several pieces, or it would have no spread.
  pieces = min(options.repeats, STEPS_PER_EPOCH)
  if epochs >= options.repeats:
    pieces = 1
  length = STEPS_PER_EPOCH // pieces
  count = epochs * pieces
  jax.block_until_ready(work.run(length))
  seconds = []
  for _ in range(count):
    start = time.perf_counter()
    jax.block_until_ready(work.run(length))
    seconds.append(time.perf_counter() - start)
  flops, moved = costs.step(work)
  parameters = {
    'implementation': 'morning_jax',
    'batch_size': config.train.batch_size,
    'model_parameters': workload.count(work.state.params),
    'steps': count * length,
  }
  also = {
    'MB/step': moved / 1e6,
    'GFLOP/step': flops / 1e9,
    'steps/s by bytes alone': rates.memory / moved,
  }
  yield harness.measured(
    'paper',
    parameters,
    seconds,
    rates.limit(flops=length * flops, moved=length * moved),
    work=float(length),
    unit='steps/s',
    also=also,
  )
  steps = count * length
  yield harness.measured(
    'paper',
    parameters,
    [sum(seconds)],
    rates.limit(flops=steps * flops, moved=steps * moved),
    also=also,
  )
