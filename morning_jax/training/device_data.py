"""What a step of training reads, on device, and the batches in it."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.struct
import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import packed_rows
from morning_jax.core import row_exchange
from morning_jax.core import sharding
from morning_jax.data import splits
from morning_jax.losses import negative_sampling
from morning_jax.training import sampler


@flax.struct.dataclass
class TrainingData:
  """All that a step reads, on device.

  Attributes:
    table: features of all accounts, rows sharded over `data` and packed; None
      where the host brings each batch's.
    lists: the positives of each brand.
    brand_row_B: account row of each training brand, padded.
    candidate_row_M: account row of each training influencer, padded; sharded
      over `data`.
    brand_P: brand of each positive, padded; sharded over `data`, as are the
      lists.
    candidate_P: influencer of each positive; sharded too.
    category_B: category of each training brand, padded; -1 where unknown.
    num_positives: how many positives there are.
    graph: the attribute graph, where the model takes it.
  """

  table: packed_rows.PackedRows | None
  lists: negative_sampling.PositiveLists
  brand_row_B: jax.Array
  candidate_row_M: jax.Array
  brand_P: jax.Array
  candidate_P: jax.Array
  category_B: jax.Array
  num_positives: jax.Array
  graph: Any = None


_LEAST = 16  # entries


def padded_size(size: int) -> int:
  """Returns a size that arrays of about as many entries share.

  A program is compiled for sizes, and folds over brands differ a little in
  theirs. Above a million entries, where a compilation matters less than memory,
  nothing is added.

  Args:
    size: how many entries there are, one at least.

  Returns:
    As many, or more.
  """
  return size if size > 1 << 20 else max(_LEAST, 1 << (size - 1).bit_length())


def padded_search_steps(steps: int) -> int:
  """Returns the bisections of lists that are about as long; see above."""
  return -(-steps // 4) * 4


def padded_positives(count: int, num_devices: int) -> int:
  """Returns the length of arrays of positives on device.

  Args:
    count: how many positives there are.
    num_devices: size of the `data` axis.

  Returns:
    As many, or more: every device has a whole number of lines
    (`negative_sampling.LINE`), one at least.
  """
  whole = negative_sampling.LINE * num_devices
  return max(1, -(-padded_size(count) // whole)) * whole


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
  num_brands = len(split.brand_row_B)
  num_candidates = len(split.candidate_row_M)
  lists = negative_sampling.make_positive_lists(
    split.brand_P,
    split.candidate_P,
    num_brands=num_brands,
    num_candidates=num_candidates,
  )

  def put(x: Any) -> jax.Array:
    return sharding.put(np.asarray(x, np.int32), replicated)

  def put_brands(x: Any, fill: int = 0) -> jax.Array:
    more = padded_size(num_brands) - num_brands
    return put(np.pad(x, (0, more), constant_values=fill))

  def spread(x: Any, rows: int) -> jax.Array:
    padded: Any = np.pad(np.asarray(x, np.int32), (0, rows - len(x)))
    spread_A: jax.Array = sharding.put_rows(padded, mesh)
    return spread_A

  axis = mesh.shape[sharding.DATA]
  positives = padded_positives(len(split.brand_P), axis)
  by_candidate = None
  if mesh.size == 1:  # several find known pairs in another way
    by_candidate = negative_sampling.make_candidate_lists(
      split.brand_P, split.candidate_P, num_candidates=num_candidates
    )
  if by_candidate is not None:
    more = padded_size(num_candidates) - num_candidates
    by_candidate = negative_sampling.CandidateLists(
      start=put(np.pad(by_candidate.start, (0, more), mode='edge')),
      brand_P=spread(by_candidate.brand_P, positives),
    )
  return TrainingData(
    table=packed_rows.put(table, mesh)
    if isinstance(table, accounts_lib.AccountTable)
    else None,
    lists=dataclasses.replace(
      lists,
      start=put_brands(lists.start, int(lists.start[-1])),
      candidate_P=spread(lists.candidate_P, positives),
      rest_rank_P=spread(lists.rest_rank_P, positives),
      num_candidates=put(lists.num_candidates),
      by_candidate=by_candidate,
      most_candidates=padded_size(num_candidates),
      search_steps=padded_search_steps(lists.search_steps),
    ),
    brand_row_B=put_brands(split.brand_row_B),
    candidate_row_M=spread(
      split.candidate_row_M, -(-padded_size(num_candidates) // axis) * axis
    ),
    brand_P=spread(split.brand_P, positives),
    candidate_P=spread(split.candidate_P, positives),
    category_B=put_brands(split.category_B, -1),
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
  brand_P = row_exchange.take_rows(data.brand_P, positive_P)
  candidate_P = row_exchange.take_rows(data.candidate_P, positive_P)
  indices = sampler.of_positives(
    config, data.lists, brand_P, candidate_P, negative_key
  )
  table = data.table
  assert table is not None

  def take(rows: jax.Array) -> accounts_lib.AccountTable:
    words = row_exchange.take_rows(table.word_AxW, rows)
    taken: accounts_lib.AccountTable = dataclasses.replace(
      table, word_AxW=words
    ).unpack()
    return taken

  brand_row_P = data.brand_row_B[indices.brand_P]
  influencer_row_Q = row_exchange.take_rows(
    data.candidate_row_M, indices.influencers
  )
  if len(influencer_row_Q) == len(positive_P):
    # A device's brands and influencers in one exchange.
    rows_Px2 = jnp.stack([brand_row_P, influencer_row_Q], axis=1)
    word_Px2xW = row_exchange.take_rows(table.word_AxW, rows_Px2)
    brands, influencers = (
      dataclasses.replace(table, word_AxW=word_Px2xW[:, side]).unpack()
      for side in (0, 1)
    )
  else:
    brands, influencers = take(brand_row_P), take(influencer_row_Q)
  return accounts_lib.Batch(
    brand_P=indices.brand_P,
    candidate_P=indices.candidate_P,
    brands=brands,
    influencers=influencers,
  )
