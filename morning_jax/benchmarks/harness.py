"""How a benchmark measures: warm-up, turns, medians, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import datetime
import importlib.metadata
import importlib.util
import os
import platform
import time
from typing import Any

import jax
import numpy as np

from morning_jax.core import errors
from morning_jax.reporting import console

_VERSIONS = (
  *('jax', 'jaxlib', 'flax', 'optax', 'numpy', 'torch', 'faiss-cpu'),
  'scikit-learn',
)


@dataclasses.dataclass(frozen=True)
class Options:
  """What the user chose, for all benchmarks.

  Attributes:
    quick: tiny sizes, to see that everything works; its figures mean nothing.
    repeats: how often each figure is measured.
    bundle: the data; the embedded world if None.
    peers: 'auto' (compare with other libraries where they are installed),
      'required' or 'none'.
    batch_sizes: of `training` and `encoding`.
    epochs: of `paper`, 211 steps each; 0: 1 on a CPU, 100 on an accelerator.
    influencers: rows of the catalogue of `ranking`.
    width: columns of the catalogue.
    brands: queries of `ranking`.
    k: how many influencers each brand gets.
    job_brands: brands of `recommending`; 0: 1,024 on a CPU, else 10,000.
    job_influencers: its influencers; 0: 100,000 on a CPU, else 1,000,000.
    parameters: numbers of parameters of `checkpoint`.
    accounts: numbers of accounts of `scaling`.
    pairs: numbers of pairs of `scaling`.
    devices: numbers of simulated devices of `scaling`.
    folder: where `checkpoint` writes; the system's temporary folder if None.
  """

  quick: bool = False
  repeats: int = 7
  bundle: str | None = None
  peers: str = 'auto'
  batch_sizes: tuple[int, ...] = (16, 64, 256, 1024)
  epochs: int = 0
  influencers: int = 1_000_000
  width: int = 1536
  brands: int = 64
  k: int = 100
  job_brands: int = 0
  job_influencers: int = 0
  parameters: tuple[int, ...] = (1_000_000, 10_000_000, 100_000_000)
  accounts: tuple[int, ...] = (10_000, 100_000, 1_000_000)
  pairs: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
  devices: tuple[int, ...] = (1, 2, 4, 8)
  folder: str | None = None


@dataclasses.dataclass(frozen=True)
class Limit:
  """The least time that the machine allows.

  Attributes:
    seconds: the time.
    by: what limits, 'FLOPs', 'bytes', ...
  """

  seconds: float
  by: str


@dataclasses.dataclass(frozen=True)
class Measurement:
  """One figure.

  Attributes:
    name: of the benchmark.
    parameters: what was measured: implementation, sizes.
    median: over the repetitions.
    spread: interquartile range.
    unit: of the median, its spread and the limit; 's' or '.../s'.
    limit: the best that the machine allows.
    limited_by: what sets the limit.
    share: of the limit that is achieved. Above 1, the work ran from caches
      that are faster than the memory whose rate was measured.
    ratio: to another implementation measured in turns with this one, a ratio
      of medians, above 1 where this one is faster; None where there is none.
    also: further figures of the same runs, in words -> number.
  """

  name: str
  parameters: dict[str, Any]
  median: float
  spread: float
  unit: str
  limit: float
  limited_by: str
  share: float
  ratio: dict[str, Any] | None = None
  also: dict[str, float] = dataclasses.field(default_factory=dict)


def interleave(
  calls: Mapping[str, Callable[[], Any]], *, repeats: int, warm_up: int = 1
) -> dict[str, list[float]]:
  """Times calls in turns, so that what disturbs one disturbs all.

  Args:
    calls: name -> what to time; it returns when the work is done, or returns
      JAX arrays, for which it waits.
    repeats: how often each is timed.
    warm_up: how often each runs before, not timed.

  Returns:
    Name -> seconds of each repetition.
  """
  for call in calls.values():
    for _ in range(warm_up):
      jax.block_until_ready(call())
  seconds: dict[str, list[float]] = {name: [] for name in calls}
  for _ in range(repeats):
    for name, call in calls.items():
      start = time.perf_counter()
      jax.block_until_ready(call())
      seconds[name].append(time.perf_counter() - start)
  return seconds


def measured(
  name: str,
  parameters: Mapping[str, Any],
  seconds: Sequence[float],
  limit: Limit,
  *,
  work: float | None = None,
  unit: str = 's',
  peer: tuple[str, Sequence[float]] | None = None,
  also: Mapping[str, float] | None = None,
) -> Measurement:
  """Sums repetitions up to one figure.

  Args:
    name: of the benchmark.
    parameters: what was measured.
    seconds: of each repetition.
    limit: the least seconds of a repetition.
    work: units of work in a repetition, for a rate; None for seconds.
    unit: of the figure: what is counted, per second, or 's'.
    peer: another implementation's name and seconds for the same work.
    also: further figures.

  Returns:
    The figure; the share of the limit is one of medians.
  """
  values = np.asarray(seconds, np.float64)
  best = limit.seconds
  if work is not None:
    values, best = work / values, work / limit.seconds
  low, middle, high = np.percentile(values, [25, 50, 75])
  ratio = None
  if peer is not None:
    value = float(np.median(peer[1]) / np.median(seconds))
    ratio = {'to': peer[0], 'value': value}
  return Measurement(
    name=name,
    parameters=dict(parameters),
    median=float(middle),
    spread=float(high - low),
    unit=unit,
    limit=float(best),
    limited_by=limit.by,
    share=float(best / middle if work is None else middle / best),
    ratio=ratio,
    also=dict(also or {}),
  )


def num_threads() -> int:
  """Returns how many cores this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def has_peer(module: str, options: Options) -> bool:
  """Tells whether to compare with another library; prints a note if not.

  Args:
    module: such as 'torch'.
    options: `peers` is what the user wants.

  Raises:
    UserError: it is required and not installed.
  """
  if options.peers == 'none':
    return False
  if importlib.util.find_spec(module) is not None:
    return True
  line = (
    f"{module} is not installed: pip install 'morning_jax[benchmark]' brings it"
  )
  if options.peers == 'required':
    raise errors.UserError(f'--peers=required: {line}')
  console.note(f'no comparison, {line}')
  return False


def environment() -> dict[str, Any]:
  """Describes where and when figures were measured, for each record."""
  device = jax.devices()[0]
  versions = {'python': platform.python_version()}
  for package in _VERSIONS:
    try:
      versions[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue
  return {
    'device': device.device_kind,
    'platform': device.platform,
    'devices': jax.device_count(),
    'threads': num_threads(),
    'versions': versions,
    'date': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
  }
