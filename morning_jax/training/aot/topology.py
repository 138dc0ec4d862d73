"""Slices of TPUs that are not attached, as their compiler knows them."""

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


def describe(topology: str) -> tuple[Any, chips.Chip]:
  """Looks a topology up, without a device of the kind.

  Args:
    topology: chip and shape, `v5e:4x4`.

  Returns:
    The topology, and the peak rates of one of its devices.

  Raises:
    UserError: no such topology, or libtpu is not installed.
  """
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
