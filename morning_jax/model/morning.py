"""MORNING: three perspectives of an account, one inner product (eq. 19-27)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import functools
import operator
from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp

from morning_jax.core import accounts as accounts_lib
from morning_jax.model import attribute_graph
from morning_jax.model import co_attention
from morning_jax.model import residual

Representations = Mapping[str, jax.Array]  # perspective -> [A, D]


class Perspective(nn.Module):
  """Encodes one perspective from its modalities.

  Attributes:
    features: modality -> feature name.
    encoders: modality -> makes its encoder.
    combine: 'product' (Hadamard, eq. 7-12) or 'concatenate', in which the
      perspective's score is the sum of its modalities' scores.
  """

  features: Mapping[str, str]
  encoders: Mapping[str, Callable[[], nn.Module]]
  combine: str

  def setup(self) -> None:
    """Makes an encoder per modality."""
    for modality in self.features:
      setattr(self, modality, self.encoders[modality]())
    if set(self.features) == {'embedding'}:
      # It has one modality only: no level of its own in the parameters.
      nn.share_scope(self, self.embedding)

  def __call__(
    self, accounts: accounts_lib.AccountTable, *, graph: Any, train: bool
  ) -> jax.Array:
    """Returns [A, D]; the graph is the attribute perspective's alone."""
    del graph
    encoded = [
      getattr(self, modality)(
        accounts.features[feature], accounts.present[feature], train=train
      )
      for modality, feature in self.features.items()
    ]
    if self.combine == 'concatenate':
      return jnp.concatenate(encoded, axis=-1)
    return functools.reduce(operator.mul, encoded)


class GraphPerspective(nn.Module):
  """Encodes the attribute lists of accounts over the attribute graph.

  The whole graph is encoded once, each account pools the vectors of its
  attributes, and the MLP beta follows (eq. 18).

  Attributes:
    nodes: makes the encoder of the graph and its pooling.
    encoder: makes the MLP.
    normalize: whether the MLP's input has unit length.
  """

  nodes: Callable[[], attribute_graph.AttributeEncoder]
  encoder: Callable[[], nn.Module]
  normalize: bool

  def setup(self) -> None:
    """Makes both encoders."""
    self.graph = self.nodes()
    self.mlp = self.encoder()

  def __call__(
    self, accounts: accounts_lib.AccountTable, *, graph: Any, train: bool
  ) -> jax.Array:
    """Returns [A, D]; the graph, or its nodes' vectors, are encoded once."""
    if isinstance(graph, jax.Array):  # from `node_vectors`
      pooled_AxD = self.graph.pool(graph, accounts.held)
    else:
      pooled_AxD = self.graph(graph, accounts.held, train=train)
    if self.normalize:
      pooled_AxD = residual.unit(pooled_AxD)
    # Who has no attributes got the unknown vector from the pooling.
    present_A = jnp.ones(pooled_AxD.shape[0], bool)
    return self.mlp(pooled_AxD, present_A, train=train)

  def node_vectors(self, graph: Any) -> jax.Array:
    """Returns the vectors of all nodes of the padded graph, [nodes, D]."""
    return self.graph.node_vectors(graph)


class Morning(nn.Module):
  """The model F(b, m); every account is encoded once, apart from the other.

  Attributes:
    towers: perspective -> makes the module that encodes it, those that take
      part.
    attention: makes the co-attention between content and audience; None for
      none.
  """

  towers: Mapping[str, Callable[[], nn.Module]]
  attention: Callable[[], co_attention.CoAttention] | None = None

  def setup(self) -> None:
    """Makes a module per perspective, and the co-attention."""
    for perspective, make in self.towers.items():
      setattr(self, perspective, make())
    if self.attention is not None:
      self.coattention = self.attention()

  def _towers(
    self, accounts: accounts_lib.AccountTable, *, graph: Any, train: bool
  ) -> Representations:
    return {
      perspective: getattr(self, perspective)(
        accounts, graph=graph, train=train
      )
      for perspective in self.towers
    }

  def _attend(
    self, representations: Representations, *, role: str
  ) -> Representations:
    if self.attention is not None:
      content, audience = self.coattention(
        representations['content'], representations['audience'], role=role
      )
      representations = {
        **representations,
        'content': content,
        'audience': audience,
      }
    return {k: v.astype(jnp.float32) for k, v in representations.items()}

  def encode(
    self,
    accounts: accounts_lib.AccountTable,
    *,
    role: str,
    graph: Any = None,
    train: bool = False,
  ) -> Representations:
    """Encodes accounts of one role.

    Args:
      accounts: the accounts' features.
      role: 'brand' or 'influencer'.
      graph: the attribute graph (`GraphsTuple`), where the model takes it; or
        what `node_vectors` returned for it.
      train: whether dropout is on.

    Returns:
      Perspective -> float32 [A, D].
    """
    towers = self._towers(accounts, graph=graph, train=train)
    return self._attend(towers, role=role)

  def node_vectors(self, graph: Any) -> jax.Array:
    """Encodes the attribute graph: [nodes, D], padding included."""
    return self.attribute.node_vectors(graph)

  def __call__(
    self,
    brands: accounts_lib.AccountTable,
    influencers: accounts_lib.AccountTable,
    *,
    graph: Any = None,
    train: bool = False,
  ) -> tuple[Representations, Representations]:
    """Encodes brands and influencers in one pass through the shared encoders.

    Args:
      brands: features of B brands.
      influencers: features of M influencers.
      graph: the attribute graph, where the model takes it.
      train: whether dropout is on; a step's masks are the same for both roles.

    Returns:
      Perspective -> [B, D], and perspective -> [M, D].
    """
    num_brands, num_influencers = (
      jax.tree.leaves(x)[0].shape[0] for x in (brands, influencers)
    )
    if num_brands == num_influencers:
      # By turns: where rows are sharded, each stays on its device.
      joined = jax.tree.map(
        lambda b, m: jnp.stack([b, m], axis=1).reshape(-1, *b.shape[1:]),
        brands,
        influencers,
      )
      both = self._towers(joined, graph=graph, train=train)
      of_brands, of_influencers = (
        {k: v.reshape(num_brands, 2, -1)[:, side] for k, v in both.items()}
        for side in (0, 1)
      )
    else:
      joined = jax.tree.map(
        lambda b, m: jnp.concatenate([b, m]), brands, influencers
      )
      both = self._towers(joined, graph=graph, train=train)
      of_brands = {k: v[:num_brands] for k, v in both.items()}
      of_influencers = {k: v[num_brands:] for k, v in both.items()}
    return (
      self._attend(of_brands, role='brand'),
      self._attend(of_influencers, role='influencer'),
    )


def scores_of_pairs(
  brands: Representations, influencers: Representations
) -> dict[str, jax.Array]:
  """Scores aligned rows (eq. 25-27): perspective -> [B] inner products.

  Influencers may have one more axis, [B, N, D], for scores [B, N].
  """
  return {
    k: jnp.einsum('bd,b...d->b...', brands[k], influencers[k]) for k in brands
  }


def scores_of_all(
  brands: Representations, influencers: Representations
) -> dict[str, jax.Array]:
  """Scores every brand against every influencer: perspective -> [B, M].

  Products are exact float32 also where an accelerator would round its inputs:
  rounding makes ties (SPEC section 8).
  """
  return {
    k: jnp.matmul(
      brands[k], influencers[k].T, precision=jax.lax.Precision.HIGHEST
    )
    for k in brands
  }
