"""What encoding a picture costs, counted, and that the benchmark runs."""

from flax import linen as nn
import pytest

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import pictures
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.features.images import networks


class _Small(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Conv(8, (3, 3), strides=2, padding='SAME', name='a')(x)
    x = nn.Conv(8, (5, 5), feature_group_count=8, padding='SAME', name='b')(x)
    return nn.Dense(10, name='c')(x.mean(axis=(1, 2)))


def test_flops_by_hand():
  # 8 x 8 places: 27 inputs for each of 8 channels; 25 for each of 8; then 8 x
  # 10.
  expected = 2 * (64 * 8 * 27 + 64 * 8 * 25 + 8 * 10)
  assert pictures.flops(_Small(), 16) == expected


@pytest.mark.parametrize(
  ('name', 'published'),  # multiplications, as torchvision and Google say
  [
    ('imagenet-resnet18', 1.814e9),
    ('imagenet-resnet50', 4.089e9),
    ('imagenet-efficientnet-lite0', 0.385e9),
  ],
)
def test_flops_are_the_published_ones(name, published):
  found = pictures.flops(networks.NETWORKS[name].module, 224)
  assert found == pytest.approx(2 * published, rel=0.01)


@pytest.mark.slow
def test_every_stage_is_measured():
  rates = rates_lib.Rates(flops=1e11, exact_flops=1e11, memory=1e10)
  figures = list(pictures.run(harness.Options(quick=True, repeats=1), rates))
  stages = {figure.parameters['stage'] for figure in figures}
  assert stages == {
    'pictures decoded',
    'pictures encoded',
    'pictures to features',
  }
  for figure in figures:
    assert figure.unit == 'pictures/s'
    assert figure.median > 0 and figure.limit > 0
    if figure.parameters['stage'] != 'pictures decoded':
      assert figure.limited_by == 'FLOPs'
