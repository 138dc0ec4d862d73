"""Padding, and the digamma function."""

import numpy as np
import pytest
from scipy import special

from morning_jax.features.text import corpus
from morning_jax.features.topics import blocks
from morning_jax.features.topics import variational


def test_documents_lie_in_blocks_of_their_length():
  rng = np.random.default_rng(0)
  lengths = [0, 1, 16, 17, 40, 3, 0, 300]
  documents = corpus.collect(
    (np.sort(rng.choice(500, n, replace=False)), rng.integers(1, 5, n))
    for n in lengths
  )
  seen = []
  for block in blocks.blocks(documents, num_words=500, num_devices=2):
    rows, length = block.words_RxL.shape
    assert rows == 2 * blocks.rows_of_block(length)
    for place, row in enumerate(block.rows):
      seen.append(row)
      words, counts = documents[row]
      assert blocks.padded_length(np.array([len(words)]))[0] == length
      np.testing.assert_array_equal(block.words_RxL[place][: len(words)], words)
      np.testing.assert_array_equal(
        block.counts_RxL[place], [*counts, *[0] * (length - len(words))]
      )
    for row in block.words_RxL:
      assert len(set(row)) == length  # also the places without a word
    assert (block.words_RxL[block.counts_RxL == 0] >= 500).all()
  assert sorted(seen) == [i for i, n in enumerate(lengths) if n]


def test_a_block_of_a_length_has_one_size():
  for length, rows in ((16, 512), (64, 128), (8192, 1), (65536, 1)):
    assert blocks.rows_of_block(length) == rows


def test_full_blocks_are_followed_by_a_rest():
  documents = corpus.collect([([0], [1.0])] * 1100)
  found = list(blocks.blocks(documents, num_words=1, num_devices=1))
  assert [len(b.rows) for b in found] == [512, 512, 76]
  assert {b.words_RxL.shape for b in found} == {(512, 16)}


@pytest.mark.parametrize('largest', [1e-3, 3.0, 1e6])
def test_digamma(largest):
  x = np.linspace(largest / 1e4, largest, 10_000).astype(np.float32)
  np.testing.assert_allclose(
    variational.digamma(x),
    special.digamma(x.astype(np.float64)),
    rtol=1e-6,
    atol=1e-6,
  )
