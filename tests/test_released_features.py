"""The importer of released feature files, against a world that is known."""

from __future__ import annotations

import csv
import dataclasses
import pathlib
import subprocess
import sys
import time

import numpy as np
import openpyxl
import pytest

from morning_jax import accounts as accounts_lib
from morning_jax import errors
from morning_jax.data import bundle
from morning_jax.data import released_features

SIZES = {
  'content_image': 9,
  'content_text': 5,
  'audience_image': 7,
  'audience_text': 4,
  'attribute_embedding': 6,
}
ROLES = ('brand', 'in')


def _file(feature: str, role: int, part: str) -> str:
  """The authors' path of a file, spelt out apart from the importer's table."""
  split = 'train' if part == 'train' else 'test'
  kind = feature.split('_')[1]
  if feature == 'attribute_embedding':
    new = '_new' if role == 0 else ''
    name = f'{ROLES[role]}_attribute_{part}_n2v{new}.npy'
    return f'attribute_{split}set_n2v/{name}'
  folder = f'{split}set'
  if feature.startswith('audience'):
    folder = 'audience_' + folder
  return f'{folder}/{ROLES[role]}_{kind}_{part}.npy'


@dataclasses.dataclass
class World:
  """Known accounts and pairs.

  `features[role]` has one row per account. Brands 0..5 are trained, 6..9 are
  tested; influencers 0..19 are trained, 14..29 are tested: 14..19 are both.
  """

  features: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
  names: tuple[list[str], list[str]]
  triplets: np.ndarray  # [n, 3]
  pairs: np.ndarray  # [n, 2], test pairs
  labels: list[int]

  @property
  def train_positives(self) -> set[tuple[int, int]]:
    return {(int(b), int(m)) for b, m in self.triplets[:, :2]}

  @property
  def test_positives(self) -> set[tuple[int, int]]:
    return {
      (int(b), int(m))
      for (b, m), y in zip(self.pairs, self.labels, strict=True)
      if y
    }


def make_world(seed: int = 0) -> World:
  rng = np.random.default_rng(seed)
  features = tuple(
    {f: rng.random((n, k), np.float32) for f, k in SIZES.items()}
    for n in (10, 30)
  )
  triplets = []
  for b in range(6):
    good = rng.choice(20, 4, replace=False)
    # Each of them once, so that every trained influencer is in a triplet.
    bad = np.setdiff1d(np.arange(20), good)
    for i, m in enumerate(good):
      triplets += [(b, m, bad[4 * i + j]) for j in range(4)]
  triplets = np.array(triplets)[rng.permutation(len(triplets))]
  pairs = np.array([(b, m) for b in range(6, 10) for m in range(14, 30)])
  labels = [int((b + m) % 4 == 2) for b, m in pairs]
  return World(
    features,
    ([f'brand {i}' for i in range(10)], [f'in_{i}' for i in range(30)]),
    triplets,
    pairs,
    labels,
  )


def pair_rows(world: World, part: str) -> list[np.ndarray]:
  """Account of each array row, for brands and influencers."""
  if part == 'train':
    b, m, n = world.triplets.T
    return [np.repeat(b, 2), np.stack([m, n], 1).ravel()]
  b, m = world.pairs.T
  # The odd rows are filler: another influencer.
  return [np.repeat(b, 2), np.stack([m, np.roll(m, 1)], 1).ravel()]


def write_arrays(
  root: pathlib.Path,
  world: World,
  part: str,
  names=tuple(SIZES),
  dtype=np.float32,
) -> None:
  for role, rows in enumerate(pair_rows(world, part)):
    for feature in names:
      path = root / _file(feature, role, part)
      path.parent.mkdir(parents=True, exist_ok=True)
      np.save(path, world.features[role][feature][rows].astype(dtype))


def sheet_rows(world: World) -> list[list]:
  return [
    [world.names[0][b], world.names[1][m], y]
    for (b, m), y in zip(world.pairs, world.labels, strict=True)
  ]


def write_sheet(path: pathlib.Path, rows: list[list]) -> None:
  if path.suffix == '.csv':
    with path.open('w', encoding='utf-8', newline='') as f:
      csv.writer(f).writerows(rows)
    return
  book = openpyxl.Workbook()
  for row in rows:
    book.active.append(row)
  book.save(path)


