"""A bundle of records is the bundle of arrays, in all that reads it."""

import dataclasses
import json
import os
import pathlib
import shutil

import jax
import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.core import feature_rows
from morning_jax.core import files
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import packing
from morning_jax.data import preprocessing
from morning_jax.data import transforms
from morning_jax.data.bundle import bundle
from morning_jax.data.bundle import writing
from morning_jax.data.records import bundle_features
from morning_jax.data.records import row_files
from tests import runs

FILE_BYTES = 200_000  # of a file: three files


@pytest.fixture(scope='module')
def places(tmp_path_factory) -> tuple[pathlib.Path, pathlib.Path]:
  """The small world as arrays and as records."""
  place = tmp_path_factory.mktemp('packing')
  arrays = runs.write_bundle(place / 'arrays')
  packing.pack(
    bundle.read_bundle(arrays, mapped=True),
    place / 'records',
    file_bytes=FILE_BYTES,
  )
  return arrays, place / 'records'


@pytest.fixture(scope='module')
def both(places):
  return tuple(bundle.read_bundle(p) for p in places)


@pytest.fixture
def copy(places, tmp_path):
  """Records that a test may damage."""
  shutil.copytree(places[1], tmp_path / 'copy')
  return tmp_path / 'copy'


def test_rows_are_those_of_the_arrays(both):
  arrays, records = both
  assert isinstance(records.features, feature_rows.Stored)
  assert list(records.features) == list(arrays.features)
  assert records.feature_sizes == arrays.feature_sizes
  count = len(arrays.accounts)
  rng = np.random.default_rng(0)
  mask = rng.random(count) < 0.3
  for feature, array in arrays.features.items():
    column = records.features[feature]
    for rows in (
      slice(None),
      slice(3, 90, 7),
      slice(5, 2),
      rng.integers(0, count, 200),
      mask,
      count - 1,
      -1,
    ):
      np.testing.assert_array_equal(column[rows], array[rows])
    np.testing.assert_array_equal(column[:, 0], array[:, 0])
    np.testing.assert_array_equal(
      records.features.present(feature), ~np.isnan(array[:, 0])
    )
  np.testing.assert_array_equal(records.planted[:], arrays.planted)
  assert bundle_features.PLANTED not in records.features  # it is no feature


def test_several_features_come_with_one_read(both):
  records = both[1]
  names = list(records.features)[:2]
  rows = np.array([4, 4, 1])
  found = feature_rows.read(records.features, names, rows)
  assert list(found) == names
  for name in names:
    np.testing.assert_array_equal(found[name], both[0].features[name][rows])


def test_a_row_that_there_is_not_is_refused(both):
  features = both[1].features
  for row in (len(both[0].accounts), -1):
    with pytest.raises(IndexError):
      features.read(list(features), np.array([row]))


def test_both_forms_have_one_fingerprint(both):
  arrays, records = both
  whole = dataset_lib.fingerprint(arrays)
  assert dataset_lib.fingerprint(records) == whole
  # As it was before there were records: models stay of their data.
  in_memory = runs.small_world()
  assert dataset_lib.fingerprint(in_memory) == whole


def test_other_tables_beside_the_records_are_other_data(both, copy):
  text = (copy / 'interactions.csv').read_text().splitlines()
  (copy / 'interactions.csv').write_text('\n'.join(text[:-1]) + '\n')
  changed = bundle.read_bundle(copy)
  assert dataset_lib.fingerprint(changed) != dataset_lib.fingerprint(both[0])


def test_records_of_records_are_the_same(places, tmp_path):
  packing.pack(
    bundle.read_bundle(places[1]), tmp_path / 'again', file_bytes=FILE_BYTES
  )
  for path in places[1].iterdir():
    assert (tmp_path / 'again' / path.name).read_bytes() == path.read_bytes()
  assert packing.check(tmp_path / 'again') == len(runs.small_world().accounts)


def test_arrays_of_other_types_are_converted_as_they_are_read(places, tmp_path):
  shutil.copytree(places[0], tmp_path / 'half')
  path = tmp_path / 'half' / 'content_image.npy'
  half = np.load(path).astype(np.float16)
  np.save(path, half)
  dataset = bundle.read_bundle(tmp_path / 'half', mapped=True)
  assert isinstance(dataset.features['content_image'], feature_rows.Converted)
  packing.pack(dataset, tmp_path / 'records')
  read = bundle.read_bundle(tmp_path / 'records')
  np.testing.assert_array_equal(
    read.features['content_image'][:], half.astype(np.float32)
  )
  plain = bundle.read_bundle(tmp_path / 'half')
  assert dataset_lib.fingerprint(plain) == dataset_lib.fingerprint(read)


