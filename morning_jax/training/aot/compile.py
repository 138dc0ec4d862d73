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

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections

from morning_jax.core import sharding
from morning_jax.losses import sharded
from morning_jax.model import factory
from morning_jax.training import config_check
from morning_jax.training import loss_fn
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import step as step_lib
from morning_jax.training.aot import chips
from morning_jax.training.aot import hlo
from morning_jax.training.aot import input_shapes
from morning_jax.training.aot import operations as operations_lib
from morning_jax.training.aot import topology as topology_lib

_COSTLIEST = 8  # operations that a report keeps, of either cost


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
    off_chip_bytes: those of `bytes_accessed` that are to and from HBM, by the
      program's own layouts (`operations`).
    operations: those that cost most in memory or arithmetic.
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
  off_chip_bytes: float
  operations: list[operations_lib.Operation]

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

  @property
  def bound(self) -> tuple[str, str]:
    """What limits a step, and the operation that takes most of it."""
    seconds = self.seconds
    by = max(('compute', 'memory', 'exchange'), key=lambda k: seconds[k])
    if by == 'exchange':
      most = max(self.collectives, key=lambda c: c.bytes_sent)
      return 'links', f'{most.kind} {most.shapes[:60]}'
    cost = 'flops' if by == 'compute' else 'bytes'
    name = max(self.operations, key=lambda o: getattr(o, cost)).name
    return {'compute': 'arithmetic'}.get(by, by), name

  def to_json(self) -> dict[str, Any]:
    """Returns plain JSON values of one device and step, bytes and seconds."""
    found: dict[str, Any] = {
      'topology': self.topology,
      'mesh': dict(self.mesh),
      'batch_size': self.batch_size,
      'fits': self.fits,
      'memory': dict(self.memory),
      'out_of_memory': self.out_of_memory,
    }
    if self.out_of_memory:
      return found
    by, operation = self.bound
    return found | {
      'flops': self.flops,
      'bytes_accessed': self.bytes_accessed,
      'off_chip_bytes': self.off_chip_bytes,
      'bytes_sent': sum(c.bytes_sent for c in self.collectives),
      'seconds': self.seconds,
      'bound': {'by': by, 'operation': operation},
      'collectives': [
        dataclasses.asdict(c) | {'bytes_sent': c.bytes_sent}
        for c in self.collectives
      ],
    }


def lower_step(
  config: ml_collections.ConfigDict,
  sizes: input_shapes.Sizes,
  mesh: Mesh,
  *,
  unroll: int = 1,
) -> jax.stages.Lowered:
  """Lowers one training step for a mesh.

  Args:
    config: the whole configuration.
    sizes: sizes of the data.
    mesh: the mesh; its devices need not be attached.
    unroll: blocks of scores, or chunks of one, in one loop body.

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
  loss = loss_fn.make_loss(config, unroll=unroll)
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
  spec = sizes.resolve(config.model)
  example = factory.example_table(spec)
  graph = input_shapes.of_graph(spec, sizes, mesh)
  (representations, _), _ = jax.eval_shape(
    lambda key, graph: factory.build(config.model, spec).init_with_output(
      key, example, example, graph=graph
    ),
    jax.random.key(0),
    graph,
  )
  rows = -(-config.train.batch_size // mesh.size) * mesh.size
  layout = sharded.choose(
    config.loss.sharding,
    mesh.size,
    rows,
    sum(x.shape[-1] for x in representations.values()),
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
    off_chip_bytes=0.0,
    operations=[],
  )
  try:
    compiled = lower_step(config, sizes, mesh).compile()
  except jax.errors.JaxRuntimeError as e:
    if 'RESOURCE_EXHAUSTED' not in str(e):
      raise
    return dataclasses.replace(report, out_of_memory=str(e).splitlines()[0])
  costs = _costs(compiled)
  blocks = _blocks(config, sizes, mesh)
  if blocks > 1:
    more = _costs(lower_step(config, sizes, mesh, unroll=2).compile())
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
  text = compiled.as_text() or ''
  operations = list(operations_lib.operations(text))
  return dataclasses.replace(
    report,
    memory={**memory, 'total': sum(memory.values())},
    flops=costs[0],
    bytes_accessed=costs[1],
    collectives=hlo.collectives(text, num_devices=mesh.size),
    off_chip_bytes=sum(o.bytes for o in operations),
    operations=_costliest(operations),
  )