def write_release(
  root: pathlib.Path,
  world: World,
  *,
  names=tuple(SIZES),
  dtype=np.float32,
  sheet: str = 'testset_r.csv',
) -> pathlib.Path:
  root.mkdir(exist_ok=True)
  write_arrays(root, world, 'train', names, dtype)
  write_arrays(root, world, 'test_2', names, dtype)
  write_sheet(root / sheet, sheet_rows(world))
  return root


def account_rows(dataset, world: World, feature: str) -> tuple[dict, dict]:
  """Known account -> table row, for the trained and tested, by features."""
  found = []
  for role in (0, 1):
    rows = dataset.accounts.rows_of(role)
    table = {dataset.features[feature][r].tobytes(): int(r) for r in rows}
    assert len(table) == len(rows)
    known = [x.tobytes() for x in world.features[role][feature]]
    found.append({i: table[k] for i, k in enumerate(known) if k in table})
  return found[0], found[1]


def check_recovered(dataset, world: World, names=tuple(SIZES)) -> None:
  """Compares a data set with the world it was made of, account by account."""
  a = dataset.accounts
  rows = account_rows(dataset, world, names[0])
  assert [len(r) for r in rows] == [10, 30]
  assert list(a.roles) == [0] * 10 + [1] * 30
  assert list(dataset.features) == [f for f in SIZES if f in names]
  for role in (0, 1):
    for account, row in rows[role].items():
      for feature in names:
        np.testing.assert_array_equal(
          dataset.features[feature][row], world.features[role][feature][account]
        )
        assert dataset.features[feature].dtype == np.float32
      tested = account >= (6, 14)[role]
      if tested:
        assert a.ids[row] == world.names[role][account]
      else:
        assert a.ids[row].startswith(
          ('train_brand_0', 'train_influencer_0')[role]
        )
      if role == 0:
        assert a.splits[row] == ('test' if tested else 'train')
      else:
        assert a.splits[row] == ''
  positives = [tuple(p) for p in dataset.positives_Px2.tolist()]
  assert len(set(positives)) == len(positives)
  assert set(positives) == {
    (rows[0][b], rows[1][m])
    for b, m in world.train_positives | world.test_positives
  }


def fails(root: pathlib.Path, *words: str, **options) -> str:
  """Checks that the import ends in one line that holds all the words."""
  before = sorted(root.rglob('*'))
  with pytest.raises(errors.UserError) as e:
    released_features.import_features(root, **options)
  message = str(e.value)
  assert '\n' not in message
  for word in words:
    assert word in message, message
  assert sorted(root.rglob('*')) == before
  return message


def change(root: pathlib.Path, feature: str, role: int, part: str, edit) -> str:
  """Rewrites one array; `edit` changes it in place or returns a new one."""
  path = root / _file(feature, role, part)
  array = np.load(path)
  out = edit(array)
  np.save(path, array if out is None else out)
  return str(path)


@pytest.fixture
def world() -> World:
  return make_world()


@pytest.mark.parametrize('sheet', ['testset_r.xlsx', 'testset_r.csv'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64, '>f4'])
def test_recovers_accounts_features_positives_and_splits(
  tmp_path, world, sheet, dtype
):
  root = write_release(tmp_path, world, sheet=sheet, dtype=dtype)
  check_recovered(released_features.import_features(root), world)


def test_ids_and_positives_are_in_order_of_appearance(tmp_path, world):
  dataset = released_features.import_features(write_release(tmp_path, world))
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
  rows = account_rows(dataset, world, 'content_text')
  listed = [*world.triplets[:, :2], *world.pairs[np.array(world.labels) == 1]]
  in_order = dict.fromkeys((rows[0][b], rows[1][m]) for b, m in listed)
  assert [tuple(p) for p in dataset.positives_Px2.tolist()] == list(in_order)
  assert set(a.categories) == {''}
  assert a.found_under is None


def test_counts_are_noted(tmp_path, world):
  world.pairs = np.concatenate([world.pairs, world.pairs[-1:].repeat(3, 0)])
  world.labels += world.labels[-1:] * 3
  dataset = released_features.import_features(write_release(tmp_path, world))
  check_recovered(dataset, world)
  assert dataset.notes == (
    'train set: 96 triplets hold 24 distinct positives (4 each), 72 duplicates'
    ' merged',
    'testset_r.csv: 67 rows, of which 3 repeat a pair; 6 of 16 influencers are'
    ' training influencers too',
  )


