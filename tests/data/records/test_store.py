"""Accounts on disk: rows come back bit by bit, or damage is reported."""

import json
import os
import pathlib
import socket

import jax
import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.core import input_spec
from morning_jax.data import preprocessing
from morning_jax.data.records import store
from tests import runs


def rows_of_world():
  world = runs.small_world()
  spec = input_spec.InputSpec(
    perspectives={},
    feature_sizes=world.feature_sizes,
    transforms={f: 'hellinger' for f in world.feature_sizes},
    attribute_encoder='gcn',
    attribute_names=tuple(world.attribute_names),
  )
  return (
    preprocessing.account_rows(spec, {}, world),
    preprocessing.account_table(spec, {}, world),
    len(world.accounts),
  )


@pytest.fixture(scope='module')
def world():
  return rows_of_world()


@pytest.fixture
def written(world, tmp_path):
  """Accounts in several files, made in several blocks."""
  rows_of, _, count = world
  store.write(
    tmp_path, 'a' * 64, rows_of, count, block_bytes=10_000, file_bytes=60_000
  )
  return tmp_path


def folder_of(place: pathlib.Path) -> pathlib.Path:
  (folder,) = place.iterdir()
  return folder


def test_rows_come_back_bit_by_bit(world, written):
  _, table, count = world
  assert len(list(folder_of(written).glob('rows-*'))) > 3
  records = store.AccountRecords(written, 'a' * 64)
  assert len(records) == count
  rows = np.random.default_rng(0).integers(0, count, 500)
  got = records[rows]
  assert got.held.index.shape[1] > 1
  for a, b in zip(
    jax.tree.leaves(got), jax.tree.leaves(table[rows]), strict=True
  ):
    assert a.dtype == b.dtype
    assert a.tobytes() == b.tobytes()
  one = records[np.array([count - 1])]
  assert one.features.keys() == table.features.keys()


def test_what_is_there_is_taken_and_other_rows_go_elsewhere(world, written):
  rows_of, _, count = world
  before = {p: p.stat().st_mtime_ns for p in written.rglob('*')}

  def refuse(rows):
    raise AssertionError('written twice')

  store.write(written, 'a' * 64, refuse, count)
  assert before == {p: p.stat().st_mtime_ns for p in written.rglob('*')}
  store.write(written, 'b' * 64, rows_of, count)
  assert len(list(written.iterdir())) == 2


def test_nothing_is_left_of_a_write_that_fails(world, tmp_path):
  rows_of, _, count = world

  def fail(rows):
    if rows.start:
      raise OSError(28, 'No space left on device')
    return rows_of(rows)

  with pytest.raises(errors.UserError, match='No space left'):
    store.write(
      tmp_path, 'a' * 64, fail, count, block_bytes=10_000, file_bytes=60_000
    )
  assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed(world, tmp_path):
  rows_of, _, count = world
  draft = f'.accounts-x.{socket.gethostname()}.{{}}.random.draft'
  gone, alive = (
    tmp_path / draft.format(process) for process in (2**22 + 1, os.getppid())
  )
  for folder in (gone, alive):
    folder.mkdir()
  store.write(tmp_path, 'a' * 64, rows_of, count)
  assert not gone.exists()
  assert alive.exists()


def test_the_slower_of_two_writers_takes_the_others_folder(world, tmp_path):
  rows_of, table, count = world

  def meanwhile(rows):
    if not folders:
      folders.append(tmp_path)
      store.write(tmp_path, 'a' * 64, rows_of, count)
    return rows_of(rows)

  folders = []
  store.write(tmp_path, 'a' * 64, meanwhile, count)
  assert [p.name for p in tmp_path.iterdir()] == [folder_of(tmp_path).name]
  got = store.AccountRecords(tmp_path, 'a' * 64)[np.arange(count)]
  jax.tree.map(np.testing.assert_array_equal, got, table)


def damage(folder, kind):
  file = folder / 'rows-00001.array_record'
  data = bytearray(file.read_bytes())
  index = folder / 'index.json'
  stored = json.loads(index.read_text())
  if kind == 'truncated':
    file.write_bytes(data[:-1])
  elif kind == 'missing':
    file.unlink()
  elif kind == 'flipped':
    # In the middle of the file's first record.
    data[stored['content']['record']['bytes'] // 2 + 200] ^= 1
    file.write_bytes(data)
  elif kind == 'swapped':
    other = folder / 'rows-00002.array_record'
    file.write_bytes(other.read_bytes())
    other.write_bytes(data)
  elif kind == 'index':
    index.write_text(index.read_text().replace('"rows": ', '"rows": 1'))
  elif kind == 'no index':
    index.unlink()


@pytest.mark.parametrize(
  'kind',
  ['truncated', 'missing', 'flipped', 'swapped', 'index', 'no index'],
)
def test_damage_is_noticed(world, written, kind):
  _, _, count = world
  folder = folder_of(written)
  damage(folder, kind)
  with pytest.raises(errors.UserError) as e:
    store.AccountRecords(written, 'a' * 64)[np.arange(count)]
  assert str(e.value).startswith(str(folder))
  assert 'remove its folder' in str(e.value)
  assert '\n' not in str(e.value)


@pytest.mark.slow
def test_no_flipped_bit_gives_a_wrong_row(world, tmp_path):
  """Relies on ArrayRecord's own hashes: records carry no checksum."""
  flip_bits(world, tmp_path, every=37)


def test_few_flipped_bits_give_no_wrong_row(world, tmp_path):
  flip_bits(world, tmp_path, every=499)


def flip_bits(world, place: pathlib.Path, *, every: int) -> None:
  """Flips one bit after another, and reads all rows each time."""
  rows_of, table, _ = world
  count = 40
  rows = np.arange(count)
  want = jax.tree.leaves(table[:count])
  store.write(place, 'a' * 64, rows_of, count)
  (file,) = folder_of(place).glob('rows-*')
  whole = file.read_bytes()
  noticed = []
  for at in range(0, len(whole), every):
    data = bytearray(whole)
    data[at] ^= 1 << (at % 8)
    file.write_bytes(data)
    try:
      got = store.AccountRecords(place, 'a' * 64)[rows]
    except errors.UserError:
      noticed.append(at)
      continue
    # Nothing is stored there, such as at the end of the last block.
    for a, b in zip(jax.tree.leaves(got), want, strict=True):
      assert a.tobytes() == b.tobytes(), f'bit flipped in byte {at}'
  used = sum(x.nbytes for x in want)
  assert len(noticed) > used // every
