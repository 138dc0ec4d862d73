"""What this machine can do: products, memory and disk, measured."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time
from typing import Any

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.benchmarks import harness


@dataclasses.dataclass(frozen=True)
class Rates:
  """Measured peak rates, the best of several repetitions each.

  Attributes:
    flops: FLOP/s of a float32 matrix product, of the default precision.
    exact_flops: the same of full precision (`Precision.HIGHEST`); an
      accelerator's default rounds its inputs.
    memory: bytes/s read and written by a stream over an array in place.
  """

  flops: float
  exact_flops: float
  memory: float

  def limit(
    self, *, flops: float, moved: float, exact: bool = False
  ) -> harness.Limit:
    """Returns the least time for so many FLOPs and bytes read or written."""
    compute = flops / (self.exact_flops if exact else self.flops)
    memory = moved / self.memory
    if compute > memory:
      return harness.Limit(compute, 'FLOPs')
    return harness.Limit(memory, 'bytes')


def _product(size: int, precision: Any) -> float:
  a = jnp.ones((size, size), jnp.float32)
  product = jax.jit(lambda a: jnp.matmul(a, a, precision=precision))
  times = harness.interleave({'': lambda: product(a)}, repeats=5)['']
  return 2.0 * size**3 / min(times)


def _stream(size: int) -> float:
  scale = jax.jit(lambda x: x * 0.999, donate_argnums=0)
  x = jnp.ones(size, jnp.float32)

  def once() -> None:
    nonlocal x
    x = jax.block_until_ready(scale(x))

  times = harness.interleave({'': once}, repeats=9)['']
  return 2.0 * 4 * size / min(times)


def measure(*, quick: bool) -> Rates:
  """Measures the first device by a matrix product and a stream.

  Args:
    quick: whether to take arrays so small that the figures mean little.
  """
  accelerator = jax.devices()[0].platform != 'cpu'
  size = 256 if quick else 8192 if accelerator else 3072
  exact = _product(size, jax.lax.Precision.HIGHEST)
  return Rates(
    flops=_product(size, None) if accelerator else exact,
    exact_flops=exact,
    # Far beyond every cache: 256 MiB, or 2 GiB on an accelerator.
    memory=_stream(1 << 16 if quick else 1 << 29 if accelerator else 1 << 26),
  )


def sync(path: pathlib.Path) -> None:
  """Waits until a file, or all files of a folder, are on the disk."""
  files = path.rglob('*') if path.is_dir() else [path]
  for file in files:
    if file.is_file():
      fd = os.open(file, os.O_RDONLY)
      os.fsync(fd)
      os.close(fd)


def forget(path: pathlib.Path) -> None:
  """Drops a file, or all files of a folder, from the page cache.

  Where the system has no such call, reads are measured from memory.
  """
  files = path.rglob('*') if path.is_dir() else [path]
  for file in files:
    if file.is_file() and hasattr(os, 'posix_fadvise'):
      fd = os.open(file, os.O_RDONLY)
      os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
      os.close(fd)


def disk(folder: pathlib.Path, *, size: int) -> tuple[float, float]:
  """Measures a disk with one file: bytes/s written and read, best of three.

  Args:
    folder: on the disk.
    size: bytes of the file.
  """
  path = folder / 'disk.bin'
  content = np.random.default_rng(0).bytes(size)
  written, read = [], []
  for _ in range(3):
    start = time.perf_counter()
    path.write_bytes(content)
    sync(path)
    written.append(time.perf_counter() - start)
    forget(path)
    start = time.perf_counter()
    path.read_bytes()
    read.append(time.perf_counter() - start)
  path.unlink()
  return size / min(written), size / min(read)