@pytest.mark.parametrize('sheet', ['testset_r.xlsx', 'testset_r.csv'])
def test_names_are_cleaned(tmp_path, world, sheet):
  root = write_release(tmp_path, world)
  (root / 'testset_r.csv').unlink()
  rows = sheet_rows(world)
  rows[0][0] = '\ufeff' + rows[0][0]
  rows[1][1] += ' '
  rows[2][2], rows[4][2] = '1.0', '0'
  rows.append(['', '', ''])  # a spreadsheet program leaves such rows behind
  write_sheet(root / sheet, rows)
  check_recovered(released_features.import_features(root), world)


def test_names_that_look_like_numbers(tmp_path, world):
  assert released_features._text(1971.0) == '1971'
  assert released_features._text(True) is None
  world.names[1][20] = '1971'
  root = write_release(tmp_path, world)
  (root / 'testset_r.csv').unlink()
  rows = sheet_rows(world)
  for i, row in enumerate(rows):
    if row[1] == '1971':
      row[1] = 1971 if i % 2 else 1971.0
    row[2] = float(row[2])
  write_sheet(root / 'testset_r.xlsx', rows)
  check_recovered(released_features.import_features(root), world)


@pytest.mark.parametrize(
  'names',
  [
    ('content_text',),
    ('content_image', 'audience_image'),
    ('audience_text', 'attribute_embedding'),
  ],
)
def test_modalities_may_be_absent(tmp_path, world, names):
  root = write_release(tmp_path, world, names=names)
  dataset = released_features.import_features(root)
  check_recovered(dataset, world, names)
  absent = [n for n in dataset.notes if n.startswith('no files of')]
  assert absent == [f'no files of {f}' for f in SIZES if f not in names]


def test_blocks_do_not_change_the_result(tmp_path, world, monkeypatch):
  monkeypatch.setattr(released_features, '_BLOCK_BYTES', 7 * 4 * 9)
  root = write_release(tmp_path, world)
  check_recovered(released_features.import_features(root), world)


def test_one_differing_feature_tells_accounts_apart(tmp_path, world):
  for feature in ('content_image', 'content_text', 'audience_text'):
    world.features[1][feature][3] = world.features[1][feature][4]
  root = write_release(tmp_path, world)
  dataset = released_features.import_features(root)
  check_recovered(dataset, world, ('audience_image', *SIZES))


def test_zero_has_one_sign_and_nan_one_form(tmp_path, world):
  world.features[1]['content_text'][:, 0] = 0
  world.features[1]['audience_text'][2] = np.nan
  root = write_release(tmp_path, world)

  def signs(array):
    array[1::4, 0] *= -1
    assert np.signbit(array).any()

  def payloads(array):
    rows = np.flatnonzero(np.isnan(array[:, 0]))
    bits = array.view(np.uint32)
    bits[rows[::2]] = 0x7FC00001
    assert np.isnan(array[rows]).all()

  change(root, 'content_text', 1, 'train', signs)
  change(root, 'audience_text', 1, 'train', payloads)
  dataset = released_features.import_features(root)
  check_recovered(dataset, world, tuple(reversed(SIZES)))
  assert not np.signbit(dataset.features['content_text']).any()
  assert 'audience_text: 1 accounts lack it (rows of NaN)' in dataset.notes


def test_equal_training_accounts_merge_and_equal_names_do_not(tmp_path, world):
  for features in world.features[1].values():
    features[1] = features[0]  # two trained
    features[25] = features[24]  # two tested
    features[28] = features[14]  # one trained and tested, one tested
  dataset = released_features.import_features(write_release(tmp_path, world))
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
  dataset = released_features.import_features(write_release(tmp_path, world))
  assert any(
    n.startswith('train set: 2 negatives are elsewhere a positive')
    for n in dataset.notes
  )


def test_zero_rows_are_kept_and_noted(tmp_path, world):
  for feature in SIZES:
    world.features[1][feature][0] = 0
  world.features[1]['audience_text'][26] = 0
  dataset = released_features.import_features(write_release(tmp_path, world))
  check_recovered(dataset, world)
  text = '; '.join(dataset.notes)
  assert 'audience_text: 2 accounts have zeros only' in text
  assert 'content_text: 1 accounts have zeros only' in text
  assert '1 accounts have no feature at all' in text


