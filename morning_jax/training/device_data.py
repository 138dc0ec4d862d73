"""What a step of training reads, on device, and the batches in it."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.data import splits
from morning_jax.losses import negative_sampling
from morning_jax.training import sampler


@flax.struct.dataclass
class TrainingData:
  """All that a step reads, on device.

  Attributes:
    table: features of all accounts, rows sharded over `data`; None where the
      host brings each batch's.
    lists: the positives of each brand.
    brand_row_B: account row of each training brand.
    candidate_row_M: account row of each training influencer.
    brand_P: brand of each positive.
    candidate_P: influencer of each positive.
    category_B: category of each training brand; -1 where unknown.
    num_positives: how many positives there are; arrays may be padded.
    graph: the attribute graph, where the model takes it.
  """

  table: accounts_lib.AccountTable | None
  lists: negative_sampling.PositiveLists
  brand_row_B: jax.Array
  candidate_row_M: jax.Array
  brand_P: jax.Array
  candidate_P: jax.Array
  category_B: jax.Array
  num_positives: jax.Array
  graph: Any = None


def put_data(
  split: splits.Split,
  table: accounts_lib.Rows,
  mesh: Mesh,
  *,
  graph: Any = None,
) -> TrainingData:
  """Puts a training split and its accounts on the mesh.

  Args:
    split: what is trained on.
    table: features of all accounts; put on device if it is an AccountTable.
    mesh: the mesh.
    graph: the attribute graph, where the model takes it.

  Returns:
    The data on device.
  """
  replicated = sharding.replicated(mesh)
  lists = negative_sampling.make_positive_lists(
    split.brand_P,
    split.candidate_P,
    num_brands=len(split.brand_row_B),
    num_candidates=len(split.candidate_row_M),
  )

  def put(x: Any) -> jax.Array:
    return sharding.put(np.asarray(x, np.int32), replicated)

  return TrainingData(
    table=sharding.put_rows(table, mesh)
    if isinstance(table, accounts_lib.AccountTable)
    else None,
    lists=jax.tree.map(put, lists),
    brand_row_B=put(split.brand_row_B),
    candidate_row_M=put(split.candidate_row_M),
    brand_P=put(split.brand_P),
    candidate_P=put(split.candidate_P),
    category_B=put(split.category_B),
    num_positives=put(np.int32(len(split.brand_P))),
    graph=sharding.put_large(graph, mesh),
  )


def gather(
  config: ml_collections.ConfigDict,
  data: TrainingData,
  positive_P: jax.Array,
  negative_key: jax.Array,
) -> accounts_lib.Batch:
  """Gathers a batch's accounts from the table on device.

  Args:
    config: the whole configuration.
    data: what lies on device.
    positive_P: the positives of the batch.
    negative_key: what negatives are drawn with.

  Returns:
    The batch.
  """
  indices = sampler.of_positives(
    config,
    data.lists,
    data.brand_P[positive_P],
    data.candidate_P[positive_P],
    negative_key,
  )
  assert data.table is not None
  return accounts_lib.Batch(
    brand_P=indices.brand_P,
    candidate_P=indices.candidate_P,
    brands=data.table[data.brand_row_B[indices.brand_P]],
    influencers=data.table[data.candidate_row_M[indices.influencers]],
  )
