"""Bands are counts of validation pairs, and say when nothing is known."""

import dataclasses

import numpy as np
import pytest

from morning_jax.recommend import confidence
from morning_jax.recommend import recommend
from tests.recommend import models
from tests.recommend.test_recommend import ALL


@pytest.fixture(scope='module')
def catalogue(catalogues):
  return catalogues('lookup')


@pytest.fixture(scope='module')
def bands(catalogue):
  return confidence.Bands(catalogue)


def splits_of(catalogue):
  return catalogue.dataset.accounts.splits[catalogue.brands.account_row_N]


def test_the_counts_are_those_of_the_validation_brands(catalogue, bands):
  rows = np.flatnonzero(splits_of(catalogue) == 'valid')
  pairs = dict.fromkeys([b.name for b in bands.bands], 0)
  cooperated = dict(pairs)
  brands = 0
  for row in rows.tolist():
    brand = catalogue.account_at(0, row)
    if brand.lacks:
      continue
    brands += 1
    for r in recommend.recommend(catalogue, brand, 480, ALL):
      assert r.place == r.rank
      if not r.lacks:
        (band,) = [b for b in bands.bands if b.first <= r.place <= b.last]
        pairs[band.name] += 1
        cooperated[band.name] += r.cooperates
  assert brands and sum(cooperated.values())
  for band in bands.bands:
    assert band.pairs == pairs[band.name]
    assert band.cooperated == cooperated[band.name]
    assert band.all_pairs == sum(pairs.values())
    assert band.all_cooperated == sum(cooperated.values())
    assert band.brands == brands


def test_bands_cover_all_places_once(bands):
  assert confidence.last_places(480) == [1, 2, 5, 15, 48, 480]
  assert confidence.last_places(3) == [1, 3]
  assert bands.bands[0].first == 1 and bands.bands[-1].last == 480
  for one, other in zip(bands.bands, bands.bands[1:], strict=False):
    assert other.first == one.last + 1
  assert [b.name for b in bands.bands] == [
    'top 0.1 %',
    'top 0.3 %',
    'top 1 %',
    'top 3 %',
    'top 10 %',
    'the rest',
  ]


def test_who_lacks_a_perspective_has_no_band(catalogue, bands):
  brand = next(
    b
    for b in (catalogue.account_at(0, r) for r in range(48))
    if not b.lacks and splits_of(catalogue)[b.row] == 'test'
  )
  known = bands.of(brand, 2)
  assert known.name == 'top 0.3 %' and known.note == ''
  unknown = bands.of(brand, 2, ('audience',))
  assert unknown.name == 'unknown'
  assert unknown.words == 'unknown: the influencer shows no audience'
  bare = dataclasses.replace(brand, lacks=('content', 'audience'))
  assert bands.of(bare, 2).words == (
    'unknown: the brand shows no content and no audience'
  )


def test_without_validation_brands_nothing_is_known(catalogue):
  splits = catalogue.dataset.accounts.splits.copy()
  splits[splits == 'valid'] = 'train'
  bare = dataclasses.replace(
    catalogue, dataset=models.change(catalogue.dataset, splits=splits)
  )
  bands = confidence.Bands(bare)
  assert bands.bands == []
  band = bands.of(bare.account_at(0, 0), 1)
  assert band.name == 'unknown' and 'no brand was held out' in band.words


def test_a_brand_that_was_trained_on_is_told_apart(catalogue, bands):
  row = int(np.flatnonzero(splits_of(catalogue) == 'train')[0])
  band = bands.of(catalogue.account_at(0, row), 1)
  assert 'those were new to the model, this brand was not' in band.words
  assert f'{band.cooperated} of the {band.pairs}' in band.words


def test_another_bundle_s_validation_brands_are_taken_at_its_word(catalogue):
  other = dataclasses.replace(catalogue, is_own_data=False)
  band = confidence.Bands(other).bands[0]
  assert 'as the bundle says' in band.words


def test_bands_stand_beside_what_happened_to_other_brands(catalogue, bands):
  lines = confidence.table(catalogue, 'test').splitlines()
  happened = confidence.measure(catalogue, 'test')
  assert len(lines) == 2 + len(bands.bands)
  for line, said, other in zip(lines[2:], bands.bands, happened, strict=True):
    assert f'{said.cooperated} of {said.pairs:,}' in line
    assert f'{other.cooperated} of {other.pairs:,}' in line
  # Nine test brands, eight validation brands, less those that lack something.
  assert happened[0].brands != said.brands or happened != bands.bands
  assert confidence.table(catalogue, 'nothing') == ''


@pytest.mark.parametrize('values', [3, 40, 10**6])
def test_who_is_among_the_first_is_found_without_sorting(values):
  score_M = np.random.default_rng(values).integers(0, values, 300)
  score_M = score_M.astype(np.float32)
  place_M = confidence.places(score_M)
  lasts = [1, 3, 30, 299, 300]
  for last, within_M in zip(
    lasts, confidence.upto(score_M, lasts), strict=True
  ):
    np.testing.assert_array_equal(within_M, place_M <= last)
