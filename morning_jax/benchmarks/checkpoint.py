"""Saving and restoring a training state against its size."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import shutil
import statistics
import tempfile
import time
from typing import Any

import jax
from jax import numpy as jnp

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.checkpoint import manager as checkpoint_lib

_ARRAYS = 16


def _state(parameters: int) -> dict[str, Any]:
  """Makes parameters and Adam's moments of noise, which no one compresses."""
  width = max(1, parameters // _ARRAYS)

  def tree(key: jax.Array) -> dict[str, jax.Array]:
    keys = jax.random.split(key, _ARRAYS)
    return {
      f'{i:02d}': jax.random.normal(keys[i], (width,)) for i in range(_ARRAYS)
    }

  make = jax.jit(tree)
  params, mu, nu = (make(jax.random.key(i)) for i in range(3))
  return {
    'params': params,
    'training': {'mu': mu, 'nu': nu, 'step': jnp.zeros((), jnp.int32)},
  }


def _once(
  state: dict[str, Any], folder: pathlib.Path
) -> tuple[float, float, float]:
  """Saves and restores; returns seconds blocked, until on disk, to restore."""
  saved = checkpoint_lib.Checkpoints(folder)
  start = time.perf_counter()
  saved.save(1, items=state, meta={}, metrics=None)
  blocked = time.perf_counter() - start
  saved.wait()
  rates_lib.sync(folder)
  written = time.perf_counter() - start
  saved.close()
  rates_lib.forget(folder)
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
  )
  reader = checkpoint_lib.Checkpoints(folder, read_only=True)
  start = time.perf_counter()
  restored = reader.restore(lambda meta: shapes)
  jax.block_until_ready(restored.items)
  return blocked, written, time.perf_counter() - start


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures checkpoints with their checksums, as training takes them.

  Args:
    options: `parameters`, `folder`, `repeats`, `quick`.
    rates: of this machine.

  Yields:
    For each size: the seconds that a save blocks training, until it is on the
    disk (fsync included), and of a restore from the disk.
  """
  with tempfile.TemporaryDirectory(dir=options.folder) as name:
    top = pathlib.Path(name)
    write, read = rates_lib.disk(
      top, size=1 << 16 if options.quick else 1 << 28
    )
    for parameters in options.parameters:
      state = _state(parameters)
      size = float(sum(x.nbytes for x in jax.tree.leaves(state)))
      # The first one compiles the checksums.
      runs = []
      for _ in range(1 + min(options.repeats, 5)):
        runs.append(_once(state, top / 'run'))
        shutil.rmtree(top / 'run')
      runs = runs[1:]
      blocked, written, restored = zip(*runs, strict=True)
      # While it blocks: checksums read all arrays, a copy reads and writes.
      block = harness.Limit(3 * size / rates.memory, 'bytes')
      for what, seconds, limit in (
        ('save, blocking', blocked, block),
        ('save, until on disk', written, harness.Limit(size / write, 'disk')),
        ('restore', restored, harness.Limit(size / read, 'disk')),
      ):
        yield harness.measured(
          'checkpoint',
          {
            'implementation': 'morning_jax',
            'what': what,
            'model_parameters': parameters,
          },
          seconds,
          limit,
          also={
            'MB': size / 1e6,
            'MB/s': size / 1e6 / statistics.median(seconds),
          },
        )
