"""Encoder that starts from plain similarity and learns corrections to it."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
from jax import numpy as jnp

from morning_jax.model import encoders


def unit(x: jax.Array) -> jax.Array:
  """Scales rows to unit length; a zero row stays zero."""
  square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(square + 1e-6)


class ResidualEncoder(nn.Module):
  """One modality's encoder: the input itself, scaled, plus a small MLP.

  With its last layer almost zero at the start, the inner product of two
  accounts starts as the similarity of their inputs; training corrects it. The
  result has unit length, times a learned weight of the modality. An account
  that lacks the modality gets a learned vector, zero at the start: neutral
  towards everyone.

  Attributes:
    widths: sizes of the MLP's layers; the output is the wider of the last one
      and the input.
    hidden_scale: standard deviation of what the first layer adds up to.
    output_scale: the same of the last layer, small.
    initial_weight: the modality's weight in the score at the start.
    hidden_dropout: rate on the inputs of all layers but the first.
    dtype: computation type.
  """

  widths: tuple[int, ...]
  hidden_scale: float
  output_scale: float
  initial_weight: float
  hidden_dropout: float = 0.0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, x_AxF: jax.Array, present_A: jax.Array, *, train: bool = False
  ) -> jax.Array:
    """Encodes accounts.

    Args:
      x_AxF: features of unit length; rows of absent accounts are ignored.
      present_A: bool, which accounts have the modality.
      train: whether dropout is on (needs the rng 'dropout').

    Returns:
      [A, max(F, widths[-1])] representations.
    """
    size = x_AxF.shape[-1]
    width = max(size, self.widths[-1])
    gain_F = self.param('gain', nn.initializers.zeros, (size,))
    missing_D = self.param('missing', nn.initializers.zeros, (width,))
    y = x_AxF
    for i, layer in enumerate((*self.widths[:-1], width)):
      last = i == len(self.widths) - 1
      if i and self.hidden_dropout:
        y = nn.Dropout(self.hidden_dropout)(y, deterministic=not train)
      # The input has unit length: without a fan-in, whatever its size.
      scale = self.hidden_scale if i == 0 else y.shape[-1] ** -0.5
      y = encoders.Dense(
        width=layer,
        kernel_init=nn.initializers.normal(
          scale * (self.output_scale if last else 1.0)
        ),
        bias_init=nn.initializers.zeros,
        dtype=self.dtype,
        name=f'dense{i}',
      )(y, train=train)
      if not last:
        y = nn.leaky_relu(y, encoders.LEAKY_SLOPE)
    scaled_AxD = jnp.pad(x_AxF * jnp.exp(gain_F), ((0, 0), (0, width - size)))
    log_weight = self.param(
      'log_weight', nn.initializers.constant(math.log(self.initial_weight)), ()
    )
    encoded_AxD = unit(scaled_AxD + y.astype(jnp.float32))
    # The weight enters a score twice, once from either account.
    return jnp.exp(log_weight / 2) * jnp.where(
      present_A[:, None], encoded_AxD, missing_D
    )
