"""The spreadsheet of test pairs: names and labels, and what cannot be."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from morning_jax.data.released import features as released_features
from morning_jax.data.released import pairs as released_pairs
from tests import releases


@pytest.fixture
def world() -> releases.World:
  return releases.make_world()


@pytest.mark.parametrize('sheet', ['testset_r.xlsx', 'testset_r.csv'])
def test_names_are_cleaned(tmp_path, world, sheet):
  root = releases.write_release(tmp_path, world)
  (root / 'testset_r.csv').unlink()
  rows = releases.sheet_rows(world)
  rows[0][0] = '\ufeff' + rows[0][0]
  rows[1][1] += ' '
  rows[2][2], rows[4][2] = '1.0', '0'
  rows.append(['', '', ''])  # a spreadsheet program leaves such rows behind
  releases.write_sheet(root / sheet, rows)
  releases.check_recovered(released_features.import_features(root), world)


def test_names_that_look_like_numbers(tmp_path, world):
  assert released_pairs._text(1971.0) == '1971'
  assert released_pairs._text(True) is None
  world.names[1][20] = '1971'
  root = releases.write_release(tmp_path, world)
  (root / 'testset_r.csv').unlink()
  rows = releases.sheet_rows(world)
  for i, row in enumerate(rows):
    if row[1] == '1971':
      row[1] = 1971 if i % 2 else 1971.0
    row[2] = float(row[2])
  releases.write_sheet(root / 'testset_r.xlsx', rows)
  releases.check_recovered(released_features.import_features(root), world)


def test_spreadsheet_elsewhere(tmp_path, world):
  root = releases.write_release(tmp_path / 'released', world)
  (root / 'testset_r.csv').rename(tmp_path / 'pairs.csv')
  dataset = released_features.import_features(
    root, test_pairs=tmp_path / 'pairs.csv'
  )
  releases.check_recovered(dataset, world)


@pytest.mark.parametrize('change_rows', [-1, 1])
def test_spreadsheet_of_another_length(tmp_path, world, change_rows):
  root = releases.write_release(tmp_path, world)
  rows = releases.sheet_rows(world)
  rows = rows[:-1] if change_rows < 0 else [*rows, rows[-1]]
  releases.write_sheet(root / 'testset_r.csv', rows)
  releases.fails(root, 'testset_r.csv', f'has {len(rows)} rows', '64 pairs')


def test_labels_that_contradict(tmp_path, world):
  world.pairs = np.concatenate([world.pairs, world.pairs[3:4]])
  world.labels.append(1 - world.labels[3])
  root = releases.write_release(tmp_path, world)
  releases.fails(root, 'testset_r.csv, row 65:', 'contradicts row 4')


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
  root = releases.write_release(tmp_path, world)
  (root / 'testset_r.csv').unlink()
  releases.write_sheet(root / sheet, [row, *releases.sheet_rows(world)[1:]])
  releases.fails(root, sheet, *words)


def test_spreadsheet_without_positives(tmp_path, world):
  world.labels = [0] * len(world.labels)
  releases.fails(
    releases.write_release(tmp_path, world),
    'testset_r.csv',
    'no row has label 1',
  )


def test_spreadsheet_missing_or_unreadable(tmp_path, world):
  root = releases.write_release(tmp_path, world)
  (root / 'testset_r.csv').unlink()
  releases.fails(root, str(root / 'testset_r.xlsx'), '--test_pairs')
  (root / 'testset_r.xlsx').write_bytes(b'PK\x03\x04 no zip')
  releases.fails(root, 'testset_r.xlsx', 'not a readable .xlsx')
  (root / 'pairs.txt').write_text('a,b,1')
  releases.fails(
    root, 'pairs.txt', '.xlsx or .csv', test_pairs=root / 'pairs.txt'
  )
  releases.fails(
    root, 'other.csv', 'no such file', test_pairs=root / 'other.csv'
  )
  (root / 'pairs.csv').write_bytes(b'\xff\xfe\x00')
  releases.fails(root, 'pairs.csv', 'UTF-8', test_pairs=root / 'pairs.csv')


def test_spreadsheet_without_arrays(tmp_path, world):
  releases.write_arrays(tmp_path, world, 'train')
  releases.write_sheet(tmp_path / 'pairs.csv', releases.sheet_rows(world))
  releases.fails(
    tmp_path,
    'pairs.csv',
    'testset/brand_text_test_2.npy',
    test_pairs=tmp_path / 'pairs.csv',
  )


def test_openpyxl_is_asked_for(tmp_path, world, monkeypatch):
  root = releases.write_release(tmp_path, world, sheet='testset_r.xlsx')
  monkeypatch.setitem(sys.modules, 'openpyxl', None)
  releases.fails(root, "pip install 'morning_jax[release]'")
