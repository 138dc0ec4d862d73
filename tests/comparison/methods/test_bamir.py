"""BAMIR: its negatives, and attributes as lists."""

import dataclasses

import jax
import numpy as np

from morning_jax.comparison.methods import bamir
from morning_jax.comparison.methods import fold_data
from morning_jax.core import accounts as accounts_lib
from tests.comparison.methods import trained


def test_attribute_lists_stand_in_for_embeddings():
  features = dict(trained.task().dataset.features)
  del features['attribute_embedding']
  dataset = dataclasses.replace(trained.task().dataset, features=features)
  lists = dataclasses.replace(trained.task(), dataset=dataset)
  assert not bamir.METHOD.missing(dataset)
  table = fold_data.make(lists, (accounts_lib.ATTRIBUTE_LIST,)).table
  bag_AxV = table.features[accounts_lib.ATTRIBUTE_LIST]
  attributes = dataset.attributes
  own = attributes.held[attributes.holder == attributes.holder[0]]
  np.testing.assert_array_equal(
    np.flatnonzero(bag_AxV[attributes.holder[0]]), own
  )
  assert trained.auc(lists, bamir.METHOD.score(lists)) > 0.6


def test_hard_negatives_are_of_the_category_and_no_positives():
  fold = fold_data.make(trained.task(), ('content_text',))
  brand_P = fold.brand_P[: int(fold.num_positives)]
  negative_PxN = np.asarray(
    bamir.draw_negatives(jax.random.key(0), fold, brand_P)
  )
  assert negative_PxN.shape == (len(brand_P), 20)
  train = trained.task().train
  category_B = trained.task().dataset.accounts.categories[train.brand_row_B]
  worked = {
    m: set(category_B[train.brand_P[train.candidate_P == m]])
    for m in range(len(train.candidate_row_M))
  }
  positives = set(zip(train.brand_P, train.candidate_P, strict=True))
  for b, negatives in zip(brand_P, negative_PxN, strict=True):
    assert all(category_B[b] in worked[m] for m in negatives[:4])
    assert not positives & {(b, m) for m in negatives}
  others = [
    category_B[b] not in worked[m]
    for b, row in zip(brand_P, negative_PxN[:, 4:], strict=True)
    for m in row
  ]
  assert np.mean(others) > 0.5
  # All that are allowed get drawn.
  reached = np.zeros_like(fold.same_BxM)
  for seed in range(40):
    drawn = bamir.draw_negatives(jax.random.key(seed), fold, brand_P)
    reached[brand_P[:, None], np.asarray(drawn)[:, :4]] = True
  assert reached[fold.same_BxM].mean() > 0.95


def test_a_brand_alone_in_its_category_gets_other_negatives():
  fold = fold_data.make(trained.task(), ('content_text',))
  fold = fold.replace(same_BxM=np.zeros_like(fold.same_BxM))
  negative_PxN = bamir.draw_negatives(
    jax.random.key(0), fold, fold.brand_P[:50]
  )
  assert not fold.known_BxM[fold.brand_P[:50, None], negative_PxN].any()
  assert (negative_PxN < fold.num_candidates).all()
  assert len(np.unique(negative_PxN[:, :4])) > 50
