"""TFDS: what is prepared is what was generated, and stays so."""

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
from morning_jax.data.synthetic import features as features_lib
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib
from morning_jax.data.tfds import builder
from morning_jax.data.tfds import loader

SMALL = f'{builder.NAME}/synthetic_small'


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


OTHER = world_options.small(seed=5)


def config_of(name: str) -> builder.Config:
  configs = builder.BrandMicroInfluencer.BUILDER_CONFIGS
  (config,) = (c for c in configs if c.name == name)
  return config


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


def test_tfds_alone_prepares_again_what_is_out_of_date(tmp_path, monkeypatch):
  tfds.builder(SMALL, data_dir=tmp_path).download_and_prepare()
  first = tfds.data_source(SMALL, split='valid', data_dir=tmp_path)[0]
  monkeypatch.setattr(config_of('synthetic_small'), 'world', OTHER)
  tfds.builder(SMALL, data_dir=tmp_path).download_and_prepare()
  second = tfds.data_source(SMALL, split='valid', data_dir=tmp_path)[0]
  assert not np.array_equal(first['content_text'], second['content_text'])


def test_another_world_or_generator_is_prepared_again(tmp_path, monkeypatch):
  loader.load(SMALL, tmp_path)
  config = config_of('synthetic_small')
  monkeypatch.setattr(config, 'world', OTHER)
  assert_same(loader.load(SMALL, tmp_path), world_lib.generate(OTHER))
  before = config.fingerprint
  for module in (world_lib, features_lib, world_options):
    source = tmp_path / 'changed.py'
    source.write_text(pathlib.Path(module.__file__).read_text() + '#')
    with monkeypatch.context() as patch:
      patch.setattr(module, '__file__', str(source))
      assert config.fingerprint != before


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


def test_a_copy_without_metadata_is_prepared_again(tmp_path):
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
  assert len(error_of('x' * 1000)) < 250
  assert len(error_of(f'{builder.NAME}/' + 'x' * 1000)) < 250


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


def test_a_race_between_worlds_never_loads_the_wrong_one(tmp_path, monkeypatch):
  config = config_of('synthetic_small')
  generate = world_lib.generate

  def meanwhile(world):
    with monkeypatch.context() as patch:
      patch.setattr(world_lib, 'generate', generate)
      patch.setattr(config, 'world', OTHER)
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
    # Before anything is loaded: the package itself is light.
    'assert morning_jax.__version__\n'
    'heavy = {"jax", "numpy", "tensorflow_datasets"} & set(sys.modules)\n'
    'assert not heavy, heavy\n'
    'from morning_jax.data.tfds import loader\n'
    f'loader.load({SMALL!r}, {str(tmp_path)!r})\n'
    'assert "tensorflow" not in sys.modules\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == ''


def test_a_disk_that_is_full_is_told_in_one_line(tmp_path, monkeypatch):
  def fail(self, **_):
    # As ArrayRecord's writer has it, and TFDS around it.
    raise RuntimeError('Failed to finalize\nwrite() failed: File too large')

  monkeypatch.setattr(
    builder.BrandMicroInfluencer, 'download_and_prepare', fail
  )
  with pytest.raises(errors.UserError, match=r'File too large.*data_dir') as e:
    loader.load(SMALL, tmp_path)
  assert '\n' not in str(e.value)