def test_the_account_table_has_the_same_bits(both):
  arrays, records = both
  config = runs.config(pathlib.Path('unused'))
  spec, _ = dataset_lib.resolve_inputs(arrays, config.model)
  assert 'whiten' in spec.transforms.values()
  split, _ = dataset_lib.training_split(arrays)
  fitted = [
    preprocessing.fit(spec, d, split, whitening=0.75, seed=0) for d in both
  ]
  for one, other in zip(*map(jax.tree.leaves, fitted), strict=True):
    np.testing.assert_array_equal(one, other)
  whole = preprocessing.account_table(spec, fitted[0], arrays)
  lazy = preprocessing.account_source(spec, fitted[0], records)
  assert len(lazy) == len(arrays.accounts)
  rows = np.random.default_rng(1).integers(0, len(lazy), 77)
  for got, want in zip(
    *map(jax.tree.leaves, (lazy[rows], whole[rows])), strict=True
  ):
    assert got.dtype == want.dtype
    assert got.tobytes() == want.tobytes()
  row = jax.tree.leaves(whole[np.array([0])])
  assert lazy.row_bytes == sum(x.nbytes for x in row)


def test_whitening_is_fitted_block_by_block(both, monkeypatch):
  arrays = both[0]
  split, _ = dataset_lib.training_split(arrays)

  def fit(dataset):
    return transforms.fit(
      'whiten',
      dataset.features['attribute_embedding'],
      brand_rows=split.brand_row_B,
      influencer_rows=split.candidate_row_M,
      strength=0.75,
    )

  at_once = fit(arrays)
  monkeypatch.setattr(transforms, '_WHOLE_BYTES', 0)
  monkeypatch.setattr(feature_rows, '_BLOCK_BYTES', 5000)
  x = arrays.features['attribute_embedding'] - at_once['mean']
  for dataset in both:
    found = fit(dataset)
    np.testing.assert_allclose(found['mean'], at_once['mean'], atol=1e-6)
    # Of basis vectors whose variances are close, the products are certain.
    np.testing.assert_allclose(
      np.nan_to_num(x @ found['basis'] @ found['basis'].T),
      np.nan_to_num(x @ at_once['basis'] @ at_once['basis'].T),
      atol=1e-4,
      rtol=1e-4,
    )


def test_nothing_is_left_of_a_write_that_fails(both, tmp_path, monkeypatch):
  def fail(*args, **kwargs):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(packing.bundle_features.row_files, 'write', fail)
  with pytest.raises(errors.UserError, match='No space left'):
    packing.pack(both[0], tmp_path / 'records')
  assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_empty_stays(both, places):
  with pytest.raises(errors.UserError, match='exists already'):
    packing.pack(both[0], places[0])


def shard(folder: pathlib.Path, number: int = 1) -> pathlib.Path:
  return folder / f'features-{number:05d}.array_record'


def _missing(folder, other):
  shard(folder).unlink()


