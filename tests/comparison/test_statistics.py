"""Bootstrap over brands, paired differences and Holm's correction."""

import dataclasses
import statistics as plain

import numpy as np
import pytest

from morning_jax.comparison import results
from morning_jax.comparison import statistics
from morning_jax.core import random_streams
from morning_jax.evaluation import metrics


def _brands(rng, count):
  """Statistics of `count` brands, as a ranking could give them."""
  positives = rng.integers(1, 6, count)
  pairs = positives * rng.integers(5, 30, count)
  category_pairs = pairs // rng.integers(2, 9, count)
  return metrics.BrandStatistics(
    positives=positives,
    pairs=pairs,
    ordered=rng.integers(0, 2 * pairs + 1) / 2,
    category_pairs=category_pairs,
    category_ordered=rng.integers(0, 2 * category_pairs + 1) / 2,
    top_10=rng.integers(0, positives + 1),
    top_50=positives,
    first_rank=rng.integers(1, 20, count),
    average_precision=rng.random(count),
  )


def _groups(seed, *, brands=9, folds=3, seeds=2):
  """Results of one method: each repetition splits the brands anew."""
  rng = np.random.default_rng(seed)
  groups = []
  for repetition in range(seeds):
    order = np.random.default_rng([7, repetition]).permutation(brands)
    for fold in range(folds):
      chosen = np.sort(order[fold::folds])
      groups.append(
        results.Group((repetition, fold), chosen, _brands(rng, len(chosen)))
      )
  return groups


def _slowly(groups, drawn):
  """The metrics of a resample, read off the definition, brand by brand."""
  values = {m: [] for m in metrics.METRICS}
  for group in groups:
    rows = []  # a brand that was drawn twice stands twice
    for brand in drawn:
      for i, b in enumerate(group.brand_B):
        if b == brand:
          fields = dataclasses.asdict(group.statistics)
          rows.append({k: v[i] for k, v in fields.items()})
    if not rows:
      continue
    values['auc'].append(
      sum(r['ordered'] for r in rows) / sum(r['pairs'] for r in rows)
    )
    if sum(r['category_pairs'] for r in rows):
      values['cauc'].append(
        sum(r['category_ordered'] for r in rows)
        / sum(r['category_pairs'] for r in rows)
      )
    for k in (10, 50):
      values[f'recall@{k}'].append(
        plain.mean(r[f'top_{k}'] / r['positives'] for r in rows)
      )
    values['mrr'].append(plain.mean(1 / r['first_rank'] for r in rows))
    values['map'].append(plain.mean(r['average_precision'] for r in rows))
    values['medr'].append(plain.median_low(int(r['first_rank']) for r in rows))
  return {m: plain.mean(map(float, v)) for m, v in values.items()}


def test_resamples_equal_the_definition():
  groups = _groups(0)
  weight_WxB = statistics.draw_weights(9, resamples=40, seed=3)
  fast = statistics.resample(groups, weight_WxB)
  for w, weight_B in enumerate(weight_WxB.astype(int)):
    slow = _slowly(groups, np.repeat(np.arange(9), weight_B))
    for metric in metrics.METRICS:
      assert fast[metric][w] == pytest.approx(slow[metric], abs=1e-12), metric
  # Some resample leaves a whole fold out, and the other folds still count.
  assert any(
    not weight_B[g.brand_B].any() for g in groups for weight_B in weight_WxB
  )


def test_each_brand_once_is_the_table_itself():
  groups = _groups(1)
  once = statistics.resample(groups, np.ones((1, 9)))
  for metric, value in results.point(groups).items():
    assert once[metric][0] == pytest.approx(value, abs=1e-12)
  fold_means = [metrics.summarize(g.statistics)['auc'] for g in groups]
  assert results.point(groups)['auc'] == pytest.approx(np.mean(fold_means))


def _one_group(average_precision):
  count = len(average_precision)
  brands = _brands(np.random.default_rng(0), count)
  return [
    results.Group(
      (0, 0),
      np.arange(count),
      dataclasses.replace(brands, average_precision=average_precision),
    )
  ]


def test_the_interval_of_a_mean_is_the_known_one():
  # 500 values: the interval is 1.96 standard errors to either side.
  values = np.random.default_rng(5).normal(0.4, 0.1, 500)
  summary = statistics.summarize(
    {'a': _one_group(values)}, num_brands=500, reference='none'
  )
  cell = summary['a']['map']
  error = values.std() / np.sqrt(500)
  assert cell.mean == pytest.approx(values.mean())
  assert cell.low == pytest.approx(values.mean() - 1.96 * error, abs=3e-4)
  assert cell.high == pytest.approx(values.mean() + 1.96 * error, abs=3e-4)
  assert cell.difference is None and cell.p is None


def test_differences_are_paired():
  values = np.random.default_rng(5).normal(0.4, 0.1, 100)
  summary = statistics.summarize(
    {
      'shifted': _one_group(values - 0.01),
      'same': _one_group(values),
      'reference': _one_group(values),
    },
    num_brands=100,
    reference='reference',
    resamples=999,
  )
  shifted = summary['shifted']['map']
  # Unpaired, a hundredth would drown: the interval of the mean is wider.
  assert shifted.high - shifted.low > 0.03
  for end in (shifted.difference_low, shifted.difference_high):
    assert end == pytest.approx(-0.01)
  assert shifted.p == pytest.approx(1 / 1000)
  same = summary['same']['map']
  assert same.difference == 0 and same.p == 1 and same.p_holm == 1
  assert summary['reference']['map'].difference is None


