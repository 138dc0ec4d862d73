"""Co-attention between content and audience (eq. 20-24)."""

from __future__ import annotations

import flax.linen as nn
import jax
from jax import numpy as jnp

from morning_jax.model import encoders


class CoAttention(nn.Module):
  """Reweights the features of content and audience by their affinity.

  The softmax runs over the D features of one account and never sees the other
  account of a pair, so that each account is encoded once.

  Attributes:
    variant: 'paper' (one set of weights for both roles) or 'release' (brands
      and influencers have their own; a sigmoid is inside the softmax).
    kernel_init: initializer of W1 and W2.
    bias_init: initializer of b1 and b2.
    dtype: computation type of the affine maps; the softmax is float32.
  """

  variant: str
  kernel_init: encoders.Initializer
  bias_init: encoders.Initializer
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, content_AxD: jax.Array, audience_AxD: jax.Array, *, role: str
  ) -> tuple[jax.Array, jax.Array]:
    """Returns the reweighted content and audience, [A, D] each.

    Args:
      content_AxD: e_c.
      audience_AxD: e_u.
      role: 'brand' or 'influencer', of all A accounts.
    """
    release = self.variant == 'release'
    prefix = f'{role}_' if release else ''

    def gate(x: jax.Array, name: str) -> jax.Array:
      dense = encoders.Dense(
        width=x.shape[-1],
        kernel_init=self.kernel_init,
        bias_init=self.bias_init,
        dtype=self.dtype,
        name=prefix + name,
      )
      return nn.sigmoid(dense(x))

    affinity_AxD = gate(content_AxD, 'content') * gate(audience_AxD, 'audience')

    def reweigh(x_AxD: jax.Array) -> jax.Array:
      logit_AxD = affinity_AxD * (nn.sigmoid(x_AxD) if release else x_AxD)
      weight_AxD = jax.nn.softmax(logit_AxD.astype(jnp.float32))
      return weight_AxD * x_AxD * x_AxD.shape[-1]

    return reweigh(content_AxD), reweigh(audience_AxD)
