"""Compiles the training step for accelerators that are not attached.

The compiler for TPUs comes with libtpu and needs no TPU. What is compiled is
one step, `step.update` of a batch, with arrays of given sizes and no
data: the compiler's cost figures count a loop's body once, and a dispatch of
many steps is such a loop. Where the
host brings the batches (`config.data.placement='stream'`), the step takes one,
and what is held of others is added to its memory. The ring
of `all_pairs` is a loop as well; its cost is found by compiling the step twice,
with one and with two blocks in the loop's body.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import tempfile
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections

from morning_jax.core import sharding
from morning_jax.losses import sharded
from morning_jax.training import config_check
from morning_jax.training.aot import figures
from morning_jax.training.aot import hlo
from morning_jax.training.aot import input_shapes
from morning_jax.training.aot import lowering
from morning_jax.training.aot import operations as operations_lib
from morning_jax.training.aot import topology as topology_lib

_COSTLIEST = 8  # operations that a report keeps, of either cost
_LOWER = {
  'train': lowering.lower_step,
  'encode': lowering.lower_encode,
  'ranking': lowering.lower_ranking,
}


def _costs(compiled: jax.stages.Compiled) -> tuple[float, float] | None:
  """Returns what the compiler counts, or None: that of GPUs counts nothing."""
  costs: Any = compiled.cost_analysis()
  if costs is None:
    return None
  return float(costs['flops']), float(costs['bytes accessed'])


def _compile(
  lowered: jax.stages.Lowered, *, on_gpus: bool
) -> tuple[jax.stages.Compiled, str]:
  """Compiles a program, and returns its text too.

  The text is what the compiler writes of its own work: JAX 0.10 can't read
  what libtpu makes for slices of v5p and v6e, whose asynchronous operations
  have more operands than it knows.
  """
  with tempfile.TemporaryDirectory() as folder:
    options: dict[str, Any] = {
      'xla_dump_to': folder,
      'xla_dump_hlo_as_text': True,
    }
    if on_gpus:
      options['xla_gpu_autotune_level'] = 0  # needs the card
    compiled = lowered.compile(compiler_options=options)
    (text,) = pathlib.Path(folder).glob('*after_optimizations.txt')
    return compiled, text.read_text(encoding='utf-8')


def _costliest(
  found: list[operations_lib.Operation],
) -> list[operations_lib.Operation]:
  """Returns the operations with most bytes, and those with most FLOPs."""
  most: dict[operations_lib.Operation, None] = {}
  for cost in ('bytes', 'flops'):
    ordered = sorted(found, key=lambda o: -getattr(o, cost))
    most |= dict.fromkeys(ordered[:_COSTLIEST])
  return list(most)


def _blocks(
  config: ml_collections.ConfigDict, sizes: input_shapes.Sizes, mesh: Mesh
) -> int:
  """Returns how many blocks of scores a device computes in a loop."""
  if config.loss.kind != 'all_pairs' or config.loss.sharding == 'none':
    return 1
  if not sharded.axes_of(mesh):
    return 1
  rows = -(-config.train.batch_size // mesh.size) * mesh.size
  layout = sharded.choose(
    config.loss.sharding,
    mesh.size,
    rows,
    lowering.width_of_representation(config, sizes, mesh),
    jnp.dtype(config.loss.dtype),
  )
  return sharded.num_blocks(layout, mesh.size, rows)


def _batches_ahead(
  config: ml_collections.ConfigDict, sizes: input_shapes.Sizes, mesh: Mesh
) -> int:
  """Bytes a device holds of streamed batches beside that of the step."""
  if config.data.placement != 'stream':
    return 0
  batch = input_shapes.of_batch(
    config, sizes.resolve(config.model), sizes, mesh
  )
  rows = jax.tree.leaves((batch.brands, batch.influencers))
  whole = sum(x.size * x.dtype.itemsize for x in rows)
  steps = min(
    config.train.steps_per_call,
    max(1, (config.data.stream_mib << 20) // whole),
  )
  of_device = sum(
    math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in rows
  )
  return (2 * steps - 1) * of_device  # two dispatches, see docs/streaming.md


def compile_step(
  config: ml_collections.ConfigDict,
  sizes: input_shapes.Sizes,
  *,
  topology: str,
  job: str = 'train',
) -> figures.Report:
  """Compiles one step of a job for a topology that is not attached.

  Args:
    config: the whole configuration; `config.mesh` lays the topology out.
    sizes: sizes of the data.
    topology: chip and shape, `v5e:4x4`.
    job: one of `lowering.JOBS`.

  Returns:
    What the step needs. A search is a loop, which the compiler's figures count
    once; its own are those of `operations`, and so are those of GPUs.

  Raises:
    UserError: no such topology, a wrong configuration, or no compiler for it.
  """
  config_check.check(config)
  found, chip = topology_lib.describe(topology)
  mesh = sharding.make_mesh(
    data=config.mesh.data, model=config.mesh.model, devices=found.devices
  )
  report = figures.Report(
    topology=topology,
    mesh=dict(mesh.shape),
    batch_size=config.train.batch_size,
    job=job,
    chip=chip,
    memory={},
    out_of_memory='',
    flops=0.0,
    bytes_accessed=0.0,
    collectives=[],
    off_chip_bytes=0.0,
    operations=[],
  )
  try:
    lowered = _LOWER[job](config, sizes, mesh)
    compiled, text = _compile(
      lowered, on_gpus=found.devices[0].platform != 'tpu'
    )
  except jax.errors.JaxRuntimeError as e:
    if 'RESOURCE_EXHAUSTED' not in str(e):
      raise
    return dataclasses.replace(report, out_of_memory=str(e).splitlines()[0])
  operations = list(operations_lib.operations(text))
  off_chip = sum(o.bytes for o in operations)
  costs = _costs(compiled) if job != 'ranking' else None
  blocks = _blocks(config, sizes, mesh) if job == 'train' else 1
  if costs and blocks > 1:
    more = _costs(lowering.lower_step(config, sizes, mesh, unroll=2).compile())
    assert more is not None
    # An odd block behind a loop of pairs is written out once more.
    written = 1 + blocks % 2
    rest = (blocks - 1) / written
    costs = (
      costs[0] + rest * max(more[0] - costs[0], 0.0),
      costs[1] + rest * max(more[1] - costs[1], 0.0),
    )
  costs = costs or (sum(o.flops for o in operations), off_chip)
  analysis: Any = compiled.memory_analysis()
  memory = {
    'arguments': analysis.argument_size_in_bytes,
    'batches ahead': _batches_ahead(config, sizes, mesh)
    if job == 'train'
    else 0,
    'outputs': analysis.output_size_in_bytes - analysis.alias_size_in_bytes,
    'temporaries': analysis.temp_size_in_bytes,
    'program': analysis.generated_code_size_in_bytes,
  }
  return dataclasses.replace(
    report,
    memory={**memory, 'total': sum(memory.values())},
    flops=costs[0],
    bytes_accessed=costs[1],
    collectives=hlo.collectives(text, num_devices=mesh.size),
    off_chip_bytes=off_chip,
    operations=_costliest(operations),
  )
