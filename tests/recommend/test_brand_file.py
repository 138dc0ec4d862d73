"""A brand from a file is ranked as one of the bundle, or refused in a line."""

import json
import os

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.recommend import brand_file
from morning_jax.recommend import recommend
from tests.recommend.test_recommend import ALL


def as_json(catalogue, brand) -> dict:
  names = catalogue.dataset.attribute_names
  return {
    'name': 'Acme & Söhne',
    'category': brand.category,
    'attributes': [names[v] for v in brand.profile.attributes],
    **{f: x.tolist() for f, x in brand.profile.features.items()},
  }


@pytest.mark.parametrize('recipe', ['lookup', 'paper', 'default'])
def test_a_brand_that_training_never_saw_ranks_as_any(
  catalogues, tmp_path, recipe
):
  catalogue = catalogues(recipe)
  for brand_id in ('shoes_01', 'drink_02'):
    known = catalogue.brand(brand_id)
    file = tmp_path / 'acme.json'
    file.write_text(json.dumps(as_json(catalogue, known)))
    new = brand_file.read_brand(file, catalogue)
    assert new.row is None and new.account_id == 'Acme & Söhne'
    assert new.lacks == known.lacks
    np.testing.assert_allclose(new.vector_D, known.vector_D, atol=1e-5)
    a, b = (recommend.recommend(catalogue, x, 20, ALL) for x in (new, known))
    np.testing.assert_allclose(
      [r.score for r in a], [r.score for r in b], atol=1e-4
    )
    assert not any(r.cooperates for r in a)


def test_null_is_a_feature_that_it_lacks(catalogues):
  catalogue = catalogues('lookup')
  value = as_json(catalogue, catalogue.brand('shoes_01'))
  value |= {'audience_image': None, 'audience_text': None}
  brand = brand_file.parse_brand(value, catalogue)
  assert brand.lacks == ('audience',)
  del value['audience_image'], value['audience_text']
  again = brand_file.parse_brand(value, catalogue)
  np.testing.assert_array_equal(again.vector_D, brand.vector_D)


def test_what_the_model_does_not_take_is_left_out(catalogues):
  catalogue = catalogues('text alone')
  value = {'content_text': [1.0] * 12, 'content_image': [1.0, 2.0]}
  brand = brand_file.parse_brand(value, catalogue)
  assert list(brand.profile.features) == ['content_text']


TOPICS = [1 / 12] * 12


@pytest.mark.parametrize(
  ('value', 'field', 'message'),
  [
    ([1, 2], '', 'is no JSON object'),
    ({'content_txt': TOPICS}, 'content_txt', 'near: content_text'),
    ({'content_text': 'a'}, 'content_text', 'no list of numbers'),
    ({'content_text': [True] * 12}, 'content_text', 'no list of numbers'),
    ({'content_text': TOPICS[:3]}, 'content_text', 'has 3 numbers, the model'),
    ({'content_text': [1e99] * 12}, 'content_text', 'not finite'),
    ({'content_text': [10**400] * 12}, 'content_text', 'not finite'),
    ({'content_text': [-0.1] * 12}, 'content_text', 'negative topic'),
    ({'attributes': ['sneaker fun']}, 'attributes', 'near: sneaker fan'),
    ({'attributes': 'sneaker fan'}, 'attributes', 'no list of names'),
    ({'name': 7}, 'name', 'no text of one line'),
    ({'name': 'a\nb'}, 'name', 'no text of one line'),
    ({'name': 'x' * 201}, 'name', '201 characters'),
    ({}, '', 'shows nothing that the model takes'),
    ({'name': 'acme', 'content_text': None}, '', 'shows nothing'),
    ({'x' * 9999: 1}, 'x' * 200, 'is no key of a brand'),
  ],
)
def test_mistakes_name_the_field(catalogues, value, field, message):
  with pytest.raises(brand_file.BrandError) as e:
    brand_file.parse_brand(value, catalogues('lookup'))
  assert message in str(e.value) and e.value.field == field
  assert str(e.value).isprintable() and len(str(e.value)) <= 300


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    ('{"content_text": [NaN]}', 'NaN is no number'),
    ('{"content_text": [-Infinity]}', 'Infinity is no number'),
    ('{', 'is no JSON'),
    ('', 'is no JSON'),
    ('[' * 100_000, 'is no JSON'),
    (b'\xff\xfe{}', 'is no JSON'),
    ('{"content_text": [0.1]}', 'has 1 numbers'),
  ],
)
def test_files_that_are_no_brand(catalogues, tmp_path, content, message):
  file = tmp_path / 'acme.json'
  data = content if isinstance(content, bytes) else content.encode()
  file.write_bytes(data)
  with pytest.raises(errors.UserError) as e:
    brand_file.read_brand(file, catalogues('lookup'))
  assert message in str(e.value) and 'acme.json' in str(e.value)
  assert str(e.value).isprintable() and len(str(e.value)) <= 300


def test_a_pipe_is_refused_and_not_waited_for(catalogues, tmp_path):
  os.mkfifo(tmp_path / 'pipe')
  for name in ('pipe', 'nowhere', '.'):
    with pytest.raises(errors.UserError):
      brand_file.read_brand(tmp_path / name, catalogues('lookup'))