def test_brand_of_both_splits_stays_two_accounts(tmp_path, world):
  for features in world.features[0].values():
    features[7] = features[2]
  dataset = released_features.import_features(write_release(tmp_path, world))
  a = dataset.accounts
  assert (a.splits == 'train').sum() == 6
  assert (a.splits == 'test').sum() == 4
  assert 'brand 7' in a.ids.tolist()
  assert any(n.startswith('1 test brands have the') for n in dataset.notes)


def test_pairs_that_are_not_listed_are_noted(tmp_path, world):
  drop = world.labels.index(0)
  world.pairs = np.delete(world.pairs, drop, axis=0)
  del world.labels[drop]
  dataset = released_features.import_features(write_release(tmp_path, world))
  check_recovered(dataset, world)
  assert any('1 pairs of its brands' in n for n in dataset.notes)


def test_without_a_ranking_set_the_loss_set_serves(tmp_path, world):
  write_arrays(tmp_path, world, 'train')
  tested = make_world(seed=1)
  for feature in SIZES:  # trained influencers 0..5 are tested too
    tested.features[1][feature][:6] = world.features[1][feature][:6]
    tested.features[0][feature][3] = world.features[0][feature][2]
  for role, rows in enumerate(pair_rows(tested, 'train')):
    for feature in SIZES:
      path = tmp_path / _file(feature, role, 'test')
      path.parent.mkdir(exist_ok=True)
      np.save(path, tested.features[role][feature][rows])
  dataset = released_features.import_features(tmp_path)
  a = dataset.accounts
  assert a.splits.tolist() == ['train'] * 6 + ['test'] * 6 + [''] * 34
  assert a.ids[6].startswith('test_brand_0')
  array = dataset.features['content_image']

  def features_of(w: World, pair: tuple[int, int]) -> tuple[bytes, ...]:
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
  write_arrays(tmp_path, world, 'train')
  dataset = released_features.import_features(tmp_path)
  assert set(dataset.accounts.splits) == {'train', ''}
  assert len(dataset.positives_Px2) == len(world.train_positives)
  assert any('there is no test split' in n for n in dataset.notes)


def test_the_loss_set_is_not_mixed_with_the_ranking_set(tmp_path, world):
  root = write_release(tmp_path, world)
  (root / _file('content_text', 0, 'test')).write_bytes(b'rubbish')
  np.save(root / 'trainset' / 'train_label_triplet_1.npy', np.zeros(3))
  check_recovered(released_features.import_features(root), world)


def test_round_trip_through_a_bundle(tmp_path, world):
  world.features[1]['audience_text'][2] = np.nan
  root = write_release(tmp_path / 'released', world)
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


# Mistakes.


@pytest.mark.parametrize('part', ['train', 'test_2'])
@pytest.mark.parametrize('role', [0, 1])
def test_missing_partner(tmp_path, world, part, role):
  root = write_release(tmp_path, world)
  name = _file('audience_image', role, part)
  (root / name).unlink()
  fails(root, str(root / name), 'no such file')


def test_feature_of_one_split_only(tmp_path, world):
  root = write_release(tmp_path, world)
  for role in (0, 1):
    (root / _file('content_image', role, 'test_2')).unlink()
  fails(
    root,
    str(root / _file('content_image', 0, 'train')),
    'the test set has no such feature',
  )


def test_no_training_files(tmp_path, world):
  fails(tmp_path, str(tmp_path), 'trainset/brand_text_train.npy')
  with pytest.raises(errors.UserError, match='no such folder'):
    released_features.import_features(tmp_path / 'nowhere')


def test_odd_number_of_rows(tmp_path, world):
  root = write_release(tmp_path, world)
  path = change(root, 'content_image', 0, 'train', lambda a: a[:-1])
  fails(root, path, '191 rows, an odd number')


@pytest.mark.parametrize('part', ['train', 'test_2'])
def test_row_counts_differ(tmp_path, world, part):
  root = write_release(tmp_path, world)
  path = change(root, 'audience_text', 1, part, lambda a: a[:-2])
  fails(root, path, 'must be as many')


