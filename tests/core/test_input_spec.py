"""What takes part is resolved once, from the configuration and the data."""

import json

import pytest

from configs import morning as config_lib
from morning_jax.core import errors
from morning_jax.core import input_spec

TEXT = {'content_text': 5}
EMBEDDING = {'attribute_embedding': 4}
NAMES = ('vegan', 'travel')


def resolve(encoder, sizes, names=(), variant='', **changes):
  config = config_lib.get_config(variant).model
  if encoder is not None:
    config.attribute.encoder = encoder
  config.update(changes)
  return input_spec.resolve(config, {**TEXT, **sizes}, names)


@pytest.mark.parametrize(
  ('encoder', 'sizes', 'names', 'found'),
  [
    ('auto', EMBEDDING, NAMES, 'gcn'),
    ('auto', {}, NAMES, 'gcn'),
    ('auto', EMBEDDING, (), 'embedding'),
    ('auto', {}, (), None),
    ('embedding', EMBEDDING, NAMES, 'embedding'),
    ('embedding,lookup', EMBEDDING, NAMES, 'embedding'),
    ('embedding, lookup', {}, NAMES, 'lookup'),
    ('gat', EMBEDDING, NAMES, 'gat'),
  ],
)
def test_the_first_encoder_that_the_data_allows(encoder, sizes, names, found):
  spec, notes = resolve(encoder, sizes, names)
  assert spec.attribute_encoder == found
  assert ('attribute' in spec.perspectives) == (found is not None)
  assert any('attribute' in note for note in notes) == (found is None)
  lists = found in input_spec.LIST_ENCODERS
  assert spec.takes_attribute_lists == lists
  assert spec.attribute_names == (names if lists else ())
  assert ('attribute_embedding' in spec.feature_sizes) == (found == 'embedding')


@pytest.mark.parametrize('variant', ['paper', 'release'])
def test_the_papers_recipes_prefer_embeddings_then_node2vec(variant):
  assert resolve(None, EMBEDDING, NAMES, variant)[0].attribute_encoder == (
    'embedding'
  )
  spec, _ = resolve(None, {}, NAMES, variant)
  assert spec.attribute_encoder == 'node2vec'
  assert spec.node_vector_size == 128


@pytest.mark.parametrize(
  ('encoder', 'sizes', 'names', 'lacks'),
  [
    ('gcn', EMBEDDING, (), 'attribute lists'),
    ('node2vec', {}, (), 'attribute lists'),
    ('embedding', {}, NAMES, 'attribute_embedding'),
  ],
)
def test_a_single_choice_that_is_not_possible(encoder, sizes, names, lacks):
  with pytest.raises(errors.UserError, match=f'the data has no {lacks}'):
    resolve(encoder, sizes, names)
  # Without the perspective nothing is asked for.
  spec, _ = resolve(encoder, sizes, names, perspectives=('content',))
  assert spec.attribute_encoder is None


@pytest.mark.parametrize(
  ('encoder', 'start', 'size'),
  [('gcn', 'node2vec', 128), ('gcn', 'learned', 0), ('lookup', 'node2vec', 0)],
)
def test_node2vec_vectors_only_where_they_are_read(encoder, start, size):
  config = config_lib.get_config().model
  config.attribute.encoder, config.attribute.start = encoder, start
  spec, _ = input_spec.resolve(config, {}, NAMES)
  assert spec.node_vector_size == size


def test_the_description_survives_json():
  spec, _ = resolve('gcn', {'content_image': 9}, NAMES)
  stored = json.loads(json.dumps(spec.to_json()))
  assert input_spec.InputSpec.from_json(stored) == spec
  stored['unheard'] = 1
  with pytest.raises(TypeError):
    input_spec.InputSpec.from_json(stored)
