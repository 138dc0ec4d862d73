"""MORNING: three perspectives of an account, one inner product (eq. 19-27)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import functools
import operator

import flax.linen as nn
import jax
from jax import numpy as jnp

from morning_jax import accounts as accounts_lib
from morning_jax.model import co_attention

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
      # One modality by nature: its layers stand at the perspective itself.
      nn.share_scope(self, self.embedding)

  def __call__(
    self, accounts: accounts_lib.AccountTable, *, train: bool
  ) -> jax.Array:
    """Returns [A, D]."""
    encoded = [
      getattr(self, modality)(
        accounts.features[feature], accounts.present[feature], train=train
      )
      for modality, feature in self.features.items()
    ]
    if self.combine == 'concatenate':
      return jnp.concatenate(encoded, axis=-1)
    return functools.reduce(operator.mul, encoded)


class Morning(nn.Module):
  """The model F(b, m); every account is encoded once, apart from the other.

  Attributes:
    towers: perspective -> makes the module that encodes it, those that take
      part.
    attention: makes the co-attention between content and audience; None for
      none.
  """

  towers: Mapping[str, Callable[[], Perspective]]
  attention: Callable[[], co_attention.CoAttention] | None = None

  def setup(self) -> None:
    """Makes a module per perspective, and the co-attention."""
    for perspective, make in self.towers.items():
      setattr(self, perspective, make())
    if self.attention is not None:
      self.coattention = self.attention()

  def _towers(
    self, accounts: accounts_lib.AccountTable, *, train: bool
  ) -> Representations:
    return {
      perspective: getattr(self, perspective)(accounts, train=train)
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
    self, accounts: accounts_lib.AccountTable, *, role: str, train: bool = False
  ) -> Representations:
    """Encodes accounts of one role.

    Args:
      accounts: the accounts' features.
      role: 'brand' or 'influencer'.
      train: whether dropout is on.

    Returns:
      Perspective -> float32 [A, D].
    """
    return self._attend(self._towers(accounts, train=train), role=role)

  def __call__(
    self,
    brands: accounts_lib.AccountTable,
    influencers: accounts_lib.AccountTable,
    *,
    train: bool = False,
  ) -> tuple[Representations, Representations]:
    """Encodes brands and influencers in one pass through the shared encoders.

    Args:
      brands: features of B brands.
      influencers: features of M influencers.
      train: whether dropout is on; a step's masks serve both roles.

    Returns:
      Perspective -> [B, D], and perspective -> [M, D].
    """
    num_brands = jax.tree.leaves(brands)[0].shape[0]
    joined = jax.tree.map(
      lambda b, m: jnp.concatenate([b, m]), brands, influencers
    )
    both = self._towers(joined, train=train)
    return (
      self._attend({k: v[:num_brands] for k, v in both.items()}, role='brand'),
      self._attend(
        {k: v[num_brands:] for k, v in both.items()}, role='influencer'
      ),
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
