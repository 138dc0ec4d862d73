"""Residual networks against torchvision's own logits."""

import jax
import numpy as np
import pytest

from morning_jax.features.images import layers
from morning_jax.features.images import resnet
from tests.features.images import seeded_resnet


@pytest.mark.parametrize(
  ('depth', 'classes', 'size'),
  [
    case if case[0] < 152 else pytest.param(*case, marks=pytest.mark.slow)
    for case in seeded_resnet.CASES
  ],
)
def test_logits_are_torchvisions(depth, classes, size):
  module = resnet.ResNet(resnet.DEPTHS[depth], classes)
  params = layers.params_of(
    module, size, seeded_resnet.state_dict(depth, classes)
  )
  pixels = seeded_resnet.pictures(size)

  @jax.jit
  def apply(params, pixels):
    return module.apply({'params': params}, layers.normalised(pixels))

  logits, features = apply(params, pixels)
  with np.load(seeded_resnet.GOLDEN) as golden:
    expected = golden[f'resnet{depth}']
  assert logits.shape == expected.shape == (2, classes)
  assert expected.std() > 0.5
  np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)
  assert features.shape == (2, resnet.DEPTHS[depth].features)


def test_names_and_shapes_are_torchvisions():
  module = resnet.ResNet(resnet.DEPTHS[18], 7)
  good = seeded_resnet.state_dict(18, 7)
  layers.params_of(module, 64, good)
  key = 'layer2.0.downsample.0.weight'
  bad = {
    'lacks layer2.0.downsample.0.kernel': {
      k: v for k, v in good.items() if k != key
    },
    'another shape': {**good, key: good[key][..., 0]},
    'which the network has not': {**good, 'layer5.0.conv1.weight': good[key]},
    'not finite': {**good, key: good[key] * np.nan},
  }
  for words, arrays in bad.items():
    with pytest.raises(layers.MisfitError, match=words):
      layers.params_of(module, 64, arrays)
