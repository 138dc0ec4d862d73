"""Encoder that starts from plain similarity and learns corrections to it."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp

from morning_jax.model import encoders


def unit(x: jax.Array) -> jax.Array:
  """Scales rows to unit length; a zero row stays zero."""
  square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(square + 1e-6)


def input_width(size: int, projection: str, projection_width: int) -> int:
  """Returns how many numbers of an input of `size` enter a representation."""
  return size if projection == 'none' else min(size, projection_width)


class ResidualEncoder(nn.Module):
  """One modality's encoder: the input itself, scaled, plus a small MLP.

  With its last layer almost zero at the start, the inner product of two
  accounts starts as the similarity of their inputs; training corrects it. The
  result has unit length, times a learned weight of the modality. An account
  that lacks the modality gets a learned vector, zero at the start: neutral
  towards everyone.

  Attributes:
    widths: sizes of the MLP's layers; the output is the wider of the last one
      and the input, projected.
    hidden_scale: standard deviation of what the first layer adds up to.
    output_scale: the same of the last layer, small.
    initial_weight: the modality's weight in the score at the start.
    hidden_dropout: rate on the inputs of all layers but the first.
    projection: of inputs wider than `projection_width`, so that representations
      are narrower than them: 'none'; 'random', drawn once and frozen; or
      'learned', which starts from the same. It is orthogonal: on average over
      what is drawn, similarities stay (Johnson and Lindenstrauss, 1984).
    projection_width: the numbers that are left of such an input.
    dtype: computation type.
  """

  widths: tuple[int, ...]
  hidden_scale: float
  output_scale: float
  initial_weight: float
  hidden_dropout: float = 0.0
  projection: str = 'none'
  projection_width: int = 0
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
      [A, max(K, widths[-1])] representations; K from `input_width`.
    """
    size = x_AxF.shape[-1]
    kept = input_width(size, self.projection, self.projection_width)
    width = max(kept, self.widths[-1])
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
    scaled_AxK = x_AxF * jnp.exp(gain_F)
    if kept < size:
      scaled_AxK = self._project(scaled_AxK, kept)
    scaled_AxD = jnp.pad(scaled_AxK, ((0, 0), (0, width - kept)))
    log_weight = self.param(
      'log_weight', nn.initializers.constant(math.log(self.initial_weight)), ()
    )
    encoded_AxD = unit(scaled_AxD + y.astype(jnp.float32))
    # The weight enters a score twice, once from either account.
    return jnp.exp(log_weight / 2) * jnp.where(
      present_A[:, None], encoded_AxD, missing_D
    )

  def _project(self, x_AxF: jax.Array, width: int) -> jax.Array:
    """Returns [A, width], whose rows are as long as those of x on average."""
    size = x_AxF.shape[-1]
    initializer = nn.initializers.orthogonal(math.sqrt(size / width))
    matrix: Any = self.param(
      'projection',
      nn.with_logical_partitioning(initializer, ('feature_in', 'feature_out')),
      (size, width),
    )
    if self.projection == 'random':
      matrix = jax.lax.stop_gradient(matrix)
    x_AxF, matrix = nn.dtypes.promote_dtype(x_AxF, matrix, dtype=self.dtype)
    return (x_AxF @ matrix).astype(jnp.float32)