@pytest.mark.parametrize('part', ['train', 'test_2'])
def test_sizes_differ(tmp_path, world, part):
  root = write_release(tmp_path, world)
  path = change(root, 'audience_text', 1, part, lambda a: a[:, :-1])
  fails(root, path, 'has 3 columns', 'has 4')


def test_not_a_table(tmp_path, world):
  root = write_release(tmp_path, world)
  path = change(root, 'audience_text', 1, 'train', lambda a: a.ravel())
  fails(root, path, 'expected [rows, features]')


@pytest.mark.parametrize('feature', ['content_text', 'attribute_embedding'])
def test_row_pair_of_two_brands(tmp_path, world, feature):
  root = write_release(tmp_path, world)

  def edit(array):
    array[7, 2] += 1
    array[31, 2] += 1

  path = change(root, feature, 0, 'train', edit)
  fails(root, f'{path}, row 7:', 'another brand than row 6')


def test_truncated_array(tmp_path, world):
  root = write_release(tmp_path, world)
  path = root / _file('content_image', 1, 'train')
  path.write_bytes(path.read_bytes()[:-8])
  fails(root, str(path), 'truncated')


def test_pickled_array(tmp_path, world):
  root = write_release(tmp_path, world)
  path = root / _file('content_text', 0, 'test_2')
  np.save(path, np.array([{}, None], object), allow_pickle=True)
  fails(root, str(path), 'pickled')


@pytest.mark.parametrize(
  ('feature', 'value', 'word'),
  [
    ('content_image', np.nan, 'nan'),
    ('content_image', np.inf, 'inf'),
    ('content_text', -0.5, '-0.5'),
  ],
)
def test_unusable_values(tmp_path, world, feature, value, word):
  root = write_release(tmp_path, world)
  account = world.triplets[8, 1]
  first = int(np.argmax(pair_rows(world, 'train')[1] == account))
  world.features[1][feature][account, 1] = value
  write_release(tmp_path, world)
  path = root / _file(feature, 1, 'train')
  fails(root, f'{path}, row {first}:', 'column 1', word)


def test_unusable_value_of_a_test_account(tmp_path, world):
  world.features[1]['content_image'][27, 4] = np.inf
  root = write_release(tmp_path, world)
  first = 2 * int(np.argmax(world.pairs[:, 1] == 27))
  path = root / _file('content_image', 1, 'test_2')
  fails(root, f'{path}, row {first}:', 'column 4')


@pytest.mark.parametrize('change_rows', [-1, 1])
def test_spreadsheet_of_another_length(tmp_path, world, change_rows):
  root = write_release(tmp_path, world)
  rows = sheet_rows(world)
  rows = rows[:-1] if change_rows < 0 else [*rows, rows[-1]]
  write_sheet(root / 'testset_r.csv', rows)
  fails(root, 'testset_r.csv', f'has {len(rows)} rows', '64 pairs')


@pytest.mark.parametrize('role', [0, 1])
def test_name_with_two_features(tmp_path, world, role):
  root = write_release(tmp_path, world)
  pair = 40  # brand 8 since pair 32; influencer 22 since pair 8
  first = (32, 8)[role]

  def edit(array):
    array[2 * pair, 0] += 1

  path = change(root, 'audience_text', role, 'test_2', edit)
  name = world.names[role][world.pairs[pair, role]]
  fails(
    root,
    f'{path}, row 80:',
    repr(name),
    'row 41',
    f'in row {2 * first} ',
    f'row {first + 1})',
  )


def test_swapped_names(tmp_path, world):
  root = write_release(tmp_path, world)
  rows = sheet_rows(world)
  rows[20][1], rows[21][1] = rows[21][1], rows[20][1]
  write_sheet(root / 'testset_r.csv', rows)
  fails(root, _file('content_image', 1, 'test_2'), 'row 40', "'in_19'")


def test_labels_that_contradict(tmp_path, world):
  world.pairs = np.concatenate([world.pairs, world.pairs[3:4]])
  world.labels.append(1 - world.labels[3])
  root = write_release(tmp_path, world)
  fails(root, 'testset_r.csv, row 65:', 'contradicts row 4')


