"""Residual networks as torchvision has them (He et al., CVPR 2016; v1.5).

The stride of a bottleneck is on its 3 x 3 convolution, padding is explicit and
the same on all sides, and logits equal torchvision's to 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from flax import linen as nn
import jax
from jax import numpy as jnp

from morning_jax.core import accounts as accounts_lib
from morning_jax.features.images import layers

Array = accounts_lib.Array

_EPSILON = 1e-5
_WIDTHS = (64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class Depth:
  """How deep a network is.

  Attributes:
    blocks: of each of the four stages.
    bottleneck: whether a block is a bottleneck of three convolutions, four
      times as wide outside as inside, rather than two 3 x 3 ones.
  """

  blocks: tuple[int, int, int, int]
  bottleneck: bool

  @property
  def features(self) -> int:
    """Numbers in front of the last layer."""
    return _WIDTHS[-1] * (4 if self.bottleneck else 1)


DEPTHS: Mapping[int, Depth] = {
  18: Depth((2, 2, 2, 2), bottleneck=False),
  50: Depth((3, 4, 6, 3), bottleneck=True),
  152: Depth((3, 8, 36, 3), bottleneck=True),
}


class _Shortcut(nn.Module):
  """Brings a block's input to the shape of its output."""

  features: int
  stride: int

  @nn.compact
  def __call__(self, x: Array) -> Array:
    x = layers.conv(self.features, 1, stride=self.stride, name='0')(x)
    return layers.BatchNorm(_EPSILON, name='1')(x)


class _Block(nn.Module):
  """A residual block, of either kind."""

  width: int
  stride: int
  bottleneck: bool

  @nn.compact
  def __call__(self, x: Array) -> Array:
    features = self.width * (4 if self.bottleneck else 1)
    # Channels, kernel and stride of each convolution.
    steps = [(self.width, 3, self.stride), (self.width, 3, 1)]
    if self.bottleneck:
      steps = [(self.width, 1, 1), steps[0], (features, 1, 1)]
    y = x
    for i, (size, kernel, stride) in enumerate(steps, 1):
      y = layers.conv(
        size, kernel, stride=stride, padding=kernel // 2, name=f'conv{i}'
      )(y)
      y = layers.BatchNorm(_EPSILON, name=f'bn{i}')(y)
      if i < len(steps):
        y = nn.relu(y)
    if self.stride > 1 or x.shape[-1] != features:
      x = _Shortcut(features, self.stride, name='downsample')(x)
    return nn.relu(x + y)


class _Stage(nn.Module):
  """Blocks of one width, of which the first has the stride."""

  width: int
  blocks: int
  stride: int
  bottleneck: bool

  @nn.compact
  def __call__(self, x: Array) -> Array:
    for i in range(self.blocks):
      stride = self.stride if i == 0 else 1
      x = _Block(self.width, stride, self.bottleneck, name=str(i))(x)
    return x


class ResNet(nn.Module):
  """A residual network.

  Attributes:
    depth: of `DEPTHS`.
    classes: numbers of the last layer.
  """

  depth: Depth
  classes: int

  @nn.compact
  def __call__(self, x_BxSxSx3: Array) -> tuple[jax.Array, jax.Array]:
    """Returns the logits, and what the last layer makes them of.

    Args:
      x_BxSxSx3: float32, `layers.normalised` pixels.

    Returns:
      float32 [B, classes], and float32 [B, depth.features].
    """
    x = layers.conv(64, 7, stride=2, padding=3, name='conv1')(x_BxSxSx3)
    x = nn.relu(layers.BatchNorm(_EPSILON, name='bn1')(x))
    x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=[(1, 1)] * 2)
    for i, (width, blocks) in enumerate(
      zip(_WIDTHS, self.depth.blocks, strict=True), 1
    ):
      x = _Stage(
        width,
        blocks,
        stride=1 if i == 1 else 2,
        bottleneck=self.depth.bottleneck,
        name=f'layer{i}',
      )(x)
    features = jnp.mean(x, axis=(1, 2))
    return layers.dense(self.classes, name='fc')(features), features
