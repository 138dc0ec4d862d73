"""Programs that are compiled for devices that are not there, job by job.

`train` is one step, `step.update` of a batch; `encode` one block of accounts as
`evaluation.encode` encodes them; `ranking` the search of `recommend.top_k` in a
catalogue that is sharded over all devices.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import ml_collections

from morning_jax.core import sharding
from morning_jax.evaluation import encode as encode_lib
from morning_jax.model import factory
from morning_jax.recommend import top_k_sharded
from morning_jax.training import loss_fn
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import step as step_lib
from morning_jax.training.aot import input_shapes

JOBS = ('train', 'encode', 'ranking')
# Of `ranking`: brands of one search, and how many influencers each gets.
BRANDS, K = 64, 100


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


def width_of_representation(
  config: ml_collections.ConfigDict, sizes: input_shapes.Sizes, mesh: Mesh
) -> int:
  """Returns how many numbers an account's representation has."""
  spec = sizes.resolve(config.model)
  example = factory.example_table(spec)
  (representations, _), _ = jax.eval_shape(
    lambda key, graph: factory.build(config.model, spec).init_with_output(
      key, example, example, graph=graph
    ),
    jax.random.key(0),
    input_shapes.of_graph(spec, sizes, mesh),
  )
  return sum(x.shape[-1] for x in representations.values())


def lower_encode(
  config: ml_collections.ConfigDict, sizes: input_shapes.Sizes, mesh: Mesh
) -> jax.stages.Lowered:
  """Lowers the encoding of one block of influencers.

  Args:
    config: the whole configuration; `evaluation.batch_size` is the block's.
    sizes: sizes of the data.
    mesh: the mesh; its devices need not be attached.

  Returns:
    The program, to be compiled.
  """
  spec = sizes.resolve(config.model)
  model = factory.build(config.model, spec)
  graph = input_shapes.of_graph(spec, sizes, mesh)
  _, state = step_lib.make_init(
    model,
    optimizer_lib.plan(config, sizes.positives).optimizer,
    factory.example_table(spec),
    mesh,
    graph=graph,
    fsdp=config.mesh.fsdp,
  )
  axis = mesh.shape[sharding.DATA]
  count = -(-config.evaluation.batch_size // axis) * axis
  block = input_shapes.of_accounts(
    spec,
    sizes.most_attributes,
    count,
    NamedSharding(mesh, PartitionSpec(sharding.DATA)),
  )
  with jax.set_mesh(mesh):
    encode: Any = encode_lib.make_encode(model)
    lowered: jax.stages.Lowered = encode.lower(
      {'params': state.params}, block, graph, 'influencer'
    )
  return lowered


def lower_ranking(
  config: ml_collections.ConfigDict, sizes: input_shapes.Sizes, mesh: Mesh
) -> jax.stages.Lowered:
  """Lowers the search for the best influencers of some brands.

  Args:
    config: the whole configuration.
    sizes: sizes of the data; `influencers` is the catalogue's.
    mesh: the mesh; its devices need not be attached.

  Returns:
    The program, to be compiled.
  """
  width = width_of_representation(config, sizes, mesh)
  axis = mesh.shape[sharding.DATA]
  rows = NamedSharding(mesh, PartitionSpec(sharding.DATA))
  brand_BxD: Any = jax.ShapeDtypeStruct(
    (BRANDS, width), jnp.float32, sharding=sharding.replicated(mesh)
  )
  catalogue_MxD: Any = jax.ShapeDtypeStruct(
    (-(-sizes.influencers // axis) * axis, width), jnp.float32, sharding=rows
  )
  return top_k_sharded.lower(
    brand_BxD,
    catalogue_MxD,
    k=min(K, sizes.influencers),
    num_rows=sizes.influencers,
    mesh=mesh,
  )
