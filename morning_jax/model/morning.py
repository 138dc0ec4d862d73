"""MORNING: three perspectives of an account, one inner product (eq. 19-27)."""

from __future__ import annotations

from collections.abc import Mapping
import functools
import operator

import flax.linen as nn
import jax
from jax import numpy as jnp

from morning_jax import accounts as accounts_lib
from morning_jax.model import co_attention, encoders

Representations = Mapping[str, jax.Array]  # perspective -> [A, D]


class Perspective(nn.Module):
  """Encodes one perspective: the Hadamard product of its modalities.

  Attributes:
    features: modality -> feature name.
    widths: modality -> layer widths of its encoder.
    encoder: builds an encoder, given its widths.
  """

  features: Mapping[str, str]
  widths: Mapping[str, tuple[int, ...]]
  encoder: functools.partial

  @nn.compact
  def __call__(
    self, accounts: accounts_lib.AccountTable, *, train: bool
  ) -> jax.Array:
    """Returns [A, D]."""
    return functools.reduce(
      operator.mul,
      (
        self.encoder(widths=self.widths[modality], name=modality)(
          accounts.features[feature], accounts.present[feature], train=train
        )
        for modality, feature in self.features.items()
      ),
    )


class Morning(nn.Module):
  """The model F(b, m); every account is encoded once, apart from the other.

  Attributes:
    perspectives: perspective -> modality -> feature, those that take part.
    widths: modality -> layer widths of its encoder; the last ones are equal
      within a perspective.
    kernel_init: initializer of the weight matrices.
    bias_init: initializer of the biases.
    gate_bias_init: initializer of the co-attention's biases.
    co_attention: 'paper', 'release' or 'none'. Needs content and audience;
      with one of them alone there is nothing to attend to.
    input_dropout: rate on the inputs of the text and image layers (`paper`).
    drop_connect: rate on the first weight matrices of text and image
      (`release`).
    dtype: computation type; parameters and scores are float32.
  """

  perspectives: Mapping[str, Mapping[str, str]]
  widths: Mapping[str, tuple[int, ...]]
  kernel_init: encoders.Initializer
  bias_init: encoders.Initializer
  gate_bias_init: encoders.Initializer
  co_attention: str = 'paper'
  input_dropout: float = 0.0
  drop_connect: float = 0.0
  dtype: jnp.dtype | None = None

  def setup(self) -> None:
    """Builds a module per perspective, and the co-attention."""
    encoder = functools.partial(
      encoders.Encoder,
      kernel_init=self.kernel_init,
      bias_init=self.bias_init,
      dtype=self.dtype,
    )
    for perspective, features in self.perspectives.items():
      if perspective == 'attribute':
        # One modality, no dropout: its layers stand at the perspective itself.
        setattr(self, perspective, encoder(widths=self.widths['embedding']))
      else:
        tower = Perspective(
          features=features,
          widths=self.widths,
          encoder=functools.partial(
            encoder,
            input_dropout=self.input_dropout,
            drop_connect=self.drop_connect,
          ),
        )
        setattr(self, perspective, tower)
    if self._attends:
      self.coattention = co_attention.CoAttention(
        variant=self.co_attention,
        kernel_init=self.kernel_init,
        bias_init=self.gate_bias_init,
        dtype=self.dtype,
      )

  @property
  def _attends(self) -> bool:
    return self.co_attention != 'none' and {'content', 'audience'} <= set(
      self.perspectives
    )

  def _towers(
    self, accounts: accounts_lib.AccountTable, *, train: bool
  ) -> Representations:
    representations = {}
    for perspective, features in self.perspectives.items():
      tower = getattr(self, perspective)
      if perspective == 'attribute':
        feature = features['embedding']
        representations[perspective] = tower(
          accounts.features[feature], accounts.present[feature], train=train
        )
      else:
        representations[perspective] = tower(accounts, train=train)
    return representations

  def _attend(
    self, representations: Representations, *, role: str
  ) -> Representations:
    if self._attends:
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
