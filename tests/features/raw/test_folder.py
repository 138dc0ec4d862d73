"""Raw folders: what is in them, and what is wrong with them."""

import os

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.features import training
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.raw import profiles as profiles_lib
from tests.features import preparations


def make(folder, posts=(), followers=''):
  preparations.write_tables(folder, followers=followers)
  preparations.write_posts(folder, list(posts) or [preparations.post()])
  return folder


def test_followers_are_numbered_behind_the_accounts_they_follow(tmp_path):
  raw = make(
    tmp_path / 'raw',
    followers='nike,zoe\nann,zoe\nann,kim\nbob,ann\nann,ann\nann,nike\nann,kim\n',
  )
  found = folder_lib.open_folder(raw)
  p = found.profiles
  assert p.names == ('ann', 'bob', 'lush', 'nike', 'kim', 'zoe')
  assert p.num_accounts == 4
  pairs = [
    (p.names[a], p.names[b])
    for a, b in zip(p.followed.tolist(), p.follower.tolist(), strict=True)
  ]
  # In the order of the table; neither brands, nor itself, nor twice.
  assert pairs == [
    ('ann', 'zoe'),
    ('ann', 'kim'),
    ('bob', 'ann'),
    ('nike', 'zoe'),
  ]
  assert [n.split(': ')[1][:2] for n in found.notes] == ['1 ', '1 ', '1 ']


def test_the_first_followers_with_posts_are_the_audience(tmp_path):
  raw = make(tmp_path / 'raw', followers='ann,x\nann,y\nann,z\nbob,w\n')
  p = folder_lib.open_folder(raw).profiles
  posts = [int(name in ('w', 'y', 'z', 'ann')) for name in p.names]
  for most, expected in ((1, ['y']), (2, ['y', 'z']), (9, ['y', 'z'])):
    start, follower = profiles_lib.active(p, posts, most)
    chosen = [
      [p.names[f] for f in follower[start[i] : start[i + 1]]]
      for i in range(p.num_accounts)
    ]
    assert chosen == [expected, ['w'], [], []]
    assert len(follower) == len(expected) + 1


def test_sponsors_tell_who_worked_for_whom_without_a_table(tmp_path):
  raw = make(tmp_path / 'raw')
  (raw / 'interactions.csv').unlink()
  found = folder_lib.open_folder(raw)
  notes = []
  sponsors = [(0, 'nike'), (0, 'unknown'), (1, 'lush'), (2, 'nike')]
  pairs = training.positives_of(found, sponsors, notes)
  ids = found.accounts.ids
  assert ids[pairs].tolist() == [['nike', 'ann'], ['lush', 'bob']]
  assert '2 interactions follow' in notes[0]
  trains = training.training_rows(found.accounts, pairs)
  assert ids[trains].tolist() == ['nike', 'ann']


def test_a_name_that_is_a_held_out_brand_too_trains_nothing(tmp_path):
  raw = make(tmp_path / 'raw')
  with (raw / 'accounts.csv').open('a') as f:
    f.write('lush,influencer,,,\n')
  with (raw / 'interactions.csv').open('a') as f:
    f.write('nike,lush\n')
  found = folder_lib.open_folder(raw)
  trains_A = training.training_rows(found.accounts, found.positives_Px2)
  names = np.array(found.profiles.names[:4])
  trains = training.training_profiles(found.accounts, found.profiles, trains_A)
  assert names[trains].tolist() == ['ann', 'nike']


def _remove(name):
  return lambda raw: (raw / name).unlink()


def _append(name, text):
  def change(raw):
    with (raw / name).open('a') as f:
      f.write(text)

  return change


def _pipe(raw):
  (raw / 'posts.jsonl').unlink()
  os.mkfifo(raw / 'posts.jsonl')


def _nowhere(raw):
  (raw / 'posts.jsonl').unlink()
  (raw / 'posts.jsonl').symlink_to('not_there')


BAD = {
  'no accounts': (_remove('accounts.csv'), 'a raw folder needs it'),
  'no posts': (_remove('posts.jsonl'), 'neither posts.jsonl nor'),
  'two posts': (_append('posts.parquet', 'x'), 'remove the one'),
  'pipe': (_pipe, 'is a pipe'),
  'link to nothing': (_nowhere, 'a file that does not exist'),
  'role': (_append('accounts.csv', 'x,brnd,,,\n'), 'row 6: role'),
  'follower of nobody': (
    _append('followers.csv', 'account_id,follower_id\nan,zoe\n'),
    r"row 2: account_id 'an' is not in accounts.csv \(near: ann",
  ),
  'follower of a follower': (
    _append('followers.csv', 'account_id,follower_id\nann,zoe\nzoe,kim\n'),
    "row 3: account_id 'zoe' is not in accounts.csv",
  ),
  'no follower': (
    _append('followers.csv', 'account_id,follower_id\nann,\n'),
    'row 2: follower_id is empty',
  ),
  'unknown pair': (
    _append('interactions.csv', 'nike,zoe\n'),
    "row 4: influencer 'zoe' is not in",
  ),
}


@pytest.mark.parametrize('name', BAD)
def test_what_is_wrong_with_a_folder_is_one_line(tmp_path, name):
  change, problem = BAD[name]
  raw = make(tmp_path / 'raw')
  change(raw)
  with pytest.raises(errors.UserError, match=problem) as raised:
    folder_lib.open_folder(raw)
  assert len(str(raised.value)) <= 300
  assert '\n' not in str(raised.value)


def test_a_file_or_nothing_is_no_raw_folder(tmp_path):
  for path in (tmp_path / 'nothing', make(tmp_path / 'raw') / 'posts.jsonl'):
    with pytest.raises(errors.UserError, match='a raw folder has'):
      folder_lib.open_folder(path)


def test_without_a_training_brand_nothing_can_be_learned(tmp_path):
  raw = make(tmp_path / 'raw')
  text = (raw / 'accounts.csv').read_text().replace('train', 'valid')
  (raw / 'accounts.csv').write_text(text)
  found = folder_lib.open_folder(raw)
  trains = training.training_rows(found.accounts, found.positives_Px2)
  with pytest.raises(errors.UserError, match='--fitted takes those'):
    training.check(trains, found)
