"""Filters let through who they should, and say who is left."""

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import recommend
from tests import runs
from tests.recommend import models

Filters = filters_lib.Filters


@pytest.fixture(scope='module')
def catalogue(catalogues):
  return catalogues('lookup')


def passing(catalogue, **fields) -> np.ndarray:
  return filters_lib.mask(catalogue, None, Filters(**fields)).mask_M


def test_names_to_be_left_out_that_are_not_there_are_counted(catalogue):
  notes = filters_lib.notes_on_exclusions
  assert notes(catalogue, frozenset({'creator_0001'})) == []
  assert notes(catalogue, frozenset({'creator_0001', 'typo', 'gone'})) == [
    '2 of the 3 names to be left out are of no influencer here'
  ]


def test_each_filter(catalogue):
  a, rows = catalogue.dataset.accounts, catalogue.influencers.account_row_N
  followers = a.followers[rows]
  for low, high in ((10_000, None), (None, 20_000), (10_000, 20_000)):
    want = (followers >= (low or 0)) & (followers <= (high or 10**9))
    got = passing(catalogue, followers_from=low, followers_to=high)
    assert 0 < want.sum() < len(want)
    np.testing.assert_array_equal(got, want)
  np.testing.assert_array_equal(
    passing(catalogue, found_under=('shoes', 'drink')),
    np.isin(a.found_under[rows], ['shoes', 'drink']),
  )
  names = catalogue.dataset.attribute_names[:2]
  got = passing(catalogue, attribute=tuple(names))
  for row in range(len(rows)):
    held = catalogue.facts.attributes_of(int(rows[row]))
    assert got[row] == bool({0, 1} & set(held.tolist()))
  np.testing.assert_array_equal(
    passing(catalogue, needs=('content', 'attribute')),
    catalogue.influencers.present['content']
    & catalogue.influencers.present['attribute'],
  )
  assert not passing(catalogue, needs=('attribute',)).all()
  ids = catalogue.influencers.ids_N
  few = tuple(ids[[3, 5]].tolist())
  assert np.flatnonzero(passing(catalogue, candidates=few)).tolist() == [3, 5]
  out = passing(catalogue, exclude=frozenset({*few, 'gone long ago'}))
  assert np.flatnonzero(~out).tolist() == [3, 5]


def test_filters_meet(catalogue):
  both = passing(catalogue, followers_from=20_000, found_under=('shoes',))
  one = passing(catalogue, followers_from=20_000)
  other = passing(catalogue, found_under=('shoes',))
  np.testing.assert_array_equal(both, one & other)
  assert 0 < both.sum() < one.sum()


def test_unknown_followers_pass_no_bound():
  data = runs.small_world()
  followers = data.accounts.followers.copy()
  followers[-5:] = -1
  catalogue = models.catalogue(
    'text alone', models.change(data, followers=followers)
  )
  assert not passing(catalogue, followers_from=0)[-5:].any()
  assert not passing(catalogue, followers_to=10**9)[-5:].any()
  assert passing(catalogue)[-5:].all()


def test_who_is_left_is_told(catalogue):
  filters = Filters(
    followers_from=90_000, found_under=('drink',), needs=('content',)
  )
  brand = catalogue.brand('shoes_01')
  told = filters_lib.mask(catalogue, brand, filters)
  assert list(told.left) == [
    'followers',
    'found_under',
    'has content',
    'not cooperating yet',
  ]
  counts = list(told.left.values())
  assert counts == sorted(counts, reverse=True)
  assert counts[-1] == told.mask_M.sum()
  with pytest.raises(errors.UserError, match='leave nobody: 480 influencers'):
    nobody = Filters(candidates=('creator_0001',), exclude={'creator_0001'})
    recommend.recommend(catalogue, brand, 5, nobody)


def test_fewer_than_asked_for_is_no_mistake(catalogue):
  few = Filters(candidates=('creator_0001', 'creator_0002'))
  assert len(recommend.recommend(catalogue, 'shoes_12', 10, few)) == 2


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'followers_from': 5, 'followers_to': 4}, 'is no range'),
    ({'category': ('shoes',)}, 'no influencer has it'),
    ({'found_under': ('shoe',)}, 'near: shoes'),
    ({'attribute': ('sneaker fun',)}, 'near: sneaker fan'),
    ({'candidates': ('creator_001',)}, 'near: creator_'),
    ({'needs': ('style',)}, 'the model has content'),
  ],
)
def test_a_filter_that_can_t_be_applied(catalogue, fields, message):
  with pytest.raises(errors.UserError) as e:
    passing(catalogue, **fields)
  assert message in str(e.value)
  assert str(e.value).isprintable() and len(str(e.value)) <= 300


def test_columns_that_the_bundle_lacks():
  data = models.change(runs.small_world(), followers=None, found_under=None)
  catalogue = models.catalogue('text alone', data)
  with pytest.raises(errors.UserError, match='no column followers'):
    passing(catalogue, followers_from=1)
  with pytest.raises(errors.UserError, match='no column found_under'):
    passing(catalogue, found_under=('shoes',))
