"""Documents of planted topics."""

import itertools

import numpy as np
from scipy import optimize

from morning_jax.features.text import corpus
from morning_jax.features.text import vocabulary as vocabulary_lib


def topics(num_topics, words_each):
  """Topics of words of their own, a few of which their neighbours share."""
  num_words = num_topics * words_each
  words = np.full((num_topics, num_words), 0.02 / num_words)
  for t in range(num_topics):
    for i in range(words_each + 3):
      words[t, (t * words_each + i) % num_words] += 1 / (i + 3)
  return words / words.sum(1, keepdims=True)


def documents(words_TxW, *, number, length=40, seed=0, mixing=0.2):
  """Draws documents; returns them and their topics."""
  rng = np.random.default_rng(seed)
  shares = rng.dirichlet(np.full(len(words_TxW), mixing), number)
  drawn = []
  for share in shares:
    counts = rng.multinomial(rng.integers(2, 2 * length), share @ words_TxW)
    words = np.flatnonzero(counts)
    drawn.append((words, counts[words]))
  return corpus.collect(drawn), shares


def vocabulary(num_words):
  return vocabulary_lib.Vocabulary(tuple(f'w{i:04}' for i in range(num_words)))


def cut(whole, *ends):
  """Cuts documents into parts."""
  edges = [0, *ends, len(whole)]
  return [
    corpus.take(whole, np.arange(a, b)) for a, b in itertools.pairwise(edges)
  ]


def matched(found_TxW, planted_TxW):
  """Correlations of the planted topics with the best matching found ones."""
  number = len(found_TxW)
  between = np.corrcoef(found_TxW, planted_TxW)[:number, number:]
  return between[optimize.linear_sum_assignment(-between)]
