"""Pictures of the embedded world show what was drawn, through files too."""

import numpy as np
from PIL import Image
import pytest

from morning_jax.core import errors
from morning_jax.features.images import decoding
from morning_jax.features.images import encoders
from morning_jax.features.images import options as options_lib
from morning_jax.features.images import pattern as pattern_lib

SMALL = pattern_lib.Pattern(objects=60, scenes=24)
PUBLISHED = pattern_lib.Pattern()


def shares(pattern, objects, scenes):
  """What 32 tiles each show."""
  found = np.zeros(pattern.objects + pattern.scenes)
  np.add.at(found, np.resize(objects, 32), 1 / 32)
  np.add.at(found, pattern.objects + np.resize(scenes, 32), 1 / 32)
  return found


@pytest.mark.parametrize('pattern', [SMALL, PUBLISHED], ids=['small', 'whole'])
def test_what_is_drawn_is_read_through_a_jpeg(tmp_path, pattern):
  rng = np.random.default_rng(0)
  encoder = encoders.load(options_lib.ImageOptions(encoder=pattern.spec))
  pixels, expected = [], []
  for i in range(16):
    objects = rng.integers(0, pattern.objects, 1 + i % 9)
    scenes = rng.integers(0, pattern.scenes, 1 + i % 3)
    drawn = pattern_lib.draw(pattern, objects, scenes, rng, noise=3.0)
    path = tmp_path / f'{i}.jpg'
    Image.fromarray(drawn).save(path, quality=85, subsampling=0)
    pixels.append(decoding.decode(path, encoder.views).pixels)
    expected.append(shares(pattern, objects, scenes))
  found = encoder.encode(np.stack(pixels))
  assert found.shape == (16, encoder.size) and found.dtype == np.float32
  np.testing.assert_allclose(found, expected, atol=2e-3)
  for part in np.split(found, [pattern.objects], axis=1):
    np.testing.assert_allclose(part.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize('classes', [2, 8, 9, 24, 60, 365, 1000])
def test_every_class_has_a_colour_of_its_own(classes):
  colours = pattern_lib.colours(classes)
  assert colours.shape == (classes, 3)
  assert colours.min() >= 16 and colours.max() <= 240
  levels = next(n for n in range(2, 99) if n**3 >= classes)
  apart = np.abs(colours[:, None] - colours).max(axis=-1)
  np.fill_diagonal(apart, 999)
  assert apart.min() >= 224 / (levels - 1) - 1e-3


def test_a_class_that_is_named_twice_gets_twice_the_tiles():
  rng = np.random.default_rng(0)
  encoder = encoders.load(options_lib.ImageOptions(encoder=SMALL.spec))
  drawn = pattern_lib.draw(SMALL, [3, 3, 3, 9], [1], rng)
  found = encoder.encode(drawn[None, None])[0]
  np.testing.assert_allclose(found[[3, 9, 61]], [0.75, 0.25, 1.0], atol=1e-3)


def test_names_tell_the_group_and_the_class():
  encoder = encoders.load(options_lib.ImageOptions(encoder='pattern:3,2'))
  assert encoder.class_names == (
    *('object: object 0', 'object: object 1', 'object: object 2'),
    *('scene: scene 0', 'scene: scene 1'),
  )
  assert encoders.load(options_lib.ImageOptions(encoder='pattern')).size == 1365


@pytest.mark.parametrize('argument', ['', '3', '3,x', '3,4,5', '1,9', '9,9999'])
def test_other_numbers_are_refused(argument):
  with pytest.raises(errors.UserError, match='pattern:'):
    encoders.load(options_lib.ImageOptions(encoder=f'pattern:{argument}'))


def test_what_can_not_be_drawn_is_an_error():
  rng = np.random.default_rng(0)
  for objects, scenes in (([60], [0]), ([0], [-1]), ([], [0]), ([0] * 33, [0])):
    with pytest.raises(ValueError, match='class'):
      pattern_lib.draw(SMALL, objects, scenes, rng)
