"""Encoder of one modality: a vector for missing rows, then an MLP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp

Initializer = Callable[..., jax.Array]

LEAKY_SLOPE = 0.01  # the paper's


def uniform(scale: float) -> Initializer:
  """Makes an initializer that draws evenly from -scale to scale."""

  def init(
    key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
  ) -> jax.Array:
    return jax.random.uniform(key, shape, dtype, -scale, scale)

  return init


class Dense(nn.Module):
  """An affine layer whose weight matrix may drop entries while it trains.

  Attributes:
    width: output size.
    kernel_init: initializer of the weight matrix [in, out].
    bias_init: initializer of the bias [out].
    drop_connect: probability with which an entry of the weight matrix is zero
      in a training step; survivors are scaled up. All rows share one mask.
    dtype: computation type; parameters stay float32.
  """

  width: int
  kernel_init: Initializer
  bias_init: Initializer
  drop_connect: float = 0.0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
    """Maps [rows, in] to [rows, width]."""
    kernel: Any = self.param(
      'kernel',
      nn.with_logical_partitioning(
        self.kernel_init, ('feature_in', 'feature_out')
      ),
      (x.shape[-1], self.width),
    )
    bias: Any = self.param(
      'bias',
      nn.with_logical_partitioning(self.bias_init, ('feature_out',)),
      (self.width,),
    )
    if train and self.drop_connect:
      keep = 1.0 - self.drop_connect
      kept = jax.random.bernoulli(self.make_rng('dropout'), keep, kernel.shape)
      kernel = jnp.where(kept, kernel / keep, 0.0)
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    return x @ kernel + bias


class Encoder(nn.Module):
  """One modality's encoder: dense layers, leaky ReLU after all but the last.

  An account that lacks the modality enters as a learned vector, so that no NaN
  and no zero pretends to be data.

  Attributes:
    widths: sizes of the layers, the last one being D.
    kernel_init: initializer of all weight matrices.
    bias_init: initializer of all biases.
    layer_dropout: dropout rate on the input of every layer after the first
      (`paper`); on the features themselves it ruins a few topics.
    drop_connect: dropout rate on the first weight matrix (`release`).
    dtype: computation type.
  """

  widths: tuple[int, ...]
  kernel_init: Initializer
  bias_init: Initializer
  layer_dropout: float = 0.0
  drop_connect: float = 0.0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, x_AxF: jax.Array, present_A: jax.Array, *, train: bool = False
  ) -> jax.Array:
    """Encodes accounts.

    Args:
      x_AxF: features; rows of absent accounts are ignored.
      present_A: bool, which accounts have the modality.
      train: whether dropout is on (needs the rng 'dropout').

    Returns:
      [A, D] representations (eq. 7-12).
    """
    missing_F = self.param('missing', nn.initializers.zeros, x_AxF.shape[-1:])
    x = jnp.where(present_A[:, None], x_AxF, missing_F)
    for i, width in enumerate(self.widths):
      if i and self.layer_dropout:
        x = nn.Dropout(self.layer_dropout)(x, deterministic=not train)
      x = Dense(
        width=width,
        kernel_init=self.kernel_init,
        bias_init=self.bias_init,
        drop_connect=self.drop_connect if i == 0 else 0.0,
        dtype=self.dtype,
        name=f'dense{i}',
      )(x, train=train)
      if i < len(self.widths) - 1:
        x = nn.leaky_relu(x, LEAKY_SLOPE)
    return x
