"""Accounts behind repeated rows: which rows are one, and which never are."""

from __future__ import annotations

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.released import accounts as released_accounts
from morning_jax.data.released import features as released_features
from tests import releases


@pytest.fixture
def world() -> releases.World:
  return releases.make_world()


def test_blocks_do_not_change_the_result(tmp_path, world, monkeypatch):
  monkeypatch.setattr(released_accounts, '_BLOCK_BYTES', 7 * 4 * 9)
  root = releases.write_release(tmp_path, world)
  releases.check_recovered(released_features.import_features(root), world)


def test_one_differing_feature_tells_accounts_apart(tmp_path, world):
  for feature in ('content_image', 'content_text', 'audience_text'):
    world.features[1][feature][3] = world.features[1][feature][4]
  root = releases.write_release(tmp_path, world)
  dataset = released_features.import_features(root)
  releases.check_recovered(dataset, world, ('audience_image', *releases.SIZES))


def test_zero_has_one_sign_and_nan_one_form(tmp_path, world):
  world.features[1]['content_text'][:, 0] = 0
  world.features[1]['audience_text'][2] = np.nan
  root = releases.write_release(tmp_path, world)

  def signs(array):
    array[1::4, 0] *= -1
    assert np.signbit(array).any()

  def payloads(array):
    rows = np.flatnonzero(np.isnan(array[:, 0]))
    bits = array.view(np.uint32)
    bits[rows[::2]] = 0x7FC00001
    assert np.isnan(array[rows]).all()

  releases.change(root, 'content_text', 1, 'train', signs)
  releases.change(root, 'audience_text', 1, 'train', payloads)
  dataset = released_features.import_features(root)
  releases.check_recovered(dataset, world, tuple(reversed(releases.SIZES)))
  assert not np.signbit(dataset.features['content_text']).any()
  assert 'audience_text: 1 accounts lack it (rows of NaN)' in dataset.notes


def test_equal_training_accounts_merge_and_equal_names_do_not(tmp_path, world):
  for features in world.features[1].values():
    features[1] = features[0]  # two trained
    features[25] = features[24]  # two tested
    features[28] = features[14]  # one trained and tested, one tested
  dataset = released_features.import_features(
    releases.write_release(tmp_path, world)
  )
  a = dataset.accounts
  assert len(a.rows_of(accounts_lib.INFLUENCER)) == 29
  ids = a.ids.tolist()
  assert len(set(ids)) == len(ids)
  for feature, array in dataset.features.items():
    for one, other in (('in_24', 'in_25'), ('in_14', 'in_28')):
      np.testing.assert_array_equal(
        array[ids.index(one)], array[ids.index(other)], feature
      )
  of_test = {
    (a.ids[b], a.ids[m])
    for b, m in dataset.positives_Px2
    if a.splits[b] == 'test'
  }
  assert of_test == {
    (world.names[0][b], world.names[1][m]) for b, m in world.test_positives
  }
  text = '; '.join(dataset.notes)
  assert '2 influencer names have the features of another name' in text


def test_negative_that_is_a_positive_elsewhere_is_noted(tmp_path, world):
  b, m, _ = world.triplets[5]
  others = [
    i for i, (b2, m2, _) in enumerate(world.triplets) if b2 == b and m2 != m
  ]
  world.triplets[others[:2], 2] = m
  dataset = released_features.import_features(
    releases.write_release(tmp_path, world)
  )
  assert any(
    n.startswith('train set: 2 negatives are elsewhere a positive')
    for n in dataset.notes
  )


def test_brand_of_both_splits_stays_two_accounts(tmp_path, world):
  for features in world.features[0].values():
    features[7] = features[2]
  dataset = released_features.import_features(
    releases.write_release(tmp_path, world)
  )
  a = dataset.accounts
  assert (a.splits == 'train').sum() == 6
  assert (a.splits == 'test').sum() == 4
  assert 'brand 7' in a.ids.tolist()
  assert any(n.startswith('1 test brands have the') for n in dataset.notes)


@pytest.mark.parametrize('feature', ['content_text', 'attribute_embedding'])
def test_row_pair_of_two_brands(tmp_path, world, feature):
  root = releases.write_release(tmp_path, world)

  def edit(array):
    array[7, 2] += 1
    array[31, 2] += 1

  path = releases.change(root, feature, 0, 'train', edit)
  releases.fails(root, f'{path}, row 7:', 'another brand than row 6')


@pytest.mark.parametrize('role', [0, 1])
def test_name_with_two_features(tmp_path, world, role):
  root = releases.write_release(tmp_path, world)
  pair = 40  # brand 8 since pair 32; influencer 22 since pair 8
  first = (32, 8)[role]

  def edit(array):
    array[2 * pair, 0] += 1

  path = releases.change(root, 'audience_text', role, 'test_2', edit)
  name = world.names[role][world.pairs[pair, role]]
  releases.fails(
    root,
    f'{path}, row 80:',
    repr(name),
    'row 41',
    f'in row {2 * first} ',
    f'row {first + 1})',
  )


def test_swapped_names(tmp_path, world):
  root = releases.write_release(tmp_path, world)
  rows = releases.sheet_rows(world)
  rows[20][1], rows[21][1] = rows[21][1], rows[20][1]
  releases.write_sheet(root / 'testset_r.csv', rows)
  releases.fails(
    root, releases.file_of('content_image', 1, 'test_2'), 'row 40', "'in_19'"
  )
