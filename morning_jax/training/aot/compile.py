"""Compiles the training step for accelerators that are not attached.

The compiler for TPUs comes with libtpu and needs no TPU. What is compiled is
one step, `step.update` of a batch, with arrays of given sizes and no
data: the compiler's cost figures count a loop's body once, and a dispatch of
many steps is such a loop. The shuffle at an epoch's end is left out. Where the
host brings the batches (`config.data.placement='stream'`), the step takes one,
and what is held of others is added to its memory. The ring
of `all_pairs` is a loop as well; its cost is found by compiling the step twice,
with one and with two blocks in the loop's body.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections

from morning_jax.core import sharding
from morning_jax.losses import ring
from morning_jax.model import factory
from morning_jax.training import config_check
from morning_jax.training import loss_fn
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import step as step_lib
from morning_jax.training.aot import chips
from morning_jax.training.aot import hlo
from morning_jax.training.aot import input_shapes
from morning_jax.training.aot import topology as topology_lib


@dataclasses.dataclass(frozen=True)
class Report:
  """What one step needs of each device.

  Attributes:
    topology: its name.
    mesh: axis -> size.
    batch_size: pairs of a step, over all devices.
    chip: peak rates of one device.
    memory: kind -> bytes; empty where the compiler gave up for lack of memory.
    out_of_memory: what the compiler said then; '' where it compiled.
    flops: floating-point operations of a step.
    bytes_accessed: bytes that the operations of a step read and write; what
      stays in on-chip memory is counted too, so HBM sees less.
    collectives: the operations that exchange data.
  """

  topology: str
  mesh: Mapping[str, int]
  batch_size: int
  chip: chips.Chip
  memory: Mapping[str, int]
  out_of_memory: str
  flops: float
  bytes_accessed: float
  collectives: list[hlo.Collective]

  @property
  def fits(self) -> bool:
    """Whether the step's memory is within the device's."""
    return (
      not self.out_of_memory and self.memory['total'] <= self.chip.memory_bytes
    )

  @property
  def seconds(self) -> dict[str, float]:
    """Least time of a step at the published peaks, by what limits it.

    `at_least`: everything overlaps; `one_after_another`: exchange waits for
    computation.
    """
    sent = sum(c.bytes_sent for c in self.collectives)
    compute = self.flops / self.chip.flops
    memory = self.bytes_accessed / self.chip.memory_rate
    exchange = sent / self.chip.link_rate
    return {
      'compute': compute,
      'memory': memory,
      'exchange': exchange,
      'at_least': max(compute, memory, exchange),
      'one_after_another': max(compute, memory) + exchange,
    }


def lower_step(
  config: ml_collections.ConfigDict,
  sizes: input_shapes.Sizes,
  mesh: Mesh,
  *,
  ring_unroll: int = 1,
) -> jax.stages.Lowered:
  """Lowers one training step for a mesh.

  Args:
    config: the whole configuration.
    sizes: sizes of the data.
    mesh: the mesh; its devices need not be attached.
    ring_unroll: blocks of scores in one loop body.

  Returns:
    The step, to be compiled.

  Raises:
    UserError: the configuration is wrong.
  """
  spec = sizes.resolve(config.model)
  model = factory.build(config.model, spec)
  graph = input_shapes.of_graph(spec, sizes, mesh)
  optimizer = optimizer_lib.plan(config, sizes.positives).optimizer
  _, state = step_lib.make_init(
    model,
    optimizer,
    factory.example_table(spec),
    mesh,
    graph=graph,
    fsdp=config.mesh.fsdp,
  )
  data = input_shapes.of_training(spec, sizes, mesh, graph=graph)
  loss = loss_fn.make_loss(config, ring_unroll=ring_unroll)
  replicated = sharding.replicated(mesh)
  batch: Any
  if config.data.placement == 'stream':
    data = dataclasses.replace(data, table=None)
    batch = input_shapes.of_batch(config, spec, sizes, mesh)
  else:
    loss = loss_fn.of_positives(config, loss)
    batch = jax.ShapeDtypeStruct(
      (config.train.batch_size,), jnp.int32, sharding=replicated
    )
  shape = jax.eval_shape(lambda: jax.random.key(0))
  key = jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=replicated)

  def step(
    state: Any,
    data: Any,
    batch: Any,
    keys: tuple[jax.Array, ...],
    learning_rate: jax.Array,
  ) -> tuple[Any, Any]:
    return step_lib.update(
      lambda params: loss(model, params, data, batch, *keys),
      optimizer,
      state,
      learning_rate=learning_rate,
    )

  with jax.set_mesh(mesh):
    return jax.jit(
      step,
      donate_argnums=0,
      keep_unused=True,  # what a step does not read lies on device all the same
      out_shardings=(jax.tree.map(lambda x: x.sharding, state), None),
    ).lower(
      state,
      data,
      batch,
      # Of dropout and, where the step draws them, of the negatives before.
      (key,) if config.data.placement == 'stream' else (key, key),
      jax.ShapeDtypeStruct((), jnp.float32, sharding=replicated),
    )


def _costs(compiled: jax.stages.Compiled) -> tuple[float, float]:
  costs: Any = compiled.cost_analysis()
  return float(costs['flops']), float(costs['bytes accessed'])


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
) -> Report:
  """Compiles one training step for a topology that is not attached.

  Args:
    config: the whole configuration; `config.mesh` lays the topology out.
    sizes: sizes of the data.
    topology: chip and shape, `v5e:4x4`.

  Returns:
    What the step needs.

  Raises:
    UserError: no such topology, a wrong configuration, or libtpu is missing.
  """
  config_check.check(config)
  found, chip = topology_lib.describe(topology)
  mesh = sharding.make_mesh(
    data=config.mesh.data, model=config.mesh.model, devices=found.devices
  )
  report = Report(
    topology=topology,
    mesh=dict(mesh.shape),
    batch_size=config.train.batch_size,
    chip=chip,
    memory={},
    out_of_memory='',
    flops=0.0,
    bytes_accessed=0.0,
    collectives=[],
  )
  try:
    compiled = lower_step(config, sizes, mesh).compile()
  except jax.errors.JaxRuntimeError as e:
    if 'RESOURCE_EXHAUSTED' not in str(e):
      raise
    return dataclasses.replace(report, out_of_memory=str(e).splitlines()[0])
  costs = _costs(compiled)
  axes = ring.axes_of(mesh)
  if (
    config.loss.kind == 'all_pairs' and config.loss.sharding == 'ring' and axes
  ):
    blocks = math.prod(mesh.shape[a] for a in axes)
    more = _costs(lower_step(config, sizes, mesh, ring_unroll=2).compile())
    # An odd block behind a loop of pairs is written out once more.
    written = 1 + blocks % 2
    costs = tuple(
      one + (blocks - 1) * max(two - one, 0.0) / written
      for one, two in zip(costs, more, strict=True)
    )
  analysis: Any = compiled.memory_analysis()
  memory = {
    'arguments': analysis.argument_size_in_bytes,
    'batches ahead': _batches_ahead(config, sizes, mesh),
    'outputs': analysis.output_size_in_bytes - analysis.alias_size_in_bytes,
    'temporaries': analysis.temp_size_in_bytes,
    'program': analysis.generated_code_size_in_bytes,
  }
  return dataclasses.replace(
    report,
    memory={**memory, 'total': sum(memory.values())},
    flops=costs[0],
    bytes_accessed=costs[1],
    collectives=hlo.collectives(
      compiled.as_text() or '', num_devices=mesh.size
    ),
  )