@pytest.mark.parametrize(
  ('row', 'words'),
  [
    (['brand 6', 'in_14', 2], ("row 1: label '2'", 'no header')),
    (['brand', 'influencer', 'label'], ("row 1: label 'label'", 'no header')),
    (['brand 6', 'in_14'], ('row 1: must hold',)),
    (['', 'in_14', 1], ('row 1: must hold',)),
    (['brand 6', 'in_14', 1, 'x'], ('row 1: must hold',)),
    ([], ('row 1: is empty, yet more rows',)),
  ],
)
@pytest.mark.parametrize('sheet', ['testset_r.xlsx', 'testset_r.csv'])
def test_spreadsheet_rows_that_cannot_be(tmp_path, world, row, words, sheet):
  root = write_release(tmp_path, world)
  (root / 'testset_r.csv').unlink()
  write_sheet(root / sheet, [row, *sheet_rows(world)[1:]])
  fails(root, sheet, *words)


def test_spreadsheet_without_positives(tmp_path, world):
  world.labels = [0] * len(world.labels)
  fails(write_release(tmp_path, world), 'testset_r.csv', 'no row has label 1')


def test_spreadsheet_missing_or_unreadable(tmp_path, world):
  root = write_release(tmp_path, world)
  (root / 'testset_r.csv').unlink()
  fails(root, str(root / 'testset_r.xlsx'), '--test_pairs')
  (root / 'testset_r.xlsx').write_bytes(b'PK\x03\x04 no zip')
  fails(root, 'testset_r.xlsx', 'not a readable .xlsx')
  (root / 'pairs.txt').write_text('a,b,1')
  fails(root, 'pairs.txt', '.xlsx or .csv', test_pairs=root / 'pairs.txt')
  fails(root, 'other.csv', 'no such file', test_pairs=root / 'other.csv')
  (root / 'pairs.csv').write_bytes(b'\xff\xfe\x00')
  fails(root, 'pairs.csv', 'UTF-8', test_pairs=root / 'pairs.csv')


def test_spreadsheet_elsewhere(tmp_path, world):
  root = write_release(tmp_path / 'released', world)
  (root / 'testset_r.csv').rename(tmp_path / 'pairs.csv')
  dataset = released_features.import_features(
    root, test_pairs=tmp_path / 'pairs.csv'
  )
  check_recovered(dataset, world)


def test_spreadsheet_without_arrays(tmp_path, world):
  write_arrays(tmp_path, world, 'train')
  write_sheet(tmp_path / 'pairs.csv', sheet_rows(world))
  fails(
    tmp_path,
    'pairs.csv',
    'testset/brand_text_test_2.npy',
    test_pairs=tmp_path / 'pairs.csv',
  )


def test_openpyxl_is_asked_for(tmp_path, world, monkeypatch):
  root = write_release(tmp_path, world, sheet='testset_r.xlsx')
  monkeypatch.setitem(sys.modules, 'openpyxl', None)
  fails(root, "pip install 'morning_jax[release]'")


def test_name_that_is_a_training_id(tmp_path, world):
  world.names[0][6] = 'train_brand_0002'
  root = write_release(tmp_path, world)
  fails(root, 'testset_r.csv', "'train_brand_0002'")


def test_tens_of_thousands_of_rows_take_seconds(tmp_path):
  rng = np.random.default_rng(0)
  brands, influencers = 100, 1_500
  world = World(
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
  write_arrays(tmp_path, world, 'train', ('content_image',))
  start = time.perf_counter()
  dataset = released_features.import_features(tmp_path)
  assert time.perf_counter() - start < 10
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
  root = write_release(tmp_path / 'released', world, sheet='testset_r.xlsx')
  target = tmp_path / 'a bundle'
  done = _launch(f'--features={root}', f'--bundle={target}')
  assert done.returncode == 0, done.stderr
  check_recovered(bundle.read_bundle(target), world)
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
  root = write_release(tmp_path / 'released', world)
  path = change(root, 'content_text', 0, 'train', lambda a: a[:-1])
  done = _launch(f'--features={root}', f'--bundle={tmp_path / "out" / "b"}')
  assert done.returncode == 2
  assert done.stdout == ''
  assert done.stderr.splitlines()[-1].startswith(f'error: {path}: has 191 rows')
  assert len(done.stderr.splitlines()) == 1
  assert not (tmp_path / 'out').exists()
  done = _launch(f'--features={root}', f'--bundle={root}')
  assert done.returncode == 2
  assert done.stderr.startswith(f'error: --bundle={root}: exists already')
