"""Which words are kept, whatever the shards; files of documents."""

import itertools

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.features.text import corpus
from morning_jax.features.text import options as options_lib
from morning_jax.features.text import vocabulary as vocabulary_lib

DOCUMENTS = [
  ['tea', 'tea', 'tea', 'rare'],
  ['coffee', 'day', 'tea'],
  ['coffee', 'day', 'coffee', 'tea'],
  ['day', 'coffee'],
  [],
  ['day', 'day', 'zebra', 'zebra'],
]
KEEP = options_lib.VocabularyOptions(min_accounts=3, max_share=0.6)


def test_rare_and_frequent_words_go():
  # day: 4 of 6 accounts; coffee and tea: 3; rare and zebra: 1.
  counts = vocabulary_lib.count(DOCUMENTS)
  assert counts.documents == 6
  assert vocabulary_lib.build(counts, KEEP).words == ('coffee', 'tea')
  most = options_lib.VocabularyOptions(min_accounts=1, max_words=3)
  assert vocabulary_lib.build(counts, most).words == ('coffee', 'rare', 'tea')


def test_shards_and_their_order_change_nothing():
  whole = vocabulary_lib.build(vocabulary_lib.count(DOCUMENTS), KEEP)
  shards = [DOCUMENTS[:1], DOCUMENTS[1:4], DOCUMENTS[4:]]
  for order in itertools.permutations(shards):
    counts = vocabulary_lib.WordCounts()
    for shard in order:
      counts.merge(vocabulary_lib.count(shard))
    assert vocabulary_lib.build(counts, KEEP) == whole


def test_no_word_is_left():
  with pytest.raises(errors.UserError, match='no word of 1 accounts'):
    vocabulary_lib.build(vocabulary_lib.count([['a']]))


def test_encoding():
  words = vocabulary_lib.Vocabulary(('coffee', 'day', 'tea'))
  numbers, counts = words.encode(DOCUMENTS[2] + ['unknown'])
  assert numbers.tolist() == [0, 1, 2]
  assert counts.tolist() == [2, 1, 1]
  assert (numbers.dtype, counts.dtype) == (np.int32, np.float32)
  every = words.encode_all(DOCUMENTS)
  assert every.starts.tolist() == [0, 1, 4, 7, 9, 9, 10]
  assert next(iter(every))[0].tolist() == [2]


@pytest.mark.parametrize(
  'field',
  [
    {'min_accounts': 0},
    {'max_share': 0.0},
    {'max_share': 1.1},
    {'max_words': 0},
  ],
)
def test_options_that_can_not_be(field):
  with pytest.raises(errors.UserError, match=f'^{next(iter(field))}: '):
    options_lib.VocabularyOptions(**field)


RNG = np.random.default_rng(0)
CORPUS = corpus.collect(
  (np.sort(RNG.choice(30, n, replace=False)), RNG.integers(1, 9, n))
  for n in (3, 0, 7, 1, 0, 0, 4, 2, 9)
)


def same(one, other):
  for name in ('words', 'counts', 'starts'):
    a, b = getattr(one, name), getattr(other, name)
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


def test_documents_come_back_from_files(tmp_path):
  path = tmp_path / 'a.npz'
  corpus.write(path, CORPUS)
  same(corpus.read(path), CORPUS)
  corpus.write(tmp_path / 'b.npz', CORPUS)
  assert path.read_bytes() == (tmp_path / 'b.npz').read_bytes()
  source = corpus.Files((path, path))
  for _ in range(2):
    assert [len(part) for part in source] == [9, 9]
  corpus.write(path, corpus.collect([]))
  same(corpus.read(path), corpus.collect([]))


def test_documents_can_be_taken_and_joined():
  rows = np.array([6, 0, 1, 6])
  taken = corpus.take(CORPUS, rows)
  for place, row in enumerate(rows):
    np.testing.assert_array_equal(taken[place][0], CORPUS[row][0])
    np.testing.assert_array_equal(taken[place][1], CORPUS[row][1])
  halves = [corpus.take(CORPUS, np.arange(a, b)) for a, b in ((0, 4), (4, 9))]
  same(corpus.join(halves), CORPUS)


@pytest.mark.parametrize('size', [1, 2, 4, 6, 100])
@pytest.mark.parametrize('cut', [0, 1, 5, 9])
def test_windows_do_not_depend_on_cuts(size, cut):
  parts = [
    corpus.take(CORPUS, np.arange(a, b)) for a, b in ((0, cut), (cut, 9))
  ]
  found = list(corpus.windows(parts, size))
  whole = list(corpus.windows([CORPUS], size))
  assert [len(w) for w in found] == [len(w) for w in whole]
  for one, other in zip(found, whole, strict=True):
    same(one, other)
  full = corpus.take(CORPUS, np.flatnonzero(CORPUS.lengths))
  same(corpus.join(found), full)
  assert all(len(w) == size for w in found[:-1])


@pytest.mark.parametrize(
  'change',
  [
    {'words': np.array([-1, 1], np.int32)},
    {'words': np.array([1.0, 2.0])},
    {'counts': np.array([0, 1], np.float32)},
    {'counts': np.array([np.nan, 1], np.float32)},
    {'counts': np.ones(3, np.float32)},
    {'starts': np.array([0, 1])},
    {'starts': np.array([0, 2, 1, 2])},
    {'starts': np.zeros(0, np.int64)},
    {'starts': np.array([{'an': 'object'}], object)},
  ],
)
def test_files_of_something_else(change, tmp_path):
  sound = {
    'words': np.array([0, 1], np.int32),
    'counts': np.ones(2, np.float32),
    'starts': np.array([0, 2]),
  }
  path = tmp_path / 'a.npz'
  np.savez(path, **sound)
  corpus.read(path)
  np.savez(path, **{**sound, **change})
  with pytest.raises(corpus.CorpusError, match='no file of documents'):
    corpus.read(path)


def test_files_that_are_none(tmp_path):
  path = tmp_path / 'a.npz'
  for content in (b'', b'nonsense', b'PK\x03\x04'):
    path.write_bytes(content)
    with pytest.raises(corpus.CorpusError, match='no file of documents'):
      corpus.read(path)
  with pytest.raises(corpus.CorpusError, match='No such file'):
    corpus.read(tmp_path / 'b.npz')
