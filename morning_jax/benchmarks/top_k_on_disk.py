"""Exact top-k of a catalogue on disk, beside the rate of the disk."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import tempfile
import time

import numpy as np

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import memory
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import top_k
from morning_jax.recommend import index
from morning_jax.recommend import top_k as top_k_lib

_READ = 1 << 24  # bytes at a time, of the disk's own rate


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures the search of a file that is not in the page cache.

  Reading the same file without searching it, in turns with the search, tells
  the disk's rate at that time.

  Args:
    options: `influencers`, `width`, `brands`, `k`, `repeats`, `folder`.
    rates: of this machine.

  Yields:
    Brands per second; the limit is the slower of disk and product. How much
    memory the search took at its peak, mapped pages of the file included.
  """
  rows, width, k = options.influencers, options.width, options.k
  brand_BxD = np.random.default_rng(1).standard_normal(
    (options.brands, width), np.float32
  )
  with tempfile.TemporaryDirectory(dir=options.folder) as folder:
    path = pathlib.Path(folder, 'catalogue.npy')
    _write(path, rows, width)
    catalogue_MxD = index.open_index(path)

    def search() -> top_k_lib.TopK:
      return top_k_lib.top_k(brand_BxD, catalogue_MxD, k=min(k, rows))

    search()  # compiles
    rates_lib.forget(path)
    peak = memory.peak_beyond(search)
    seconds: list[float] = []
    reading: list[float] = []
    for _ in range(options.repeats):
      rates_lib.forget(path)
      reading.append(_read(path))
      rates_lib.forget(path)
      start = time.perf_counter()
      search()
      seconds.append(time.perf_counter() - start)
  limit = rates.limit(
    flops=2.0 * options.brands * rows * width,
    moved=4.0 * rows * width,
    exact=True,
  )
  disk = float(np.median(reading))
  if disk > limit.seconds:
    limit = harness.Limit(disk, 'disk')
  yield harness.measured(
    'ranking_on_disk',
    {
      'influencers': rows,
      'width': width,
      'brands': options.brands,
      'k': min(k, rows),
    },
    seconds,
    limit,
    work=float(options.brands),
    unit='brands/s',
    also={
      'seconds': float(np.median(seconds)),
      'seconds to read': disk,
      'MB/s': 4e-6 * rows * width / float(np.median(seconds)),
      'MB/s of the disk': 4e-6 * rows * width / disk,
      **({} if peak is None else {'peak MB': peak / 1e6}),
    },
  )


def _write(path: pathlib.Path, rows: int, width: int) -> None:
  catalogue_MxD = np.lib.format.open_memmap(
    path, mode='w+', dtype=np.float32, shape=(rows, width)
  )
  top_k.fill(catalogue_MxD)
  catalogue_MxD.flush()
  rates_lib.sync(path)


def _read(path: pathlib.Path) -> float:
  """Returns how many seconds it takes to read a file."""
  buffer = bytearray(_READ)
  start = time.perf_counter()
  with path.open('rb', buffering=0) as file:
    while file.readinto(buffer):
      pass
  return time.perf_counter() - start
