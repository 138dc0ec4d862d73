"""Scores of methods that are not trained."""

import numpy as np
import pytest

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison.methods import untrained
from tests.comparison import setups


def test_untrained_scores_by_hand(world):
  task = folds_lib.make_task(world, setups.FOLD)
  popularity = untrained.popularity(task)
  similarity = untrained.similarity(task)
  brand, influencer = task.test.brand_row_B[2], task.test.candidate_row_M[5]
  pairs = task.dataset.positives_Px2.tolist()
  assert popularity[2, 5] == sum(m == influencer for _, m in pairs)
  assert popularity.max() > 0
  expected = 0.0
  for feature, x in world.features.items():
    a, b = x[brand].astype(float), x[influencer].astype(float)
    if feature.endswith('_text'):
      a, b = np.sqrt(a), np.sqrt(b)
    if np.isnan(a).any() or np.isnan(b).any():
      continue
    expected += a @ b / np.sqrt((a @ a) * (b @ b))
  assert similarity[2, 5] == pytest.approx(expected, abs=1e-5)