def test_p_values_count_exchanges():
  exchanged = np.array([0.1, -0.3, 0.3, 0.2, -0.4])
  assert statistics.p_value(0.3, exchanged) == pytest.approx(4 / 6)
  assert statistics.p_value(-0.3, exchanged) == pytest.approx(4 / 6)
  assert statistics.p_value(0.5, exchanged) == pytest.approx(1 / 6)


def test_exchanges_equal_the_definition():
  pair = {'own': _groups(4), 'other': _groups(5)}
  # Both methods rank the same pairs.
  own = [
    dataclasses.replace(
      a,
      statistics=dataclasses.replace(
        a.statistics,
        **{
          f: getattr(b.statistics, f)
          for f in ('positives', 'pairs', 'category_pairs', 'top_50')
        },
      ),
    )
    for a, b in zip(pair['own'], pair['other'], strict=True)
  ]
  cells = statistics.summarize(
    {'own': own, 'other': pair['other']},
    num_brands=9,
    reference='other',
    resamples=199,
  )['own']
  rng = random_streams.generator(0, random_streams.Stream.RANDOMIZATION_TEST)
  reached = dict.fromkeys(metrics.METRICS, 1)
  for exchanged_B in rng.integers(0, 2, (199, 9)) == 1:
    swapped = [[], []]
    for a, b in zip(own, pair['other'], strict=True):
      there = exchanged_B[a.brand_B]
      for out, (x, y) in zip(swapped, ((a, b), (b, a)), strict=True):
        fields = {
          k: np.where(there, getattr(y.statistics, k), v)
          for k, v in dataclasses.asdict(x.statistics).items()
        }
        out.append(
          dataclasses.replace(x, statistics=metrics.BrandStatistics(**fields))
        )
    points = [results.point(groups) for groups in swapped]
    for m in metrics.METRICS:
      difference = points[0][m] - points[1][m]
      reached[m] += abs(difference) >= abs(cells[m].difference) - 1e-9
  for m in metrics.METRICS:
    assert cells[m].p == pytest.approx(reached[m] / 200), m


@pytest.mark.parametrize('brands', [1, 2, 3, 5, 10, 31])
def test_methods_that_are_alike_get_few_stars(brands):
  rng = np.random.default_rng(brands)
  trials = 400
  stars = 0
  for trial in range(trials):
    cell = statistics.summarize(
      {
        'own': _one_group(rng.gamma(0.5, size=brands)),
        'reference': _one_group(rng.gamma(0.5, size=brands)),
      },
      num_brands=brands,
      reference='reference',
      resamples=199,
      seed=trial,
    )['own']['map']
    assert (cell.difference_low is None) == (cell.low is None) == (brands < 10)
    stars += cell.p < 0.05
  # Three standard errors of the share above its nominal value.
  assert stars / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_a_difference_of_some_brands_is_found():
  rng = np.random.default_rng(3)
  values = rng.random(12)
  p = statistics.summarize(
    {
      'better': _one_group(values + rng.uniform(0.1, 0.2, 12)),
      'reference': _one_group(values),
    },
    num_brands=12,
    reference='reference',
  )['better']['map'].p
  # All of twelve signs the same: 2 in 2^12.
  assert p == pytest.approx(2 / 2**12, abs=1e-3)


def test_fewer_repetitions_are_compared_with_their_own():
  whole = _groups(2, brands=12)
  first = [g for g in whole if g.key[0] == 0]
  summary = statistics.summarize(
    {'short': first, 'reference': whole},
    num_brands=12,
    reference='reference',
    resamples=50,
  )
  for cell in summary['short'].values():
    assert cell.difference == 0
    assert cell.difference_low == cell.difference_high == 0


def test_holm_by_hand():
  corrected = statistics.holm({'a': 0.01, 'b': 0.04, 'c': 0.03, 'd': None})
  # 3 x 0.01, 2 x 0.03, then 0.04, which may not fall below the one before.
  assert corrected == {
    'a': pytest.approx(0.03),
    'c': pytest.approx(0.06),
    'b': pytest.approx(0.06),
    'd': None,
  }


def test_categories_join_the_folds_of_a_repetition():
  groups = _groups(3)
  category_B = np.array(['x', 'y', 'x'] * 3)
  joined = results.of_category(groups, category_B, 'x')
  assert [g.key for g in joined] == [(0,), (1,)]
  for group in joined:
    assert sorted(group.brand_B) == [0, 2, 3, 5, 6, 8]
  own = [g for g in groups if g.key[0] == 0]
  brand = joined[0].brand_B[1]
  source = next(g for g in own if brand in g.brand_B)
  place = list(source.brand_B).index(brand)
  assert joined[0].statistics.ordered[1] == source.statistics.ordered[place]


def test_statistics_survive_json():
  brands = _brands(np.random.default_rng(0), 4)
  again = results.from_json(results.to_json(brands))
  for field, array in dataclasses.asdict(brands).items():
    np.testing.assert_array_equal(getattr(again, field), array)
