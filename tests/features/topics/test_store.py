"""A model comes back as it was, or not at all."""

import dataclasses
import json

import numpy as np
import pytest

from morning_jax.core import files
from morning_jax.features.text import corpus
from morning_jax.features.topics import model as model_lib
from morning_jax.features.topics import store
from tests.features.topics import planted

MODEL = model_lib.TopicModel(
  vocabulary=planted.vocabulary(6),
  topics_TxW=np.random.default_rng(0).gamma(1, 1, (3, 6)).astype(np.float32),
  document_prior=0.1,
  topic_prior=1 / 3,
  document_steps=20,
  tolerance=1e-3,
  documents=7,
)


@pytest.fixture
def folder(tmp_path):
  store.save(tmp_path / 'topics', MODEL)
  return tmp_path / 'topics'


def test_it_comes_back_bit_by_bit(folder):
  found = store.load(folder)
  np.testing.assert_array_equal(found.topics_TxW, MODEL.topics_TxW)
  for field in dataclasses.fields(MODEL):
    if field.name != 'topics_TxW':
      assert getattr(found, field.name) == getattr(MODEL, field.name)
  some = corpus.collect([([0, 4], [1.0, 2.0])])
  np.testing.assert_array_equal(found.infer(some), MODEL.infer(some))


def test_the_same_model_gives_the_same_bytes(folder, tmp_path):
  store.save(tmp_path / 'again', MODEL)
  for path in folder.iterdir():
    assert path.read_bytes() == (tmp_path / 'again' / path.name).read_bytes()
  assert {p.name for p in folder.iterdir()} == {'topics.json', 'topics.npz'}


def test_nothing_is_left_of_what_fails(tmp_path, monkeypatch):
  def full(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(files, 'write_json', full)
  with pytest.raises(OSError, match='No space'):
    store.save(tmp_path / 'topics', MODEL)
  assert list(tmp_path.iterdir()) == []


def refused(folder, match):
  with pytest.raises(store.TopicsError, match=match) as caught:
    store.load(folder)
  text = str(caught.value)
  assert len(text) <= 300
  assert '\n' not in text


def rewrite(folder, *, sealed=True, **changes):
  path = folder / 'topics.json'
  told = json.loads(path.read_text()) | changes
  told.pop('checksum')
  told['checksum'] = files.checksum(told) if sealed else 0
  path.write_text(json.dumps(told))


def test_what_is_missing_is_told(folder):
  refused(folder / 'nowhere', 'No such file')
  (folder / 'topics.npz').unlink()
  refused(folder, 'topics.npz: No such file')


@pytest.mark.parametrize('name', ['topics.json', 'topics.npz'])
def test_any_damaged_byte_is_noticed(folder, name):
  path = folder / name
  whole = path.read_bytes()
  for place in range(0, len(whole), max(1, len(whole) // 40)):
    damaged = bytearray(whole)
    damaged[place] ^= 1
    path.write_bytes(damaged)
    refused(folder, name)


@pytest.mark.parametrize('name', ['topics.json', 'topics.npz'])
def test_any_shorter_file_is_noticed(folder, name):
  path = folder / name
  whole = path.read_bytes()
  for length in (0, 1, len(whole) // 2, len(whole) - 1):
    path.write_bytes(whole[:length])
    # The last byte of the description is a line end, which tells nothing.
    if name == 'topics.json' and length == len(whole) - 1:
      continue
    refused(folder, f'{name}: damaged')


@pytest.mark.parametrize(
  ('changes', 'match'),
  [
    ({'format': 'other'}, 'describes no topic model'),
    ({'version': 2}, "is of version '2', this program reads 1"),
    ({'words': ['a']}, '1 words for topics over 6'),
    ({'words': ['b', 'a', 'c', 'd', 'e', 'f']}, 'damaged'),
    ({'words': [1, 2]}, 'damaged'),
    ({'document_prior': -1.0}, 'damaged'),
    ({'tolerance': float('nan')}, 'damaged'),
    ({'documents': 'many'}, 'damaged'),
  ],
)
def test_descriptions_that_can_not_be(folder, changes, match):
  rewrite(folder, **changes)
  refused(folder, match)


def test_a_description_of_something_else(folder):
  for text in ('[]', '7', '[' * 100_000, '{}', '\0', 'nonsense'):
    (folder / 'topics.json').write_text(text)
    refused(folder, 'topics.json')


@pytest.mark.parametrize(
  'arrays',
  [
    {'topics_TxW': np.zeros((3, 6), np.float32)},
    {'topics_TxW': np.full((3, 6), np.nan, np.float32)},
    {'topics_TxW': np.ones((3, 6))},
    {'topics_TxW': np.ones(6, np.float32)},
    {'other': np.ones((3, 6), np.float32)},
    {'topics_TxW': np.array([{'an': 'object'}], object)},
  ],
)
def test_arrays_that_can_not_be(folder, arrays):
  np.savez(folder / 'topics.npz', **arrays)
  rewrite(folder, arrays=files.digest(folder / 'topics.npz'))
  refused(folder, 'topics.npz')
