"""The arrays of a release: what is missing or misshapen is named."""

from __future__ import annotations

import numpy as np
import pytest

from tests import releases


@pytest.fixture
def world() -> releases.World:
  return releases.make_world()


@pytest.mark.parametrize('part', ['train', 'test_2'])
@pytest.mark.parametrize('role', [0, 1])
def test_missing_partner(tmp_path, world, part, role):
  root = releases.write_release(tmp_path, world)
  name = releases.file_of('audience_image', role, part)
  (root / name).unlink()
  releases.fails(root, str(root / name), 'no such file')


def test_feature_of_one_split_only(tmp_path, world):
  root = releases.write_release(tmp_path, world)
  for role in (0, 1):
    (root / releases.file_of('content_image', role, 'test_2')).unlink()
  releases.fails(
    root,
    str(root / releases.file_of('content_image', 0, 'train')),
    'the test set has no such feature',
  )


def test_odd_number_of_rows(tmp_path, world):
  root = releases.write_release(tmp_path, world)
  path = releases.change(root, 'content_image', 0, 'train', lambda a: a[:-1])
  releases.fails(root, path, '191 rows, an odd number')


@pytest.mark.parametrize('part', ['train', 'test_2'])
def test_row_counts_differ(tmp_path, world, part):
  root = releases.write_release(tmp_path, world)
  path = releases.change(root, 'audience_text', 1, part, lambda a: a[:-2])
  releases.fails(root, path, 'must be as many')


@pytest.mark.parametrize('part', ['train', 'test_2'])
def test_sizes_differ(tmp_path, world, part):
  root = releases.write_release(tmp_path, world)
  path = releases.change(root, 'audience_text', 1, part, lambda a: a[:, :-1])
  releases.fails(root, path, 'has 3 columns', 'has 4')


def test_not_a_table(tmp_path, world):
  root = releases.write_release(tmp_path, world)
  path = releases.change(root, 'audience_text', 1, 'train', lambda a: a.ravel())
  releases.fails(root, path, 'expected [rows, features]')


def test_truncated_array(tmp_path, world):
  root = releases.write_release(tmp_path, world)
  path = root / releases.file_of('content_image', 1, 'train')
  path.write_bytes(path.read_bytes()[:-8])
  releases.fails(root, str(path), 'truncated')


def test_pickled_array(tmp_path, world):
  root = releases.write_release(tmp_path, world)
  path = root / releases.file_of('content_text', 0, 'test_2')
  np.save(path, np.array([{}, None], object), allow_pickle=True)
  releases.fails(root, str(path), 'pickled')