def _cut(folder, other):
  os.truncate(shard(folder), shard(folder).stat().st_size // 2)


def _of_another(folder, other):
  shutil.copy(shard(other), shard(folder))


def _exchanged(folder, other):
  content = shard(folder, 0).read_bytes()
  shutil.copy(shard(folder, 1), shard(folder, 0))
  shard(folder, 1).write_bytes(content)


def _a_pipe(folder, other):
  shard(folder).unlink()
  os.mkfifo(shard(folder))


def _no_present(folder, other):
  (folder / 'present.bin').write_bytes(b'\1' * 10)


def _cut_index(folder, other):
  (folder / 'records.json').write_text('{"content": ')


def _changed_index(folder, other):
  text = (folder / 'records.json').read_text()
  stored = json.loads(text)
  stored['content']['rows'] += 1
  (folder / 'records.json').write_text(json.dumps(stored))


def _rewritten_index(folder, **changes):
  """Changes the index, with a checksum that is right."""
  content = json.loads((folder / 'records.json').read_text())['content']
  content |= changes
  files.write_json(
    folder / 'records.json',
    {'content': content, 'crc32': files.checksum(content)},
  )


def _of_a_later_version(folder, other):
  _rewritten_index(folder, format_version=99)


def _other_present(folder, other):
  path = folder / 'present.bin'
  content = bytearray(path.read_bytes())
  content[0] ^= 1
  path.write_bytes(content)


def _array_beside(folder, other):
  np.save(folder / 'content_text.npy', np.zeros((2, 2), np.float32))


def _accounts_in_another_order(folder, other):
  header, first, second, *rest = (
    (folder / 'accounts.csv').read_text().splitlines()
  )
  text = '\n'.join([header, second, first, *rest]) + '\n'
  (folder / 'accounts.csv').write_text(text)


@pytest.fixture(scope='module')
def other_records(places, tmp_path_factory):
  """Records of the same accounts and sizes, with other numbers."""
  place = tmp_path_factory.mktemp('other')
  shutil.copytree(places[0], place / 'arrays')
  path = place / 'arrays' / 'content_image.npy'
  np.save(path, np.load(path) * np.float32(0.5))
  packing.pack(
    bundle.read_bundle(place / 'arrays'),
    place / 'records',
    file_bytes=FILE_BYTES,
  )
  return place / 'records'


@pytest.mark.parametrize(
  ('damage', 'says'),
  [
    (_missing, 'No such file'),
    (_cut, 'bytes instead of'),
    (_of_another, 'it holds other rows'),
    (_exchanged, 'is damaged'),
    (_a_pipe, 'is a pipe'),
    (_no_present, 'present.bin'),
    (_cut_index, 'records.json: is damaged'),
    (_changed_index, 'fails its checksum'),
    (_of_a_later_version, 'format 99 is not known'),
    (_other_present, 'fails its digest'),
    (_array_beside, 'not both'),
    (_accounts_in_another_order, 'names other accounts'),
  ],
)
def test_what_is_damaged_ends_in_one_line(copy, other_records, damage, says):
  damage(copy, other_records)
  with pytest.raises(errors.UserError) as e:
    bundle.read_bundle(copy)
  assert says in str(e.value)
  assert '\n' not in str(e.value)
  assert len(str(e.value)) <= 300


def test_a_record_that_changed_in_the_middle_is_found(copy):
  path = shard(copy)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  dataset = bundle.read_bundle(copy)  # its ends are as they were
  with pytest.raises(errors.UserError, match='is damaged'):
    dataset.features.read(['content_image'], slice(None))
  with pytest.raises(errors.UserError, match='is damaged'):
    packing.check(copy)


def test_rows_that_were_exchanged_in_the_middle_are_found(copy, tmp_path):
  """A whole file of valid records, whose first and last are right."""
  layout = bundle.read_bundle(copy).features._files.layout
  index = json.loads((copy / 'records.json').read_text())['content']
  rows = bundle.read_bundle(copy).features._files.read(
    np.arange(index['files'][0]['rows'])
  )
  order = np.arange(len(rows))
  order[[1, 2]] = order[[2, 1]]
  row_files.write(tmp_path, 'features', [rows[order]], layout)
  shutil.copy(shard(tmp_path, 0), shard(copy, 0))
  _rewritten_index(
    copy,
    files=[
      {**index['files'][0], 'bytes': shard(copy, 0).stat().st_size},
      *index['files'][1:],
    ],
  )
  bundle.read_bundle(copy)
  with pytest.raises(errors.UserError, match='holds other rows'):
    packing.check(copy)


def test_files_have_as_many_rows_as_fit(places):
  content = json.loads((places[1] / 'records.json').read_text())['content']
  size = bundle.read_bundle(places[1]).features.row_bytes
  *full, last = [entry['rows'] for entry in content['files']]
  assert set(full) == {FILE_BYTES // size} and 0 < last <= full[0]


def test_what_preparation_learned_moves_along(places, tmp_path):
  shutil.copytree(places[0], tmp_path / 'arrays')
  (tmp_path / 'arrays' / packing.FITTED).mkdir()
  (tmp_path / 'arrays' / packing.FITTED / 'topics.json').write_text('{}')
  packing.pack(bundle.read_bundle(tmp_path / 'arrays'), tmp_path / 'records')
  moved = tmp_path / 'records' / packing.FITTED / 'topics.json'
  assert moved.read_text() == '{}'


def _other_tables(dataset, draft):
  accounts = dataclasses.replace(
    dataset.accounts, splits=np.full(len(dataset.accounts), 'train')
  )
  write_tables(dataclasses.replace(dataset, accounts=accounts), draft)


write_tables = writing.write_tables


def test_what_would_be_read_back_otherwise_is_not_written(
  both, tmp_path, monkeypatch
):
  monkeypatch.setattr(writing, 'write_tables', _other_tables)
  with pytest.raises(errors.UserError, match='not written: splits would not'):
    packing.pack(both[0], tmp_path / 'records')
  assert not list(tmp_path.iterdir())


def test_records_that_are_damaged_as_they_are_written_are_not_kept(
  both, tmp_path, monkeypatch
):
  write = bundle_features.write

  def damaged(folder, *args, **kwargs):
    write(folder, *args, **kwargs)
    content = bytearray(shard(folder, 0).read_bytes())
    content[len(content) // 2] ^= 1
    shard(folder, 0).write_bytes(content)

  monkeypatch.setattr(bundle_features, 'write', damaged)
  with pytest.raises(errors.UserError, match=r'not written: .*is damaged'):
    packing.pack(both[0], tmp_path / 'records')
  assert not list(tmp_path.iterdir())


def test_only_records_are_checked(places):
  with pytest.raises(errors.UserError, match='has arrays'):
    packing.check(places[0])
