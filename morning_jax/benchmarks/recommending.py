"""The top k of every brand of a catalogue, as `launch.recommend` writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import functools
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import random_catalogue
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.core import sharding
from morning_jax.recommend import batch

_BRANDS, _INFLUENCERS = 10_000, 1_000_000  # what figures are scaled to
_K = 10
_PARTNERS = 10  # of a brand, who are left out


def sizes(options: harness.Options) -> tuple[int, int]:
  """Returns how many brands and influencers the job has.

  Args:
    options: `job_brands` and `job_influencers`, 0 for what this device does in
      seconds.
  """
  cpu = jax.devices()[0].platform == 'cpu'
  return (
    options.job_brands or (1024 if cpu else 10_000),
    options.job_influencers or (100_000 if cpu else 1_000_000),
  )


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures whole jobs: search, rows, unfinished results and the CSV file.

  The accounts are encoded already: that is a matter of the benchmark
  `encoding`.

  Args:
    options: `job_brands`, `job_influencers`, `width`, `repeats`, `quick`.
    rates: of this machine.

  Yields:
    Pairs per second for half the influencers and for all of them, in turns,
    beside the products alone. The line through the two says what the job of
    10,000 brands and 1,000,000 influencers takes: so much for each brand, its
    rows, and so much for each pair, its product.
  """
  brands, influencers = sizes(options)
  width, halves = options.width, (max(1, influencers // 2), influencers)
  mesh = sharding.make_mesh(devices=jax.devices()[:1])
  with tempfile.TemporaryDirectory(dir=options.folder) as folder:
    calls: dict[str, Callable[[], Any]] = {}
    for rows in halves:
      catalogue = random_catalogue.make(
        brands, rows, width, partners=min(_PARTNERS, rows - 1)
      )
      _ = catalogue.influencers.mean_D, catalogue.partners
      calls[str(rows)] = functools.partial(
        batch.run,
        catalogue,
        pathlib.Path(folder, 'all.csv'),
        top_k=min(_K, rows),
        mesh=mesh,
        quiet=True,
      )
    seconds = harness.interleave(calls, repeats=options.repeats)
  half, whole = (float(np.median(values)) for values in seconds.values())
  per_row = max(whole - half, 0.0) / max(halves[1] - halves[0], 1)
  fixed = max(whole - per_row * halves[1], 0.0)
  scaled = _BRANDS / brands * (fixed + per_row * _INFLUENCERS)
  blocks = -(-brands // batch.BLOCK_BRANDS)
  for rows, values in zip(halves, seconds.values(), strict=True):
    limit = rates.limit(
      flops=2.0 * brands * rows * width,
      moved=4.0 * rows * width * blocks,
      exact=True,
    )
    at_limit = limit.seconds * _BRANDS * _INFLUENCERS / (brands * rows)
    yield harness.measured(
      'recommending',
      {
        'brands': brands,
        'influencers': rows,
        'width': width,
        'k': min(_K, rows),
      },
      values,
      limit,
      work=float(brands * rows),
      unit='pairs/s',
      also={
        'seconds': float(np.median(values)),
        'ms/brand beside products': 1e3 * fixed / brands,
        'min for 10,000 x 1,000,000': scaled / 60,
        'min at the limit': at_limit / 60,
      },
    )
