"""TFDS: what is prepared is what was generated or bundled, and stays so."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle
from morning_jax.data.synthetic import features as features_lib
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib
from morning_jax.data.tfds import builder
from morning_jax.data.tfds import loader
from morning_jax.data.tfds import sources

SMALL = f'{builder.NAME}/synthetic_small'
BUNDLE = f'{builder.NAME}/bundle'


def assert_same(a, b, path: str = 'dataset') -> None:
  """Asserts equality bit for bit, NaN included, and of types."""
  assert type(a) is type(b), path
  if dataclasses.is_dataclass(a):
    for field in dataclasses.fields(a):
      assert_same(
        getattr(a, field.name), getattr(b, field.name), f'{path}.{field.name}'
      )
  elif isinstance(a, dict):
    assert list(a) == list(b), path
    for key in a:
      assert_same(a[key], b[key], f'{path}[{key}]')
  elif isinstance(a, np.ndarray):
    assert (a.dtype, a.shape) == (b.dtype, b.shape), path
    assert a.tobytes() == b.tobytes(), path
  else:
    assert a == b, path


def hand_made(**changes) -> accounts_lib.Dataset:
  """Six accounts in mixed order, with everything that may be odd."""
  nan = np.float32('nan')
  dataset = accounts_lib.Dataset(
    name='hand made',
    accounts=accounts_lib.Accounts(
      ids=np.array(['m1', 'acme', 'süß', 'm2', 'b3', 'acme']),
      roles=np.array([1, 0, 0, 1, 0, 1], np.int8),
      categories=np.array(['', 'food', 'shoes', '', 'food', '']),
      splits=np.array(['', 'train', 'test', '', 'valid', '']),
      found_under=np.array(['food', '', '', 'shoes', '', 'food']),
      followers=np.array([7_000, -1, 250_000, 99_000, -1, 5_001]),
      biographies=np.array(['tea | "dance", ünï', '', 'x', '', '', 'y']),
    ),
    features={
      'content_text': np.array(
        [[0.2, 0.8], [nan, nan], [1, 0], [0.5, 0.5], [0, 1], [nan, nan]],
        np.float32,
      ),
      'attribute_embedding': np.arange(18, dtype=np.float32).reshape(6, 3),
    },
    positives_Px2=np.array([[4, 5], [1, 3], [2, 0], [1, 0], [2, 5], [1, 5]]),
    attributes=accounts_lib.Attributes(
      names_V=np.array(['tea', 'dance', 'jazz', 'té']),
      ids_V=np.array(['10', '3', 'x', '11']),
      holder=np.array([0, 0, 2, 5]),
      held=np.array([1, 3, 0, 2]),
      edges_Ex2=np.array([[3, 0], [0, 3], [1, 2]]),
      weight_E=np.array([0.71, 0.7, 28.35], np.float32),
    ),
    planted=np.arange(24, dtype=np.float32).reshape(6, 4),
  )
  return dataclasses.replace(dataset, **changes)


def write(dataset: accounts_lib.Dataset, folder: pathlib.Path):
  bundle.write_bundle(dataset, folder)
  return bundle.read_bundle(folder)


def files_of(data_dir: pathlib.Path, config: str) -> pathlib.Path:
  return data_dir / builder.NAME / config / '1.0.0'


@pytest.fixture(scope='module')
def prepared(tmp_path_factory) -> pathlib.Path:
  data_dir = tmp_path_factory.mktemp('prepared')
  loader.load(SMALL, data_dir)
  return data_dir


def test_world_comes_back_whole(prepared):
  before = sorted(p.stat().st_mtime_ns for p in prepared.rglob('*'))
  assert_same(
    loader.load(SMALL, prepared), world_lib.generate(world_options.small())
  )
  assert before == sorted(p.stat().st_mtime_ns for p in prepared.rglob('*'))


def test_features_are_typed_and_splits_documented(prepared):
  made = tfds.builder(SMALL, data_dir=prepared)
  world = world_options.small()
  features = made.info.features
  assert features['content_image'].shape == (world.objects + world.scenes,)
  assert features['content_image'].np_dtype == np.float32
  assert features['content_text'].shape == (world.content_topics,)
  assert features['role'].names == list(accounts_lib.ROLES)
  for name, feature in features.items():
    assert feature._doc.desc, name
  assert {s: i.num_examples for s, i in made.info.splits.items()} == {
    'train': 31,
    'valid': 8,
    'test': 9,
    'influencer': 480,
  }
  source = tfds.data_source(SMALL, split='test', data_dir=prepared)
  dataset = world_lib.generate(world)
  for record in source:
    row = record['row']
    assert dataset.accounts.splits[row] == 'test'
    assert dataset.accounts.ids[row] == record['account_id'].decode()
    np.testing.assert_array_equal(
      record['content_image'], dataset.features['content_image'][row]
    )
    own = dataset.positives_Px2[:, 0] == row
    np.testing.assert_array_equal(
      record['positives'], dataset.positives_Px2[own, 1]
    )


def test_prepares_through_tfds_alone(tmp_path):
  write(hand_made(), tmp_path / 'manual' / 'mine')
  made = tfds.builder(BUNDLE, data_dir=tmp_path / 'tfds')
  made.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=tmp_path / 'manual')
  )
  assert set(made.info.splits) == {'train', 'valid', 'test', 'influencer'}
  (record,) = made.as_data_source('valid')
  assert record['account_id'] == b'b3'
  # TFDS asks so each time, with no manual directory.
  again = tfds.data_source(BUNDLE, split='test', data_dir=tmp_path / 'tfds')
  assert again[0]['account_id'] == 'süß'.encode()


def test_brands_without_a_split_survive(tmp_path, monkeypatch):
  accounts = hand_made().accounts
  splits = np.array(['', 'train', '', '', '', ''])
  dataset = hand_made(accounts=dataclasses.replace(accounts, splits=splits))
  write(hand_made(), tmp_path / 'bundle')
  monkeypatch.setattr(bundle, 'read_bundle', lambda folder: dataset)
  loaded = loader.load(BUNDLE, tmp_path, tmp_path / 'bundle')
  assert_same(dataclasses.replace(loaded, name=dataset.name), dataset)
  made = tfds.builder(BUNDLE, data_dir=tmp_path)
  assert set(made.info.splits) == {'train', 'set_aside', 'influencer'}


# Columns that a bundle may lack.
NONE = dict.fromkeys(('found_under', 'followers', 'biographies'))


@pytest.mark.parametrize(
  'dataset',
  [
    hand_made(),
    hand_made(planted=None, attributes=None),
    hand_made(features={}),
    hand_made(accounts=dataclasses.replace(hand_made().accounts, **NONE)),
    hand_made(
      attributes=dataclasses.replace(
        hand_made().attributes,
        edges_Ex2=None,
        weight_E=None,
        holder=np.zeros(0, np.int64),
        held=np.zeros(0, np.int64),
      )
    ),
  ],
  ids=['everything', 'no attributes', 'no features', 'no columns', 'no lists'],
)
def test_bundle_comes_back_whole(dataset, tmp_path):
  written = write(dataset, tmp_path / 'bundle')
  # The reader says how it read an edge in both directions.
  said = {'name': written.name, 'notes': written.notes}
  assert_same(dataclasses.replace(dataset, **said), written)
  for manual in (tmp_path / 'bundle', tmp_path):
    assert_same(loader.load(BUNDLE, tmp_path / '.tfds', manual), written)


def test_notes_survive(tmp_path):
  write(hand_made(), tmp_path / 'bundle')
  with (tmp_path / 'bundle' / 'interactions.csv').open('a') as f:
    f.write('acme,m1\n')
  loaded = loader.load(BUNDLE, tmp_path / '.tfds', tmp_path)
  assert_same(loaded, bundle.read_bundle(tmp_path / 'bundle'))
  assert loaded.notes[0] == 'interactions.csv: 1 duplicate interactions merged'
  assert 'attribute_graph.csv: 1 of 2 edges' in loaded.notes[1]


def test_changed_bundle_is_never_served_from_the_old_copy(tmp_path):
  folder, data_dir = tmp_path / 'bundle', tmp_path / '.tfds'
  write(hand_made(), folder)
  loader.load(BUNDLE, data_dir, folder)
  array = np.load(folder / 'content_text.npy')
  array[2] = [0.25, 0.75]  # as large a file as before
  np.save(folder / 'content_text.npy', array)
  loaded = loader.load(BUNDLE, data_dir, folder)
  np.testing.assert_array_equal(loaded.features['content_text'], array)
  (folder / 'attribute_embedding.npy').unlink()
  loaded = loader.load(BUNDLE, data_dir, folder)
  assert list(loaded.features) == ['content_text']
  # The way around `load` as well.
  np.save(folder / 'content_text.npy', array[:, ::-1])
  made = tfds.builder(BUNDLE, data_dir=data_dir)
  made.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=folder)
  )
  record = made.as_data_source('test')[0]
  np.testing.assert_array_equal(record['content_text'], [0.75, 0.25])


def test_another_bundle_replaces_and_a_moved_one_does_not(tmp_path):
  first = write(hand_made(), tmp_path / 'a')
  second = write(hand_made(planted=None), tmp_path / 'b')
  data_dir = tmp_path / '.tfds'
  assert_same(loader.load(BUNDLE, data_dir, tmp_path / 'a'), first)
  assert_same(loader.load(BUNDLE, data_dir, tmp_path / 'b'), second)
  (tmp_path / 'b').rename(tmp_path / 'c')
  written = files_of(data_dir, 'bundle').stat().st_mtime_ns
  loaded = loader.load(BUNDLE, data_dir, tmp_path / 'c')
  assert loaded.name == str(tmp_path / 'c')
  assert files_of(data_dir, 'bundle').stat().st_mtime_ns == written


def test_faulty_bundle_leaves_the_copy(tmp_path):
  folder, data_dir = tmp_path / 'bundle', tmp_path / '.tfds'
  write(hand_made(), folder)
  loader.load(BUNDLE, data_dir, folder)
  before = sorted(files_of(data_dir, 'bundle').iterdir())
  np.save(folder / 'content_text.npy', np.zeros((3, 2), np.float32))
  with pytest.raises(errors.UserError, match='has 3 rows'):
    loader.load(BUNDLE, data_dir, folder)
  assert sorted(files_of(data_dir, 'bundle').iterdir()) == before


def test_another_world_or_generator_is_prepared_anew(tmp_path, monkeypatch):
  loader.load(SMALL, tmp_path)
  (config,) = (
    c
    for c in builder.BrandMicroInfluencer.BUILDER_CONFIGS
    if c.name == 'synthetic_small'
  )
  world = world_options.small(seed=5)
  monkeypatch.setattr(config, 'world', world)
  assert_same(loader.load(SMALL, tmp_path), world_lib.generate(world))
  before = sources.fingerprint_world(world)
  for module in (world_lib, features_lib, world_options):
    source = tmp_path / 'changed.py'
    source.write_text(pathlib.Path(module.__file__).read_text() + '#')
    with monkeypatch.context() as patch:
      patch.setattr(module, '__file__', str(source))
      assert sources.fingerprint_world(world) != before


def test_may_be_forced(tmp_path):
  made = tfds.builder(SMALL, data_dir=tmp_path)
  made.download_and_prepare()
  forced = tfds.download.DownloadConfig(
    download_mode=tfds.download.GenerateMode.FORCE_REDOWNLOAD
  )
  made.download_and_prepare(download_config=forced)
  assert_same(
    loader.load(SMALL, tmp_path), world_lib.generate(world_options.small())
  )


def test_lost_metadata_is_prepared_anew(tmp_path):
  first = loader.load(SMALL, tmp_path)
  (files_of(tmp_path, 'synthetic_small') / 'metadata.json').unlink()
  assert_same(loader.load(SMALL, tmp_path), first)


def test_user_errors_are_one_line(tmp_path):
  def error_of(*args) -> str:
    with pytest.raises(errors.UserError) as caught:
      loader.load(*args)
    text = str(caught.value)
    assert '\n' not in text
    return text

  assert 'synthetic_small' in error_of(f'{builder.NAME}/syntetic_smal')
  assert builder.NAME in error_of('brand_macro_influencer/synthetic')
  assert 'needs manual_dir' in error_of(BUNDLE, tmp_path)
  nowhere = tmp_path / 'nowhere'
  assert str(nowhere) in error_of(BUNDLE, tmp_path, nowhere)
  empty = tmp_path / 'manual'
  empty.mkdir()
  assert 'no bundle' in error_of(BUNDLE, tmp_path, empty)
  for name in ('a', 'b'):
    write(hand_made(), empty / name)
  assert 'a, b' in error_of(BUNDLE, tmp_path, empty)
  assert not (tmp_path / builder.NAME).exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(errors.UserError, match='cannot be written'):
    loader.load(SMALL, tmp_path / 'file')


def test_processes_may_prepare_at_once(tmp_path):
  code = (
    'from morning_jax.data.tfds import loader\n'
    f'dataset = loader.load({SMALL!r}, {str(tmp_path)!r})\n'
    'assert len(dataset.accounts) == 528\n'
  )
  command = [sys.executable, '-c', code]
  started = [
    subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(2)
  ]
  for process in started:
    _, log = process.communicate()
    assert process.returncode == 0, log


def test_the_loser_of_a_race_takes_the_winners_copy(tmp_path, monkeypatch):
  world = world_lib.generate(world_options.small())

  def meanwhile(_):
    monkeypatch.undo()
    loader.load(SMALL, tmp_path)
    return world

  monkeypatch.setattr(world_lib, 'generate', meanwhile)
  assert_same(loader.load(SMALL, tmp_path), world)


def test_a_race_between_sources_serves_neither_for_the_other(
  tmp_path, monkeypatch
):
  config = builder.BrandMicroInfluencer(
    data_dir=tmp_path, config='synthetic_small'
  ).builder_config
  generate = world_lib.generate

  def meanwhile(world):
    with monkeypatch.context() as patch:
      patch.setattr(world_lib, 'generate', generate)
      patch.setattr(config, 'world', world_options.small(seed=5))
      loader.load(SMALL, tmp_path)
    return generate(world)

  monkeypatch.setattr(world_lib, 'generate', meanwhile)
  with pytest.raises(errors.UserError, match='another process'):
    loader.load(SMALL, tmp_path)


def _truncate(path: pathlib.Path) -> None:
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])


def _flip(path: pathlib.Path) -> None:
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 0x10
  path.write_bytes(bytes(data))


@pytest.mark.parametrize(
  ('file', 'harm'),
  [
    ('dataset_info.json', pathlib.Path.unlink),
    ('dataset_info.json', _truncate),
    ('metadata.json', _truncate),
    ('attributes.npz', pathlib.Path.unlink),
    ('attributes.npz', _truncate),
    ('*influencer.array_record*', pathlib.Path.unlink),
    ('*influencer.array_record*', _truncate),
    ('*influencer.array_record*', _flip),
  ],
)
def test_damaged_copy_is_named(file, harm, tmp_path):
  loader.load(SMALL, tmp_path)
  folder = files_of(tmp_path, 'synthetic_small')
  pattern = file if '*' not in file else f'*-{file[1:]}'
  (path,) = folder.glob(pattern)
  harm(path)
  with pytest.raises(errors.UserError, match='damaged') as caught:
    loader.load(SMALL, tmp_path)
  assert str(folder) in str(caught.value)
  assert '\n' not in str(caught.value)


def test_no_tensorflow_and_nothing_on_standard_output(tmp_path):
  code = (
    'import sys, morning_jax\n'
    'from morning_jax.data.tfds import loader\n'
    f'loader.load({SMALL!r}, {str(tmp_path)!r})\n'
    'assert "tensorflow" not in sys.modules\n'
    'assert morning_jax.__version__\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == ''
