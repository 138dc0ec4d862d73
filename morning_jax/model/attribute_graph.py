"""Encoders of the attribute graph: node vectors, GCN, GAT, and their pooling.

The graph comes from `AttributeGraph.to_jraph`: edges in both directions sorted
by receiver, padding nodes behind the real ones. jraph's own convolution ignores
edge weights, so the layers are written out on segment operations.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp
import jraph

from morning_jax.core import input_spec
from morning_jax.graph import account_attributes
from morning_jax.model import encoders

# As in the graph attention of Velickovic et al. (2018).
_ATTENTION_SLOPE = 0.2


def _segment_sum(x: jax.Array, graph: jraph.GraphsTuple, size: int) -> Any:
  return jraph.segment_sum(x, graph.receivers, size, indices_are_sorted=True)


def _kernel(
  module: nn.Module, init: encoders.Initializer, size: int, width: int
) -> Any:
  partitioned = nn.with_logical_partitioning(
    init, ('feature_in', 'feature_out')
  )
  return module.param('kernel', partitioned, (size, width))


def _bias(module: nn.Module, width: int) -> Any:
  init = nn.with_logical_partitioning(nn.initializers.zeros, ('feature_out',))
  return module.param('bias', init, (width,))


class GraphConvolution(nn.Module):
  """Weighted, symmetric-normalised graph convolution.

    y = N^-1/2 (W + s I) N^-1/2 x K + b,   N_i = s + sum_j w_ij

  Edge dropout removes directed edges while training and scales the survivors'
  messages up; N stays that of the whole graph, so the expected message is the
  undropped one.

  Attributes:
    width: output size.
    self_weight: s, weight of a node's edge to itself; above 0.
    edge_dropout: probability with which an edge carries no message.
    kernel_init: initializer of K.
    dtype: type of the matrix product; messages add up in float32.
  """

  width: int
  self_weight: float = 1.0
  edge_dropout: float = 0.0
  kernel_init: encoders.Initializer = nn.initializers.lecun_normal()
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, x_VxD: jax.Array, graph: jraph.GraphsTuple, *, train: bool = False
  ) -> jax.Array:
    """Maps node features [nodes, D] to [nodes, width]."""
    size = x_VxD.shape[0]
    kernel = _kernel(self, self.kernel_init, x_VxD.shape[1], self.width)
    bias = _bias(self, self.width)
    weight = graph.edges
    scale = jax.lax.rsqrt(
      _segment_sum(weight, graph, size) + jnp.float32(self.self_weight)
    )
    share = weight * scale[graph.senders] * scale[graph.receivers]
    share = nn.Dropout(self.edge_dropout)(share, deterministic=not train)
    x, kernel, bias = nn.dtypes.promote_dtype(
      x_VxD, kernel, bias, dtype=self.dtype
    )
    x = x @ kernel
    y = _segment_sum(share[:, None] * x[graph.senders], graph, size)
    y += self.self_weight * jnp.square(scale)[:, None] * x
    return y.astype(x.dtype) + bias


class GraphAttention(nn.Module):
  """Multi-head graph attention whose prior is the edge weight.

    a_ij ~ w_ij^c exp(leaky(u . K x_i + v . K x_j)),
    y_i = sum_j a_ij K x_j + b

  over the neighbours j of i and i itself (w_ii = s). c is learned for each
  head and starts at 1: without attention, the layer is the weighted mean.

  Attributes:
    width: output size, all heads together; a multiple of `num_heads`.
    num_heads: heads, joined by concatenation.
    self_weight: s, weight of a node's edge to itself; above 0.
    edge_dropout: probability with which an edge's attention is zero while
      training; survivors are scaled up.
    kernel_init: initializer of K, u and v.
    dtype: type of the matrix product; attention is float32.
  """

  width: int
  num_heads: int = 4
  self_weight: float = 1.0
  edge_dropout: float = 0.0
  kernel_init: encoders.Initializer = nn.initializers.lecun_normal()
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, x_VxD: jax.Array, graph: jraph.GraphsTuple, *, train: bool = False
  ) -> jax.Array:
    """Maps node features [nodes, D] to [nodes, width]."""
    if self.width % self.num_heads:
      raise ValueError(f'{self.num_heads} heads do not divide {self.width}')
    size, heads = x_VxD.shape[0], self.num_heads
    per_head = self.width // heads
    kernel = _kernel(self, self.kernel_init, x_VxD.shape[1], self.width)
    bias = _bias(self, self.width)
    to_sender = self.param('sender', self.kernel_init, (per_head, heads))
    to_receiver = self.param('receiver', self.kernel_init, (per_head, heads))
    weight_power = self.param('weight_power', nn.initializers.ones, (heads,))
    x, kernel, bias = nn.dtypes.promote_dtype(
      x_VxD, kernel, bias, dtype=self.dtype
    )
    x = (x @ kernel).reshape(size, heads, per_head)
    wide = x.astype(jnp.float32)
    sender = jnp.einsum('vhc,ch->vh', wide, to_sender)
    receiver = jnp.einsum('vhc,ch->vh', wide, to_receiver)
    leaky = functools.partial(nn.leaky_relu, negative_slope=_ATTENTION_SLOPE)

    there = (graph.edges > 0)[:, None]  # padding edges carry nothing
    log_weight = jnp.log(jnp.where(there, graph.edges[:, None], 1.0))
    logit = leaky(sender[graph.senders] + receiver[graph.receivers])
    logit = jnp.where(there, logit + weight_power * log_weight, -jnp.inf)
    own = leaky(sender + receiver)
    own += weight_power * jnp.log(jnp.float32(self.self_weight))

    top = jraph.segment_max(
      logit, graph.receivers, size, indices_are_sorted=True
    )
    top = jax.lax.stop_gradient(jnp.maximum(top, own))
    share = jnp.exp(logit - top[graph.receivers])
    own = jnp.exp(own - top)
    total = _segment_sum(share, graph, size) + own
    share = share / total[graph.receivers]
    share = nn.Dropout(self.edge_dropout)(share, deterministic=not train)
    y = _segment_sum(share[:, :, None] * wide[graph.senders], graph, size)
    y += (own / total)[:, :, None] * wide
    return y.reshape(size, self.width).astype(x.dtype) + bias


class AttributeEncoder(nn.Module):
  """From the attribute graph and attribute lists to account vectors (eq. 18).

  Run `node_vectors` once a step, then `pool` for brands and for influencers.

  Attributes:
    num_nodes: V, without padding.
    kind: 'lookup' (learned vectors, no edges), 'node2vec' (stored vectors,
      frozen, no edges), 'gcn' or 'gat'.
    features: D of learned vectors; stored ones bring their own.
    start: 'learned' or 'node2vec': where the vectors of 'gcn' and 'gat' start.
      Stored vectors come as `graph.nodes`.
    freeze: whether stored vectors stay as they are; they are no parameters
      then, and are read from `graph.nodes` at every call.
    num_layers: layers of message passing.
    num_heads: heads of 'gat'.
    self_weight: weight of a node's edge to itself.
    edge_dropout: rate, while training (needs the rng 'dropout').
    vector_init: initializer of learned vectors.
    kernel_init: initializer of the layers.
    dtype: computation type; parameters stay float32.
  """

  num_nodes: int
  kind: str = 'gcn'
  features: int = 128
  start: str = 'learned'
  freeze: bool = False
  num_layers: int = 2
  num_heads: int = 4
  self_weight: float = 1.0
  edge_dropout: float = 0.0
  vector_init: encoders.Initializer = nn.initializers.normal(0.1)
  kernel_init: encoders.Initializer = nn.initializers.lecun_normal()
  dtype: jnp.dtype | None = None

  def _vectors(self, graph: jraph.GraphsTuple) -> jax.Array:
    """Returns [nodes, D], where message passing starts; padding rows are 0."""
    rows = graph.nodes.shape[0]
    stored = self.kind == 'node2vec' or (
      self.kind != 'lookup' and self.start == 'node2vec'
    )
    if stored and not graph.nodes.shape[1]:
      raise ValueError('the graph has no node2vec vectors to start from')
    if stored and (self.freeze or self.kind == 'node2vec'):
      return graph.nodes
    width = graph.nodes.shape[1] if stored else self.features

    def init(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
      if stored:
        return jnp.asarray(graph.nodes, jnp.float32)
      # Drawn for the real nodes alone: padding must not change them.
      vectors = self.vector_init(key, (self.num_nodes, shape[1]))
      return jnp.pad(vectors, ((0, shape[0] - self.num_nodes), (0, 0)))

    partitioned = nn.with_logical_partitioning(init, ('vertex', 'feature_in'))
    vectors: Any = self.param('vectors', partitioned, (rows, width))
    return vectors

  @nn.compact
  def node_vectors(
    self, graph: jraph.GraphsTuple, *, train: bool = False
  ) -> jax.Array:
    """Encodes all nodes.

    Each layer adds to what came before, x + leaky(layer(x)), without the leaky
    ReLU in the last.

    Args:
      graph: from `AttributeGraph.to_jraph`.
      train: whether edge dropout is on.

    Returns:
      [nodes, D]; padding rows are 0.
    """
    kinds, starts = input_spec.LIST_ENCODERS, input_spec.STARTS
    if self.kind not in kinds or self.start not in starts:
      raise ValueError(
        f'kind {self.kind!r} is one of {kinds},'
        f' start {self.start!r} of {starts}'
      )
    x = self._vectors(graph)
    if self.kind in ('lookup', 'node2vec'):
      return x
    for i in range(self.num_layers):
      options: dict[str, Any] = {
        'width': x.shape[1],
        'self_weight': self.self_weight,
        'edge_dropout': self.edge_dropout,
        'kernel_init': self.kernel_init,
        'dtype': self.dtype,
        'name': f'layer{i}',
      }
      if self.kind == 'gcn':
        y = GraphConvolution(**options)(x, graph, train=train)
      else:
        y = GraphAttention(num_heads=self.num_heads, **options)(
          x, graph, train=train
        )
      if i < self.num_layers - 1:
        y = nn.leaky_relu(y, encoders.LEAKY_SLOPE)
      x = x + y
    real = jnp.arange(x.shape[0]) < self.num_nodes
    return jnp.where(real[:, None], x, 0)

  @nn.compact
  def pool(
    self, vectors_VxD: jax.Array, held: account_attributes.HeldAttributes
  ) -> jax.Array:
    """Averages the vectors of each account's attributes.

    Args:
      vectors_VxD: from `node_vectors`.
      held: the accounts' attributes and their weights.

    Returns:
      [rows, D]; the learned unknown vector for accounts without attributes.
    """
    width = vectors_VxD.shape[1]
    unknown = self.param('unknown', nn.initializers.zeros, (width,))
    mean, known = account_attributes.mean_of_held(vectors_VxD, held)
    return jnp.where(known[:, None], mean, unknown.astype(mean.dtype))

  def __call__(
    self,
    graph: jraph.GraphsTuple,
    held: account_attributes.HeldAttributes,
    *,
    train: bool = False,
  ) -> jax.Array:
    """Encodes nodes and pools them; see `node_vectors` and `pool`."""
    return self.pool(self.node_vectors(graph, train=train), held)
