"""The importer of released feature files, against a world that is known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.data.bundle import bundle
from morning_jax.data.released import arrays as released_arrays
from morning_jax.data.released import features as released_features
from tests import releases


@pytest.fixture
def world() -> releases.World:
  return releases.make_world()


@pytest.mark.parametrize('sheet', ['testset_r.xlsx', 'testset_r.csv'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64, '>f4'])
def test_recovers_accounts_features_positives_and_splits(
  tmp_path, world, sheet, dtype
):
  root = releases.write_release(tmp_path, world, sheet=sheet, dtype=dtype)
  releases.check_recovered(released_features.import_features(root), world)


def test_ids_and_positives_are_in_order_of_appearance(tmp_path, world):
  dataset = released_features.import_features(
    releases.write_release(tmp_path, world)
  )
  a = dataset.accounts
  assert a.ids[:6].tolist() == [f'train_brand_000{i}' for i in range(1, 7)]
  first_brand = world.features[0]['content_text'][world.triplets[0, 0]]
  np.testing.assert_array_equal(
    dataset.features['content_text'][0], first_brand
  )
  first, second = world.triplets[0, 1:]
  for row, account in ((10, first), (11, second)):
    np.testing.assert_array_equal(
      dataset.features['audience_image'][row],
      world.features[1]['audience_image'][account],
    )
    expected = (
      world.names[1][account]
      if account >= 14
      else f'train_influencer_0000{row - 9}'
    )
    assert a.ids[row] == expected
  rows = releases.account_rows(dataset, world, 'content_text')
  listed = [*world.triplets[:, :2], *world.pairs[np.array(world.labels) == 1]]
  in_order = dict.fromkeys((rows[0][b], rows[1][m]) for b, m in listed)
  assert [tuple(p) for p in dataset.positives_Px2.tolist()] == list(in_order)
  assert set(a.categories) == {''}
  assert a.found_under is None


def test_counts_are_noted(tmp_path, world):
  world.pairs = np.concatenate([world.pairs, world.pairs[-1:].repeat(3, 0)])
  world.labels += world.labels[-1:] * 3
  dataset = released_features.import_features(
    releases.write_release(tmp_path, world)
  )
  releases.check_recovered(dataset, world)
  assert dataset.notes == (
    'train set: 96 triplets hold 24 distinct positives (4 each), 72 duplicates'
    ' merged',
    'testset_r.csv: 67 rows, of which 3 repeat a pair; 6 of 16 influencers are'
    ' training influencers too',
  )


@pytest.mark.parametrize(
  'names',
  [
    ('content_text',),
    ('content_image', 'audience_image'),
    ('audience_text', 'attribute_embedding'),
  ],
)
def test_modalities_may_be_absent(tmp_path, world, names):
  root = releases.write_release(tmp_path, world, names=names)
  dataset = released_features.import_features(root)
  releases.check_recovered(dataset, world, names)
  absent = [n for n in dataset.notes if n.startswith('no files of')]
  assert absent == [
    f'no files of {f}' for f in releases.SIZES if f not in names
  ]


def test_zero_rows_are_kept_and_noted(tmp_path, world):
  for feature in releases.SIZES:
    world.features[1][feature][0] = 0
  world.features[1]['audience_text'][26] = 0
  dataset = released_features.import_features(
    releases.write_release(tmp_path, world)
  )
  releases.check_recovered(dataset, world)
  text = '; '.join(dataset.notes)
  assert 'audience_text: 2 accounts have zeros only' in text
  assert 'content_text: 1 accounts have zeros only' in text
  assert '1 accounts have no feature at all' in text


def test_pairs_that_are_not_listed_are_noted(tmp_path, world):
  drop = world.labels.index(0)
  world.pairs = np.delete(world.pairs, drop, axis=0)
  del world.labels[drop]
  dataset = released_features.import_features(
    releases.write_release(tmp_path, world)
  )
  releases.check_recovered(dataset, world)
  assert any('1 pairs of its brands' in n for n in dataset.notes)


def test_without_a_ranking_set_the_loss_set_serves(tmp_path, world):
  releases.write_arrays(tmp_path, world, 'train')
  tested = releases.make_world(seed=1)
  for feature in releases.SIZES:  # trained influencers 0..5 are tested too
    tested.features[1][feature][:6] = world.features[1][feature][:6]
    tested.features[0][feature][3] = world.features[0][feature][2]
  for role, rows in enumerate(releases.pair_rows(tested, 'train')):
    for feature in releases.SIZES:
      path = tmp_path / releases.file_of(feature, role, 'test')
      path.parent.mkdir(exist_ok=True)
      np.save(path, tested.features[role][feature][rows])
  dataset = released_features.import_features(tmp_path)
  a = dataset.accounts
  assert a.splits.tolist() == ['train'] * 6 + ['test'] * 6 + [''] * 34
  assert a.ids[6].startswith('test_brand_0')
  array = dataset.features['content_image']

  def features_of(
    w: releases.World, pair: tuple[int, int]
  ) -> tuple[bytes, ...]:
    return tuple(
      w.features[role]['content_image'][i].tobytes()
      for role, i in enumerate(pair)
    )

  for split, w in (('train', world), ('test', tested)):
    found = [
      (array[b].tobytes(), array[m].tobytes())
      for b, m in dataset.positives_Px2
      if a.splits[b] == split
    ]
    assert len(found) == 24
    assert set(found) == {features_of(w, pair) for pair in w.train_positives}
  assert any(n.startswith('1 test brands have the') for n in dataset.notes)


def test_training_files_alone(tmp_path, world):
  releases.write_arrays(tmp_path, world, 'train')
  dataset = released_features.import_features(tmp_path)
  assert set(dataset.accounts.splits) == {'train', ''}
  assert len(dataset.positives_Px2) == len(world.train_positives)
  assert any('there is no test split' in n for n in dataset.notes)


def test_the_loss_set_is_not_mixed_with_the_ranking_set(tmp_path, world):
  root = releases.write_release(tmp_path, world)
  (root / releases.file_of('content_text', 0, 'test')).write_bytes(b'rubbish')
  np.save(root / 'trainset' / 'train_label_triplet_1.npy', np.zeros(3))
  releases.check_recovered(released_features.import_features(root), world)


def test_round_trip_through_a_bundle(tmp_path, world):
  world.features[1]['audience_text'][2] = np.nan
  root = releases.write_release(tmp_path / 'released', world)
  dataset = released_features.import_features(root)
  bundle.write_bundle(dataset, tmp_path / 'bundle')
  read = bundle.read_bundle(tmp_path / 'bundle')
  for field in ('ids', 'roles', 'categories', 'splits'):
    np.testing.assert_array_equal(
      getattr(read.accounts, field), getattr(dataset.accounts, field)
    )
  assert read.accounts.found_under is None
  np.testing.assert_array_equal(read.positives_Px2, dataset.positives_Px2)
  assert list(read.features) == list(dataset.features)
  for feature, array in dataset.features.items():
    np.testing.assert_array_equal(read.features[feature], array)


def test_no_training_files(tmp_path, world):
  releases.fails(tmp_path, str(tmp_path), 'trainset/brand_text_train.npy')
  with pytest.raises(errors.UserError, match='no such folder'):
    released_features.import_features(tmp_path / 'nowhere')


@pytest.mark.parametrize(
  ('feature', 'value', 'word'),
  [
    ('content_image', np.nan, 'nan'),
    ('content_image', np.inf, 'inf'),
    ('content_text', -0.5, '-0.5'),
  ],
)
def test_unusable_values(tmp_path, world, feature, value, word):
  root = releases.write_release(tmp_path, world)
  account = world.triplets[8, 1]
  first = int(np.argmax(releases.pair_rows(world, 'train')[1] == account))
  world.features[1][feature][account, 1] = value
  releases.write_release(tmp_path, world)
  path = root / releases.file_of(feature, 1, 'train')
  releases.fails(root, f'{path}, row {first}:', 'column 1', word)


def test_unusable_value_of_a_test_account(tmp_path, world):
  world.features[1]['content_image'][27, 4] = np.inf
  root = releases.write_release(tmp_path, world)
  first = 2 * int(np.argmax(world.pairs[:, 1] == 27))
  path = root / releases.file_of('content_image', 1, 'test_2')
  releases.fails(root, f'{path}, row {first}:', 'column 4')


def test_name_that_is_a_training_id(tmp_path, world):
  world.names[0][6] = 'train_brand_0002'
  root = releases.write_release(tmp_path, world)
  releases.fails(root, 'testset_r.csv', "'train_brand_0002'")


def test_tens_of_thousands_of_rows_are_read_once(tmp_path, monkeypatch):
  rng = np.random.default_rng(0)
  brands, influencers = 100, 1_500
  world = releases.World(
    tuple(
      {'content_image': rng.random((n, 300), np.float32)}
      for n in (brands, influencers)
    ),
    ([], []),
    np.stack(
      [
        np.sort(rng.integers(brands, size=30_000)),
        rng.integers(influencers, size=30_000),
        rng.integers(influencers, size=30_000),
      ],
      axis=1,
    ),
    np.zeros((0, 2), np.int64),
    [],
  )
  releases.write_arrays(tmp_path, world, 'train', ('content_image',))
  read = []
  real = released_arrays.as_float32
  monkeypatch.setattr(
    released_arrays,
    'as_float32',
    lambda rows: read.append(len(rows)) or real(rows),
  )
  dataset = released_features.import_features(tmp_path)
  # Every row once, in blocks, and the first row of each account once more.
  assert sum(read) == 2 * 60_000 + brands + influencers
  assert len(read) < 20
  assert len(dataset.accounts) == brands + influencers
  assert len(dataset.positives_Px2) == len(world.train_positives)


def _launch(*flags: str) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    [sys.executable, '-m', 'launch.import_release', *flags],
    capture_output=True,
    text=True,
    check=False,
  )


def test_command_line(tmp_path, world):
  root = releases.write_release(
    tmp_path / 'released', world, sheet='testset_r.xlsx'
  )
  target = tmp_path / 'a bundle'
  done = _launch(f'--features={root}', f'--bundle={target}')
  assert done.returncode == 0, done.stderr
  releases.check_recovered(bundle.read_bundle(target), world)
  for line in (
    '  train: 6 brands, 24 positives with',
    '  test: 4 brands, 16 positives with',
    '  influencers in all: 30',
    'content_image 9, content_text 5',
    '  note: train set: 96 triplets hold 24 distinct positives',
    'python -m launch.train --config=configs/morning.py'
    f" --config.data.bundle='{target}'",
  ):
    assert line in done.stdout


def test_command_line_mistakes(tmp_path, world):
  root = releases.write_release(tmp_path / 'released', world)
  path = releases.change(root, 'content_text', 0, 'train', lambda a: a[:-1])
  done = _launch(f'--features={root}', f'--bundle={tmp_path / "out" / "b"}')
  assert done.returncode == 2
  assert done.stdout == ''
  assert done.stderr.splitlines()[-1].startswith(f'error: {path}: has 191 rows')
  assert len(done.stderr.splitlines()) == 1
  assert not (tmp_path / 'out').exists()
  done = _launch(f'--features={root}', f'--bundle={root}')
  assert done.returncode == 2
  assert done.stderr.startswith(f'error: --bundle={root}: exists already')


def test_images_of_the_released_size_tell_objects_from_scenes():
  features = {
    'content_image': np.zeros((2, 1365)),
    'audience_image': np.zeros((2, 84)),
    'content_text': np.zeros((2, 1365)),
  }
  named = released_features._feature_names(features)
  assert list(named) == ['content_image']
  names = named['content_image']
  assert len(names) == len(set(names)) == 1365
  assert (names[0], names[999]) == ('object 0', 'object 999')
  assert (names[1000], names[1364]) == ('scene 0', 'scene 364')
