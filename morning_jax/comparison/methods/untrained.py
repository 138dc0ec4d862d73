"""Methods that learn nothing, or next to nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from morning_jax.comparison.methods import fold_data
from morning_jax.comparison.methods import interface
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import random_streams
from morning_jax.data import transforms


def random(task: interface.Task) -> np.ndarray:
  """Scores by chance."""
  rows = task.test.brand_row_B
  # Told apart by fold, which the held-out brands are.
  generator = random_streams.generator(
    task.seed, random_streams.Stream.RANDOM_SCORES, *rows.tolist()
  )
  return generator.random(
    (len(rows), len(task.test.candidate_row_M)), dtype=np.float32
  )


def popularity(task: interface.Task) -> np.ndarray:
  """Scores an influencer by its number of training positives."""
  split = task.train
  count_A = np.zeros(len(task.dataset.accounts), np.float32)
  np.add.at(count_A, split.candidate_row_M[split.candidate_P], 1)
  return np.tile(
    count_A[task.test.candidate_row_M], (len(task.test.brand_row_B), 1)
  )


def _unit(x_AxF: np.ndarray) -> np.ndarray:
  """Scales rows to unit length; rows of NaN or zeros become zeros."""
  x_AxF = np.where(np.isnan(x_AxF), np.float32(0), x_AxF)
  length = np.sqrt(np.sum(np.square(x_AxF), axis=1, keepdims=True))
  return (x_AxF / np.where(length == 0, 1.0, length)).astype(np.float32)


def vectors(dataset: accounts_lib.Dataset) -> dict[str, np.ndarray]:
  """Returns vectors whose inner products are plain similarities.

  Topics give the Hellinger affinity, every other feature the cosine; so do
  attribute lists, where there are no attribute embeddings.

  Args:
    dataset: the data set.

  Returns:
    Feature -> float32 [A, F] of unit length; zeros where an account lacks it.
  """
  found = {}
  for feature in dataset.feature_sizes:
    x_AxF = dataset.features[feature]
    if feature in accounts_lib.TOPIC_FEATURES:
      x_AxF = transforms.apply('hellinger', x_AxF, {})
    found[feature] = _unit(x_AxF)
  embeddings = accounts_lib.PERSPECTIVES['attribute'].values()
  attributes = dataset.attributes
  if (
    attributes is not None
    and len(attributes.holder)
    and not any(f in found for f in embeddings)
  ):
    held_AxV = np.zeros(
      (len(dataset.accounts), len(attributes.names_V)), np.float32
    )
    held_AxV[attributes.holder, attributes.held] = 1
    found[accounts_lib.ATTRIBUTE_LIST] = _unit(held_AxV)
  return found


def fitted_vectors(task: interface.Task) -> dict[str, np.ndarray]:
  """Returns the vectors that trained methods start from.

  As `vectors`, but embeddings are whitened by the training accounts.
  """
  found = fold_data.unit_vectors(task, list(vectors(task.dataset)))
  return {f: np.nan_to_num(x, copy=False) for f, x in found.items()}


def _add_up(
  task: interface.Task, found: Mapping[str, np.ndarray]
) -> np.ndarray:
  total = np.zeros(
    (len(task.test.brand_row_B), len(task.test.candidate_row_M)), np.float32
  )
  for x_AxF in found.values():
    total += x_AxF[task.test.brand_row_B] @ x_AxF[task.test.candidate_row_M].T
  return total


def similarity(task: interface.Task) -> np.ndarray:
  """Adds the similarities of all features up; nothing is trained."""
  return _add_up(task, vectors(task.dataset))


def whitened_similarity(task: interface.Task) -> np.ndarray:
  """Adds similarities of whitened features up; the whitening is fitted."""
  return _add_up(task, fitted_vectors(task))


def _nothing_to_whiten(dataset: accounts_lib.Dataset) -> str | None:
  embeddings = accounts_lib.PERSPECTIVES['attribute'].values()
  if any(f in vectors(dataset) for f in embeddings):
    return None
  return 'is similarity itself on this data'


RANDOM = interface.Method('random', 'RAND', 'chance', random)
POPULARITY = interface.Method(
  'popularity',
  'popularity',
  'number of training positives of an influencer',
  popularity,
  missing=lambda _: [
    'influencers that no training brand has are tied at 0, and a tied group'
    ' takes its worst rank'
  ],
)
SIMILARITY = interface.Method(
  'similarity',
  'similarity',
  'Hellinger affinity of topics plus cosine of every other feature; nothing is'
  ' trained',
  similarity,
  unavailable=lambda d: None if vectors(d) else 'no features',
)
WHITENED_SIMILARITY = interface.Method(
  'similarity-whitened',
  'similarity (whitened)',
  'the same of whitened embeddings: what MORNING starts from; nothing but the'
  ' whitening is fitted',
  whitened_similarity,
  unavailable=_nothing_to_whiten,
)
