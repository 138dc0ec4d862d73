"""Layers of trained networks, named as PyTorch names them.

A network here is for inference alone. Its modules bear the names of PyTorch's,
so that `params_of` turns a checkpoint into parameters by names alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
import flax.traverse_util
import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import accounts as accounts_lib

Array = accounts_lib.Array

# What PyTorch counts, and inference does not need.
_UNUSED = 'num_batches_tracked'
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class MisfitError(ValueError):
  """Weights are not those of the network; the text names one at fault."""


def conv(
  features: int,
  kernel: int,
  *,
  name: str,
  stride: int = 1,
  groups: int = 1,
  padding: int | str = 0,
) -> nn.Conv:
  """Returns a convolution without bias, in full precision on every device.

  Args:
    features: channels out.
    kernel: pixels of a side.
    name: PyTorch's.
    stride: pixels.
    groups: into which channels fall; as many as channels: depthwise.
    padding: pixels on every side, or 'SAME' as TensorFlow pads.
  """
  around = padding if isinstance(padding, str) else [(padding, padding)] * 2
  return nn.Conv(
    features,
    (kernel, kernel),
    strides=stride,
    padding=around,
    feature_group_count=groups,
    use_bias=False,
    precision=jax.lax.Precision.HIGHEST,
    name=name,
  )


def dense(features: int, *, name: str) -> nn.Dense:
  """Returns a linear layer, in full precision on every device."""
  return nn.Dense(features, precision=jax.lax.Precision.HIGHEST, name=name)


class BatchNorm(nn.Module):
  """Batch normalisation by the statistics of training.

  Attributes:
    epsilon: added to the variance.
  """

  epsilon: float

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Normalises the last dimension."""
    size = (x.shape[-1],)
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    scale = self.param('scale', ones, size)
    bias = self.param('bias', zeros, size)
    mean = self.param('running_mean', zeros, size)
    variance = self.param('running_var', ones, size)
    return (x - mean) * (scale / jnp.sqrt(variance + self.epsilon)) + bias


def normalised(pixels: Array) -> jax.Array:
  """Returns pixels as networks trained on ImageNet take them.

  Args:
    pixels: uint8 [B, S, S, 3], RGB.

  Returns:
    float32 of the same shape: of 0 to 1, less the mean of ImageNet, divided by
    its standard deviation.
  """
  x = pixels.astype(jnp.float32) / 255.0
  return (x - jnp.array(_MEAN)) / jnp.array(_STD)


def params_of(
  module: nn.Module, size: int, arrays: Mapping[str, np.ndarray]
) -> dict[str, Any]:
  """Turns a checkpoint of PyTorch into a network's parameters.

  Args:
    module: the network; called with float32 [B, S, S, 3].
    size: S.
    arrays: names and arrays as PyTorch has them.

  Returns:
    The parameters, float32.

  Raises:
    MisfitError: an array is missing, too many, of another shape, or not finite.
  """
  shapes = jax.eval_shape(
    module.init, jax.random.key(0), jnp.zeros((1, size, size, 3))
  )['params']
  wanted = flax.traverse_util.flatten_dict(shapes)
  found: dict[tuple[str, ...], np.ndarray] = {}
  for name, array in arrays.items():
    *path, last = name.split('.')
    if last == _UNUSED:
      continue
    if last == 'weight':
      last = 'scale' if array.ndim == 1 else 'kernel'
    if array.ndim == 4:
      array = array.transpose(2, 3, 1, 0)  # OIHW -> HWIO
    elif array.ndim == 2:
      array = array.T
    key = (*path, last)
    if key not in wanted:
      raise MisfitError(f'has {name:.80}, which the network has not')
    if array.shape != wanted[key].shape:
      raise MisfitError(
        f'has {name:.80} of another shape than the network: {array.shape} and'
        f' not {wanted[key].shape}'
      )
    found[key] = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(found[key]).all():
      raise MisfitError(f'has numbers in {name:.80} that are not finite')
  if missing := sorted(wanted.keys() - found.keys()):
    raise MisfitError(f'lacks {".".join(missing[0])} of the network')
  params: dict[str, Any] = flax.traverse_util.unflatten_dict(found)
  return params
