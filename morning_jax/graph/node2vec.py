"""node2vec: vectors of the attribute graph's nodes from biased walks."""

from __future__ import annotations

import dataclasses

import jax
from jax import numpy as jnp
import numpy as np
import tqdm

from morning_jax.core import random_streams
from morning_jax.graph import attribute_graph
from morning_jax.graph import skip_gram
from morning_jax.graph import walks

# Walks that advance together; bounds the device memory of a round.
_WALKS_AT_A_TIME = 1 << 17


@dataclasses.dataclass(frozen=True)
class Node2Vec:
  """The settings of node2vec; the defaults are the paper's (SPEC section 3).

  Attributes:
    p: return parameter: how unlikely a walk goes straight back.
    q: in-out parameter: how unlikely it leaves the last node's neighbourhood.
    walks_per_node: walks that start at each node.
    length: nodes of a walk.
    skip_gram: how vectors are learned from the walks.
  """

  p: float = 1.0
  q: float = 1.0
  walks_per_node: int = 10
  length: int = 80
  skip_gram: skip_gram.SkipGram = dataclasses.field(
    default_factory=skip_gram.SkipGram
  )

  def __post_init__(self) -> None:
    if not (self.p > 0 and self.q > 0):
      raise attribute_graph.GraphError(
        f'node2vec: p={self.p}, q={self.q}; both must be positive'
      )
    for name, value in (
      ('walks_per_node', self.walks_per_node),
      ('length', self.length - 1),
      ('window', self.skip_gram.window),
      ('dimensions', self.skip_gram.dimensions),
    ):
      if value < 1:
        raise attribute_graph.GraphError(f'node2vec: {name} is too small')


def sample_walks(
  graph: attribute_graph.AttributeGraph,
  *,
  options: Node2Vec,
  seed: int = 0,
  progress: bool = False,
) -> np.ndarray:
  """Walks `walks_per_node` times from each node.

  Args:
    graph: the graph.
    options: p, q, walks a node and their length.
    seed: decides the walks.
    progress: whether to show a progress bar.

  Returns:
    int32 [walks_per_node x V, length], round by round; -1 after the only node
    of a walk that starts at a node without edges.
  """
  device_graph = walks.walk_graph(graph)
  key = random_streams.key(seed, random_streams.Stream.WALKS)
  nodes = np.arange(graph.num_nodes, dtype=np.int32)
  parts = []
  with tqdm.tqdm(
    total=options.walks_per_node * graph.num_nodes,
    desc='walks',
    unit='walk',
    disable=not progress,
  ) as bar:
    for number in range(options.walks_per_node):
      for first in range(0, len(nodes), _WALKS_AT_A_TIME):
        start = nodes[first : first + _WALKS_AT_A_TIME]
        walk_key = jax.random.fold_in(jax.random.fold_in(key, number), first)
        path = walks.random_walks(
          device_graph,
          jnp.asarray(start),
          walk_key,
          length=options.length,
          p=options.p,
          q=options.q,
        )
        parts.append(np.asarray(path))
        bar.update(len(start))
  return np.concatenate(parts)


def node2vec(
  graph: attribute_graph.AttributeGraph,
  *,
  options: Node2Vec | None = None,
  seed: int = 0,
  progress: bool = False,
) -> np.ndarray:
  """Learns node vectors; the same seed gives the same vectors.

  Args:
    graph: the graph.
    options: settings, the paper's by default.
    seed: decides walks, start vectors, order and noise.
    progress: whether to show progress bars.

  Returns:
    float32 [V, D]. Isolated nodes have a small random vector.
  """
  options = options or Node2Vec()
  paths = sample_walks(graph, options=options, seed=seed, progress=progress)
  return skip_gram.train_skip_gram(
    paths,
    graph.num_nodes,
    options=options.skip_gram,
    seed=seed,
    progress=progress,
  )
