"""`feature_names.csv` and `audience_members.csv`: read, written, refused."""

import dataclasses

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.data.bundle import bundle
from tests.data.bundle.test_bundle import full_dataset


def named_dataset() -> accounts_lib.Dataset:
  return dataclasses.replace(
    full_dataset(),
    feature_names={
      'content_image': ('dogs: poodle', '', 'dogs: "pug", black'),
      'audience_text': ('tea', 'city trips', '', '=1+1', '', ''),
    },
    audience=accounts_lib.AudienceMembers(
      hashes_N=np.array(['0123abcd', '11111111', 'ffffffff']),
      holder=np.array([0, 0, 3]),
      member=np.array([0, 2, 1]),
    ),
  )


@pytest.fixture
def folder(tmp_path):
  bundle.write_bundle(named_dataset(), tmp_path / 'named')
  return tmp_path / 'named'


def test_names_and_followers_are_read_back(folder):
  written, read = named_dataset(), bundle.read_bundle(folder)
  assert read.feature_names == written.feature_names
  for field in ('hashes_N', 'holder', 'member'):
    np.testing.assert_array_equal(
      getattr(read.audience, field), getattr(written.audience, field)
    )
  # They are no input of a model.
  assert dataset_lib.fingerprint(read) == dataset_lib.fingerprint(
    full_dataset()
  )


def test_a_bundle_without_them_has_none(tmp_path):
  bundle.write_bundle(full_dataset(), tmp_path / 'plain')
  read = bundle.read_bundle(tmp_path / 'plain')
  assert read.feature_names == {} and read.audience is None
  names = {p.name for p in (tmp_path / 'plain').iterdir()}
  assert not names & {'feature_names.csv', 'audience_members.csv'}


def test_names_of_an_array_that_was_left_out_may_stay(folder):
  (folder / 'audience_text.npy').unlink()
  read = bundle.read_bundle(folder)
  assert set(read.feature_names) == (
    set(named_dataset().feature_names) - {'audience_text'}
  )


def test_what_would_not_be_read_back_is_not_written(tmp_path):
  odd = dataclasses.replace(
    full_dataset(), feature_names={'content_image': (' padded', '', '')}
  )
  with pytest.raises(errors.UserError, match='names of content_image'):
    bundle.write_bundle(odd, tmp_path / 'odd')
  assert not (tmp_path / 'odd').exists()


@pytest.mark.parametrize(
  ('file', 'row', 'message'),
  [
    ('feature_names', 'content_text,0,tea', 'row 2'),
    ('feature_names', 'content_txt,0,tea', 'near: content_text'),
    ('feature_names', 'content_text,99,tea', 'is not in 0..3'),
    ('feature_names', 'content_text,-1,tea', 'no whole number'),
    ('feature_names', 'content_text,²,tea', 'no whole number'),
    ('feature_names', 'content_text,0,', 'name is empty'),
    ('feature_names', 'attribute_list,0,tea', 'none of content_image, '),
    ('audience_members', 'brand,b1,@ann', 'is no hash'),
    ('audience_members', 'brand,b1,1234567', 'is no hash'),
    ('audience_members', 'brand,nobody,0123abcd', 'is not in accounts.csv'),
    ('audience_members', 'fan,b1,0123abcd', 'neither brand nor influencer'),
  ],
)
def test_mistakes_end_in_one_line(folder, file, row, message):
  path = folder / f'{file}.csv'
  header = path.read_text().splitlines()[0]
  rows = [row, row] if message == 'row 2' else [row]
  path.write_text('\n'.join([header, *rows]))
  with pytest.raises(errors.UserError) as e:
    bundle.read_bundle(folder)
  assert message in str(e.value) and file in str(e.value)
  assert str(e.value).isprintable() and len(str(e.value)) <= 300


def test_followers_named_twice_count_once(folder):
  path = folder / 'audience_members.csv'
  path.write_text(
    'role,account_id,member\nbrand,b1,0123ABCD\nbrand,b1,0123abcd\n'
  )
  read = bundle.read_bundle(folder)
  assert read.audience.hashes_N.tolist() == ['0123abcd']
  assert len(read.audience.holder) == 1
  assert 'audience_members.csv: 1 duplicate rows merged' in read.notes
