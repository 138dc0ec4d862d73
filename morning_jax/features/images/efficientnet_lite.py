"""EfficientNet-Lite0 (Tan and Le, ICML 2019, in Google's Lite form).

Neither squeeze-and-excitation nor swish; stem and head keep their width; and
padding is TensorFlow's, which has one pixel less in front where it can't be
even.
"""

from __future__ import annotations

from flax import linen as nn
import jax
from jax import numpy as jnp

from morning_jax.core import accounts as accounts_lib
from morning_jax.features.images import layers

Array = accounts_lib.Array

SIZE = 224
FEATURES = 1280
_EPSILON = 1e-3
_STEM = 32
# Kernel, stride of the first block, expansion, channels, blocks.
_STAGES = (
  (3, 1, 1, 16, 1),
  (3, 2, 6, 24, 2),
  (5, 2, 6, 40, 2),
  (3, 2, 6, 80, 3),
  (5, 1, 6, 112, 3),
  (5, 2, 6, 192, 4),
  (3, 1, 6, 320, 1),
)


class _Block(nn.Module):
  """An inverted bottleneck: wider inside than outside."""

  kernel: int
  stride: int
  expansion: int
  features: int

  @nn.compact
  def __call__(self, x: Array) -> Array:
    y, inside = x, x.shape[-1] * self.expansion
    if self.expansion > 1:
      y = layers.conv(inside, 1, name='_expand_conv')(y)
      y = nn.relu6(layers.BatchNorm(_EPSILON, name='_bn0')(y))
    y = layers.conv(
      inside,
      self.kernel,
      stride=self.stride,
      groups=inside,
      padding='SAME',
      name='_depthwise_conv',
    )(y)
    y = nn.relu6(layers.BatchNorm(_EPSILON, name='_bn1')(y))
    y = layers.conv(self.features, 1, name='_project_conv')(y)
    y = layers.BatchNorm(_EPSILON, name='_bn2')(y)
    same = self.stride == 1 and x.shape[-1] == self.features
    return x + y if same else y


class _Blocks(nn.Module):
  """All blocks."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    number = 0
    for kernel, stride, expansion, features, blocks in _STAGES:
      for i in range(blocks):
        x = _Block(
          kernel, stride if i == 0 else 1, expansion, features, name=str(number)
        )(x)
        number += 1
    return x


class EfficientNetLite0(nn.Module):
  """EfficientNet-Lite0.

  Attributes:
    classes: numbers of the last layer.
  """

  classes: int

  @nn.compact
  def __call__(self, x_BxSxSx3: Array) -> tuple[jax.Array, jax.Array]:
    """Returns the logits, and what the last layer makes them of.

    Args:
      x_BxSxSx3: float32, `layers.normalised` pixels.

    Returns:
      float32 [B, classes], and float32 [B, `FEATURES`].
    """
    x = layers.conv(_STEM, 3, stride=2, padding='SAME', name='_conv_stem')(
      x_BxSxSx3
    )
    x = nn.relu6(layers.BatchNorm(_EPSILON, name='_bn0')(x))
    x = _Blocks(name='_blocks')(x)
    x = layers.conv(FEATURES, 1, name='_conv_head')(x)
    x = nn.relu6(layers.BatchNorm(_EPSILON, name='_bn1')(x))
    features = jnp.mean(x, axis=(1, 2))
    return layers.dense(self.classes, name='_fc')(features), features
