"""TPU slices and GPUs that are not attached, as their compilers know them."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import os
from typing import Any

import jax
from jax.experimental import topologies

from morning_jax.core import errors
from morning_jax.training.aot import chips

# What libtpu reads where it starts: no device is looked for, and none claimed,
# so that compilers can run side by side.
_LIBTPU = {
  'TPU_SKIP_MDS_QUERY': '1',
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  # Spares warnings.
  'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
  'TPU_WORKER_HOSTNAMES': 'localhost',
}


def prepare(topology: str) -> None:
  """Sets what a compiler reads where JAX starts; call it before that.

  Args:
    topology: as `describe` takes it.
  """
  if topology.partition(':')[0] in chips.GPU_TARGETS:
    # Without a driver the plugin has no versions to compare.
    os.environ.setdefault('JAX_SKIP_CUDA_CONSTRAINTS_CHECK', '1')


def _describe_gpus(topology: str) -> tuple[Any, chips.Chip]:
  name, _, count = topology.partition(':')
  if not count.isdecimal() or not 1 <= int(count) <= chips.MOST_GPUS:
    raise errors.UserError(
      f'--topology={topology}: is no number of GPUs of one host, 1 to'
      f' {chips.MOST_GPUS}, as in {name}:8'
    )
  if not any(
    importlib.util.find_spec(f'jax_cuda{version}_plugin')
    for version in (12, 13)
  ):
    raise errors.UserError(
      "the compiler for GPUs is not installed: pip install 'morning_jax[gpu]'"
    )
  try:
    found = topologies.get_topology_desc(
      platform='cuda',
      topology_name='',
      target_config=chips.GPU_TARGETS[name],
      topology=f'1x1x{int(count)}',
    )
  except (jax.errors.JaxRuntimeError, NotImplementedError) as e:
    reason = str(e).splitlines()[0]
    raise errors.UserError(f'--topology={topology}: {reason}') from None
  return found, chips.CHIPS[name]


def describe(topology: str) -> tuple[Any, chips.Chip]:
  """Looks a topology up, without a device of the kind.

  Args:
    topology: chip and shape, `v5e:4x4`; of GPUs how many a host has, `h100:8`.

  Returns:
    The topology, and the peak rates of one of its devices.

  Raises:
    UserError: no such topology, or its compiler is not installed.
  """
  if topology.partition(':')[0] in chips.GPU_TARGETS:
    return _describe_gpus(topology)
  name, _, shape = topology.partition(':')
  sizes = shape.split('x')
  if name not in chips.CHIPS or not all(
    x.isdecimal() and int(x) for x in sizes
  ):
    raise errors.UserError(
      f'--topology={topology}: is no chip and shape as in v5e:4x4; chips:'
      f' {", ".join(chips.CHIPS)}'
    )
  if importlib.util.find_spec('libtpu') is None:
    raise errors.UserError(
      "the compiler for TPUs is not installed: pip install 'morning_jax[tpu]'"
    )
  for variable, value in _LIBTPU.items():
    os.environ.setdefault(variable, value)
  try:
    found = topologies.get_topology_desc(platform='tpu', topology_name=topology)
  except jax.errors.JaxRuntimeError as e:
    reason = str(e).splitlines()[0]
    raise errors.UserError(f'--topology={topology}: {reason}') from None
  chip = chips.CHIPS[name]
  # Some chips are two devices.
  part = math.prod(map(int, sizes)) / len(found.devices)
  return found, chips.Chip(*(x * part for x in dataclasses.astuple(chip)))
