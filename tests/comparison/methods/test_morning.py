"""Rows of MORNING are what training gives."""

import numpy as np
import pytest

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison.methods import registry
from morning_jax.evaluation import metrics
from morning_jax.training import train
from tests.comparison import setups


@pytest.mark.parametrize(
  ('variant', 'encoder'),
  [
    ('', 'embedding'),
    pytest.param('paper', 'embedding', marks=pytest.mark.slow),
    pytest.param('release', 'embedding', marks=pytest.mark.slow),
    pytest.param('', 'gcn', marks=pytest.mark.slow),
  ],
)
def test_rows_of_morning_equal_training(world, tmp_path, variant, encoder):
  config = setups.recipes(encoder=encoder)[variant]
  place = folds_lib.FoldSpec(seed=2, index=1, count=3)
  task = folds_lib.make_task(world, place)
  recipes = {'': config, 'paper': config, 'release': config}
  scores = registry.table(recipes)['morning'].score(task)
  harness = metrics.summarize(folds_lib.evaluate(world, place, scores))
  config.seed, config.mesh.data = 2, 1
  config.data.folds, config.data.fold = 3, 1
  config.data.valid_share = 0.0
  trained = train.train(config, tmp_path, dataset=world).metrics['test']
  for metric in metrics.METRICS:
    assert harness[metric] == pytest.approx(trained[metric], abs=1e-5), metric


def test_scores_after_epochs_end_in_those_of_the_whole_run(world):
  method = registry.table(setups.recipes())['morning']
  task = folds_lib.make_task(world, setups.FOLD)
  first, _, last = method.score_epochs(task, (0, 1, 2))
  np.testing.assert_allclose(last, method.score(task), atol=1e-6)
  assert np.abs(first - last).max() > 1e-4
