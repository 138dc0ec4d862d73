"""Exact top-k of a large catalogue, beside faiss.IndexFlatIP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import importlib
import os
from typing import Any

import jax
import numpy as np

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import memory
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.recommend import top_k as top_k_lib
from morning_jax.reporting import console

_SPARE = 2 << 30  # bytes of memory left for the search and everything else
_CHUNK = 1 << 14


def rows_that_fit(options: harness.Options) -> int:
  """Returns a catalogue's rows, fewer than wanted where memory is short.

  Args:
    options: `influencers`, `width` and `k`.
  """
  available = os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  try:
    with open('/proc/meminfo', encoding='ascii') as file:
      fields = dict(line.split(':') for line in file)
    available = int(fields['MemAvailable'].split()[0]) * 1024
  except (OSError, KeyError):
    pass  # only free pages are known
  fit = int(max(available - _SPARE, 0) // (4 * options.width))
  rows = min(options.influencers, max(fit, options.k))
  if rows < options.influencers:
    console.note(
      f'memory allows {rows:,} influencers, not {options.influencers:,}'
    )
  return rows


def fill(catalogue_MxD: np.ndarray) -> None:
  """Fills a catalogue with noise, float32, in memory or in a mapped file."""
  rng = np.random.default_rng(0)
  for first in range(0, len(catalogue_MxD), _CHUNK):
    rows_RxD = catalogue_MxD[first : first + _CHUNK]
    rng.standard_normal(out=rows_RxD, dtype=np.float32)


def _in_memory(rows: int, width: int) -> np.ndarray:
  catalogue_MxD = np.empty((rows, width), np.float32)
  fill(catalogue_MxD)
  return catalogue_MxD


def _with_faiss(rows: int, width: int) -> tuple[Any, np.ndarray]:
  """Makes an index, and its own memory as an array: held once, not twice."""
  faiss: Any = importlib.import_module('faiss')
  faiss.omp_set_num_threads(harness.num_threads())
  index = faiss.IndexFlatIP(width)
  # Resized once: memory that grows in steps would be copied.
  index.codes.resize(rows * width * 4)
  index.ntotal = rows
  array = faiss.rev_swig_ptr(index.get_xb(), rows * width)
  catalogue_MxD = array.reshape(rows, width)
  fill(catalogue_MxD)
  return index, catalogue_MxD


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures the search for all brands at once, with the same threads.

  Args:
    options: `influencers`, `width`, `brands`, `k`, `peers`, `repeats`.
    rates: of this machine.

  Yields:
    Brands per second of either implementation, and the peak of memory beyond
    the catalogue itself.

  Raises:
    RuntimeError: the two find different influencers.
  """
  rows, width = rows_that_fit(options), options.width
  brand_BxD = np.random.default_rng(1).standard_normal(
    (options.brands, width), np.float32
  )
  index = None
  if harness.has_peer('faiss', options):
    index, catalogue_MxD = _with_faiss(rows, width)
  else:
    catalogue_MxD = _in_memory(rows, width)
  searched: Any = catalogue_MxD
  if jax.devices()[0].platform != 'cpu':
    searched = jax.device_put(catalogue_MxD)
  k = min(options.k, rows)
  calls: dict[str, Callable[[], Any]] = {
    'morning_jax': lambda: top_k_lib.top_k(brand_BxD, searched, k=k)
  }
  if index is not None:
    calls['faiss.IndexFlatIP'] = lambda: index.search(brand_BxD, k)
    _check_same(calls['morning_jax'](), calls['faiss.IndexFlatIP']())
  peaks = {name: memory.peak_beyond(call) for name, call in calls.items()}
  seconds = harness.interleave(calls, repeats=options.repeats, warm_up=0)
  limit = rates.limit(
    flops=2.0 * options.brands * rows * width,
    moved=4.0 * rows * width,
    exact=True,
  )
  for name, values in seconds.items():
    others = [(n, v) for n, v in seconds.items() if n != name]
    peak = peaks[name]
    yield harness.measured(
      'ranking',
      {
        'implementation': name,
        'influencers': rows,
        'width': width,
        'brands': options.brands,
        'k': k,
        'threads': harness.num_threads(),
      },
      values,
      limit,
      work=float(options.brands),
      unit='brands/s',
      peer=others[0] if others and name == 'morning_jax' else None,
      also={
        'seconds': float(np.median(values)),
        'catalogue MB': 4e-6 * rows * width,
        **({} if peak is None else {'peak MB beyond it': peak / 1e6}),
      },
    )


def _check_same(ours: top_k_lib.TopK, theirs: tuple[np.ndarray, Any]) -> None:
  """Checks that both found the same scores; equal scores may change places."""
  if not np.allclose(ours.scores, theirs[0], rtol=1e-4, atol=1e-3):
    raise RuntimeError('top_k and faiss find different influencers')
