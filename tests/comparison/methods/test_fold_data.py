"""A fold as arrays of like shapes."""

import jax
import numpy as np

from configs import morning as config_lib
from morning_jax.comparison.methods import fold_data
from morning_jax.data import splits
from tests import runs
from tests.comparison.methods import trained


def test_inputs_are_those_of_the_recipe():
  config = config_lib.get_config()
  assert config.model.whitening == fold_data._WHITENING
  assert config.model.transforms.to_dict() == {
    'image': 'hellinger',
    'text': 'hellinger',
    'embedding': 'whiten',
  }


def test_folds_share_their_shapes():
  world = runs.small_world()
  shapes = []
  for index in range(3):
    fold = splits.fold(world, index=index, count=3, seed=0)
    fold = fold_data.make(trained.make_task(fold), ('content_text',))
    shapes.append(jax.tree.map(np.shape, fold))
    assert fold.num_positives == fold.known_BxM.sum()
    real = slice(fold.num_positives)
    assert fold.known_BxM[fold.brand_P[real], fold.candidate_P[real]].all()
  assert shapes[0] == shapes[1] == shapes[2]


def test_fold_knows_nothing_held_out():
  fold = fold_data.make(trained.task(), ('content_text',))
  num_brands, num = len(trained.task().train.brand_row_B), fold.num_candidates
  assert (
    fold.known_BxM.sum()
    == fold.num_positives
    == len(trained.task().train.brand_P)
  )
  assert not fold.known_BxM[num_brands:].any()
  assert not fold.same_BxM[num_brands:].any()
  assert not fold.same_BxM[:, num:].any()
  assert set(fold.brand_row_B[:num_brands]) == set(
    trained.task().train.brand_row_B
  )
