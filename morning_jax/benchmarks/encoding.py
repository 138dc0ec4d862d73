"""Accounts encoded per second against batch size."""

from __future__ import annotations

from collections.abc import Iterator
import functools

import numpy as np

from morning_jax.benchmarks import costs
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import workload
from morning_jax.core import accounts as accounts_lib
from morning_jax.evaluation import encode as encode_lib


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures the encoder that evaluation uses, features coming from the host.

  Args:
    options: `batch_sizes`, `bundle`, `quick`, `repeats`.
    rates: of this machine.

  Yields:
    One figure for each recipe and batch size.
  """
  dataset = workload.load(options.bundle, quick=options.quick)
  for variant in ('paper', ''):
    config = workload.recipe(variant, quick=options.quick)
    work = workload.prepare(config, dataset)
    params = work.state.params
    features = sum(x.shape[1] for x in work.table.features.values())
    for batch_size in options.batch_sizes:
      scorer = encode_lib.Scorer(
        work.model, work.table, work.mesh, batch_size=batch_size
      )
      # Whole batches: the last one would be padded.
      batches = 2 if options.quick else max(4, 2048 // batch_size)
      rows = accounts_lib.AccountRows(
        np.resize(np.asarray(work.data.candidate_row_M), batches * batch_size)
      )
      seconds = harness.interleave(
        {'': functools.partial(scorer.encode, params, rows, role='influencer')},
        repeats=options.repeats,
      )['']
      outputs = costs.width(work)
      moved = 4.0 * (
        batches * workload.count(params) + len(rows) * (features + outputs)
      )
      yield harness.measured(
        'encoding',
        {
          'implementation': 'morning_jax',
          'recipe': variant or 'default',
          'batch_size': batch_size,
          'model_parameters': workload.count(params),
        },
        seconds,
        rates.limit(
          flops=len(rows) * costs.encoding_flops(params), moved=moved
        ),
        work=float(len(rows)),
        unit='accounts/s',
      )
