"""Shapes of what a step of training reads, of data that need not exist."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import ml_collections

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import input_spec
from morning_jax.core import packed_rows
from morning_jax.core import sharding
from morning_jax.graph import account_attributes
from morning_jax.graph import padded_arrays
from morning_jax.losses import negative_sampling
from morning_jax.training import device_data
from morning_jax.training import loss_table

# The published data's (SPEC section 2); of the list, how many attributes exist.
FEATURE_SIZES: Mapping[str, int] = {
  'content_image': 1365,
  'content_text': 22,
  'audience_image': 1365,
  'audience_text': 21,
  'attribute_embedding': 128,
  accounts_lib.ATTRIBUTE_LIST: 572,
}


@dataclasses.dataclass(frozen=True)
class Sizes:
  """Sizes of the data that a step would read.

  Attributes:
    brands: training brands.
    influencers: training influencers.
    positives: training pairs.
    longest_list: positives of the brand that has most.
    edges: of the attribute graph, each counted once.
    most_attributes: attributes of the account that has most.
    features: feature -> size; of the attribute list, how many attributes.
  """

  brands: int = 360
  influencers: int = 3748
  positives: int = 3960
  longest_list: int = 64
  edges: int = 17_590
  most_attributes: int = 16
  features: Mapping[str, int] = dataclasses.field(
    default_factory=lambda: dict(FEATURE_SIZES)
  )

  def resolve(self, config: ml_collections.ConfigDict) -> input_spec.InputSpec:
    """Chooses what takes part; see `input_spec.resolve`.

    Args:
      config: the `model` part of a checked configuration.
    """
    arrays = dict(self.features)
    num_attributes = arrays.pop(accounts_lib.ATTRIBUTE_LIST, 0)
    names = [str(i) for i in range(num_attributes)]
    return input_spec.resolve(config, arrays, names)[0]


def of_graph(spec: input_spec.InputSpec, sizes: Sizes, mesh: Mesh) -> Any:
  """Returns the shapes of the padded attribute graph on a mesh.

  Args:
    spec: what takes part.
    sizes: sizes of the data.
    mesh: the mesh; its devices need not be attached.

  Returns:
    A GraphsTuple of ShapeDtypeStructs, as `preprocessing.graph_of` makes it of
    arrays; None where no attribute lists are taken.
  """
  if not spec.takes_attribute_lists:
    return None
  arrays = padded_arrays.padded_shapes(
    spec.num_attributes,
    0 if spec.attribute_encoder == 'lookup' else sizes.edges,
    width=spec.node_vector_size,
  )
  return padded_arrays.from_arrays(
    {
      name: jax.ShapeDtypeStruct(
        x.shape, x.dtype, sharding=sharding.of_large(x.shape[0], mesh)
      )
      for name, x in arrays.items()
    }
  )


def of_accounts(
  spec: input_spec.InputSpec,
  most_attributes: int,
  count: int,
  where: NamedSharding,
) -> accounts_lib.AccountTable:
  """Returns the shapes of a table of so many accounts."""

  def of(*shape: int, dtype: Any) -> Any:
    return jax.ShapeDtypeStruct((count, *shape), dtype, sharding=where)

  features = spec.feature_sizes
  held = None
  if spec.takes_attribute_lists:
    held = account_attributes.HeldAttributes(
      index=of(most_attributes, dtype=jnp.int32),
      weight=of(most_attributes, dtype=jnp.float32),
    )
  return accounts_lib.AccountTable(
    features={f: of(n, dtype=jnp.float32) for f, n in features.items()},
    present={f: of(dtype=jnp.bool_) for f in features},
    held=held,
  )


def _packed(
  spec: input_spec.InputSpec,
  most_attributes: int,
  count: int,
  where: NamedSharding,
  mesh: Mesh,
) -> packed_rows.PackedRows:
  """Returns the shapes of a packed table of so many accounts."""
  table = of_accounts(spec, most_attributes, count, where)
  layout = packed_rows.layout_of(table, mesh)
  words: Any = jax.ShapeDtypeStruct(
    (count, layout.width), jnp.uint32, sharding=where
  )
  return packed_rows.PackedRows(words, layout)


def of_batch(
  config: ml_collections.ConfigDict,
  spec: input_spec.InputSpec,
  sizes: Sizes,
  mesh: Mesh,
) -> accounts_lib.Batch:
  """Returns the shapes of a batch that the host brings, as `Stream` has it.

  Args:
    config: the whole configuration.
    spec: what takes part.
    sizes: sizes of the data.
    mesh: the mesh; its devices need not be attached.

  Returns:
    ShapeDtypeStructs with their shardings.
  """
  count = config.train.batch_size
  drawn = loss_table.negatives(config)

  def rows(count: int) -> accounts_lib.AccountTable:
    even = count % mesh.shape[sharding.DATA] == 0
    axes = PartitionSpec(sharding.DATA) if even else PartitionSpec()
    return of_accounts(
      spec, sizes.most_attributes, count, NamedSharding(mesh, axes)
    )

  index: Any = jax.ShapeDtypeStruct(
    (count,), jnp.int32, sharding=sharding.replicated(mesh)
  )
  return accounts_lib.Batch(
    brand_P=index,
    candidate_P=index,
    brands=rows(count),
    influencers=rows(count * (1 + drawn)),
  )


def of_training(
  spec: input_spec.InputSpec, sizes: Sizes, mesh: Mesh, *, graph: Any = None
) -> device_data.TrainingData:
  """Returns the shapes of what `device_data.put_data` would put on a mesh.

  Args:
    spec: what takes part.
    sizes: sizes of the data.
    mesh: the mesh; its devices need not be attached.
    graph: from `of_graph`, where the model takes it.

  Returns:
    ShapeDtypeStructs with their shardings.
  """
  replicated = sharding.replicated(mesh)
  rows = NamedSharding(mesh, PartitionSpec(sharding.DATA))
  axis = mesh.shape[sharding.DATA]
  num_accounts = -(-(sizes.brands + sizes.influencers) // axis) * axis

  def integers(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.int32, sharding=replicated)

  brands = device_data.padded_size(sizes.brands)
  influencers: Any = jax.ShapeDtypeStruct(
    (-(-device_data.padded_size(sizes.influencers) // axis) * axis,),
    jnp.int32,
    sharding=rows,
  )
  positives: Any = jax.ShapeDtypeStruct(
    (device_data.padded_positives(sizes.positives, axis),),
    jnp.int32,
    sharding=rows,
  )
  most_candidates = device_data.padded_size(sizes.influencers)
  by_candidate = None
  # As of pairs that are spread evenly: the more lists, the shorter they are.
  if mesh.size == 1 and sizes.brands < sizes.influencers:
    by_candidate = negative_sampling.CandidateLists(
      start=integers(most_candidates + 1), brand_P=positives
    )
  return device_data.TrainingData(
    table=_packed(spec, sizes.most_attributes, num_accounts, rows, mesh),
    lists=negative_sampling.PositiveLists(
      start=integers(brands + 1),
      candidate_P=positives,
      rest_rank_P=positives,
      num_candidates=integers(),
      by_candidate=by_candidate,
      most_candidates=most_candidates,
      search_steps=device_data.padded_search_steps(
        sizes.longest_list.bit_length()
      ),
    ),
    brand_row_B=integers(brands),
    candidate_row_M=influencers,
    brand_P=positives,
    candidate_P=positives,
    category_B=integers(brands),
    num_positives=integers(),
    graph=graph,
  )
