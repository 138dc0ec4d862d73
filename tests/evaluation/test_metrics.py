"""Metrics against hand arithmetic and a slow, independent reference."""

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.evaluation import metrics

NAMES = metrics.METRICS


def summary(scores, positives, categories=None, found_under=None):
  """Runs the code under test on lists of candidate indices."""
  scores = np.asarray(scores, np.float32)
  width = max(map(len, positives))
  matrix = np.array([p + [-1] * (width - len(p)) for p in positives])
  if categories is None:
    categories = np.zeros(len(scores), np.int32)
    found_under = np.full(scores.shape[1], -1, np.int32)
  return metrics.summarize(
    metrics.brand_statistics(
      scores,
      matrix,
      brand_category_B=np.asarray(categories, np.int32),
      found_under_M=np.asarray(found_under, np.int32),
    )
  )


def slow(scores, positives, categories, found_under):
  """The definitions of the protocol, word by word."""
  right = pairs = same_right = same_pairs = 0
  recall = {10: [], 50: []}
  first, average = [], []
  for b, own in enumerate(positives):
    row = [float(s) for s in np.asarray(scores, np.float32)[b]]
    ranks = sorted(sum(other >= row[p] for other in row) for p in own)
    for p in own:
      for m, score in enumerate(row):
        if m in own:
          continue
        worth = 1.0 if row[p] > score else 0.5 if row[p] == score else 0.0
        right, pairs = right + worth, pairs + 1
        if found_under[m] == categories[b]:
          same_right, same_pairs = same_right + worth, same_pairs + 1
    for k in recall:
      recall[k].append(sum(r <= k for r in ranks) / len(own))
    first.append(ranks[0])
    average.append(np.mean([(i + 1) / r for i, r in enumerate(ranks)]))
  return {
    'auc': right / pairs if pairs else None,
    'cauc': same_right / same_pairs if same_pairs else None,
    'recall@10': np.mean(recall[10]),
    'recall@50': np.mean(recall[50]),
    'mrr': np.mean([1 / r for r in first]),
    'map': np.mean(average),
    'medr': sorted(first)[(len(first) - 1) // 2],
  }


def test_by_hand():
  # Brand 0: candidates by score: 2 (positive), 0, 1 (positive), 3.
  #   Ranks 1 and 3. Pairs: 2 beats 0 and 3, 1 beats 3: 3 of 4.
  #   AP = (1/1 + 2/3) / 2 = 5/6.
  # Brand 1: 3, then 0 (positive) tied with 1, then 2.
  #   The positive's rank is the worst of its group: 3 score >= it.
  #   Pairs: loses to 3, ties with 1, beats 2: 1.5 of 3. AP = 1/3.
  got = summary([[3, 2, 4, 1], [5, 5, 2, 7]], [[1, 2], [0]])
  assert got['auc'] == pytest.approx(4.5 / 7)
  assert got['cauc'] is None
  assert got['map'] == pytest.approx((5 / 6 + 1 / 3) / 2)
  assert got['mrr'] == pytest.approx((1 + 1 / 3) / 2)
  assert got['medr'] == 1  # the lower middle of 1 and 3
  assert got['recall@10'] == 1


def test_category_auc_by_hand():
  # Brand 0 of category 7; candidates 0 (positive) and, as negatives, 1 and 2
  # found under 7 and 3 found elsewhere. It beats 1 and 3 but not 2.
  got = summary([[5, 4, 6, 1]], [[0]], [7], [7, 7, 7, 8])
  assert got['cauc'] == pytest.approx(1 / 2)
  assert got['auc'] == pytest.approx(2 / 3)


def test_tied_positives_share_the_worst_rank():
  # Both positives tie at the top of three tied: r_1 = r_2 = 3.
  got = summary([[2, 2, 2, 1]], [[0, 1]])
  assert got['map'] == pytest.approx((1 / 3 + 2 / 3) / 2)
  assert got['mrr'] == pytest.approx(1 / 3)


def test_constant_scores_earn_nothing():
  scores = np.zeros((3, 100))
  got = summary(scores, [[0], [1, 2], [99]])
  assert got['auc'] == 0.5
  assert got['recall@10'] == got['recall@50'] == 0
  assert got['mrr'] == pytest.approx(1 / 100)
  assert got['medr'] == 100


def test_recall_counts_rank_10_and_not_11():
  scores = -np.arange(60.0)[None]
  assert summary(scores, [[9]])['recall@10'] == 1
  assert summary(scores, [[10]])['recall@10'] == 0
  assert summary(scores, [[49]])['recall@50'] == 1
  assert summary(scores, [[50]])['recall@50'] == 0


def test_minus_zero_ties_with_zero():
  got = summary([[-0.0, 0.0, -1.0]], [[0]])
  assert got['auc'] == 0.75
  assert got['mrr'] == 0.5


def test_one_brand_and_one_candidate():
  got = summary([[0.3]], [[0]])
  assert got['auc'] is None
  assert got['map'] == got['mrr'] == got['medr'] == 1


def test_auc_pools_the_pairs_of_all_brands():
  # Brand 0: 1 positive of 4, all right: 3 pairs. Brand 1: 2 positives of 4,
  # all wrong: 4 pairs. Pooled 3/7, not the mean of 1 and 0.
  got = summary([[9, 1, 2, 3], [1, 2, 8, 9]], [[0], [0, 1]])
  assert got['auc'] == pytest.approx(3 / 7)


@pytest.mark.parametrize('kind', ['distinct', 'tied', 'heavily tied', 'tiny'])
@pytest.mark.parametrize('seed', range(5))
def test_against_the_slow_reference(kind, seed):
  rng = np.random.default_rng(seed)
  num_brands = int(rng.integers(1, 9))
  num_candidates = int(rng.integers(2, 80))
  scores = rng.normal(size=(num_brands, num_candidates))
  if kind == 'tied':
    scores = np.round(scores, 1)
  elif kind == 'heavily tied':
    scores = np.sign(scores)
  elif kind == 'tiny':
    scores *= 1e-38
  positives = [
    rng.choice(
      num_candidates, int(rng.integers(1, num_candidates)), replace=False
    ).tolist()
    for _ in range(num_brands)
  ]
  categories = rng.integers(0, 3, num_brands)
  found_under = rng.integers(-1, 3, num_candidates)
  got = summary(scores, positives, categories, found_under)
  want = slow(scores, positives, categories, found_under)
  for name in NAMES:
    assert got[name] == pytest.approx(want[name], rel=1e-12), name


def test_order_of_candidates_and_blocks_change_nothing():
  rng = np.random.default_rng(0)
  scores = np.round(rng.normal(size=(6, 40)), 1).astype(np.float32)
  positives = np.stack([rng.permutation(40)[:3] for _ in range(6)])
  kwargs = {
    'brand_category_B': np.zeros(6, np.int32),
    'found_under_M': rng.integers(-1, 2, 40).astype(np.int32),
  }
  whole = metrics.brand_statistics(scores, positives, **kwargs)
  order = rng.permutation(40)
  place = np.argsort(order)
  shuffled = metrics.brand_statistics(
    scores[:, order],
    place[positives],
    brand_category_B=kwargs['brand_category_B'],
    found_under_M=kwargs['found_under_M'][order],
  )
  halves = metrics.concatenate(
    [
      metrics.brand_statistics(
        scores[i : i + 3],
        positives[i : i + 3],
        brand_category_B=np.zeros(3, np.int32),
        found_under_M=kwargs['found_under_M'],
      )
      for i in (0, 3)
    ]
  )
  assert metrics.summarize(whole) == metrics.summarize(shuffled)
  assert metrics.summarize(whole) == metrics.summarize(halves)


def test_padding_is_no_positive():
  rng = np.random.default_rng(3)
  scores = rng.normal(size=(2, 30)).astype(np.float32)
  kwargs = {
    'brand_category_B': np.zeros(2, np.int32),
    'found_under_M': np.zeros(30, np.int32),
  }
  narrow = metrics.brand_statistics(
    scores, np.array([[3, 4], [5, -1]]), **kwargs
  )
  wide = metrics.brand_statistics(
    scores, np.array([[3, 4, -1, -1], [5, -1, -1, -1]]), **kwargs
  )
  assert metrics.summarize(narrow) == metrics.summarize(wide)


def test_scores_that_are_not_finite_are_an_error():
  with pytest.raises(errors.DivergedError, match='not finite'):
    summary([[1, np.nan, 2]], [[0]])
