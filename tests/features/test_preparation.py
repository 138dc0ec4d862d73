"""What a bundle of posts holds, and what does not change a byte of it."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import packing
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.data.records import bundle_features
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import options as options_lib
from morning_jax.features import training
from morning_jax.features.embedded import writing as embedded
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.stages import runner as runner_lib
from morning_jax.features.stages import store
from tests.features import preparations


def test_the_bundle_can_be_read_and_says_what_the_world_does(
  prepared_world, tmp_path
):
  found = bundle_lib.read_bundle(prepared_world)
  own = embedded.write(
    preparations.WORLD, tmp_path / 'again', preparations.POSTS
  )
  assert found.accounts.ids.tolist() == own.accounts.ids.tolist()
  assert np.array_equal(found.positives_Px2, own.positives_Px2)
  assert found.feature_sizes == {
    'content_image': 18,
    'content_text': 3,
    'audience_image': 18,
    'audience_text': 3,
  }
  for feature in ('content_image', 'audience_image'):
    # Of a name with two accounts, the first one's features are posted.
    single = ~np.isin(found.accounts.ids, _twice(found.accounts.ids))
    lacks = np.isnan(own.features[feature]).any(1)
    assert np.array_equal(
      np.isnan(found.features[feature]).any(1)[single], lacks[single]
    )
    here = single & ~lacks
    a, b = found.features[feature][here], own.features[feature][here]
    assert np.allclose(a[:, :12].sum(1), 1, atol=1e-5)
    assert np.allclose(a[:, 12:].sum(1), 1, atol=1e-5)
    # What is drawn from a distribution is like it, and more so than others'.
    likeness = a @ b.T
    assert (likeness.argmax(1) == np.arange(len(a))).mean() > 0.3
  assert found.attributes is not None
  names = set(found.attributes.names_V.tolist())
  assert {'running', 'shoe'} <= names


def test_a_bundle_of_records_is_the_same_bundle(
  raw_world, prepared_world, tmp_path
):
  preparations.prepare(raw_world, tmp_path / 'records', records=True)
  arrays = bundle_lib.read_bundle(prepared_world)
  records = bundle_lib.read_bundle(tmp_path / 'records')
  assert isinstance(records.features, bundle_features.StoredFeatures)
  assert dataset_lib.fingerprint(records) == dataset_lib.fingerprint(arrays)
  assert packing.check(tmp_path / 'records') == len(arrays.accounts)
  assert not list((tmp_path / 'records').glob('*.npy'))
  fitted = [
    folder / packing.FITTED for folder in (prepared_world, tmp_path / 'records')
  ]
  one, other = map(preparations.content, fitted)
  assert one == other
  assert one


def _twice(ids):
  names, count = np.unique(ids, return_counts=True)
  return names[count > 1]


@pytest.mark.parametrize(
  ('profiles', 'block_bytes', 'workers'),
  [(7, 1 << 20, 1), (1000, 4_000, 1), (20, 10_000, 2)],
)
def test_shards_blocks_and_workers_change_no_byte(
  raw_world, prepared_world, tmp_path, profiles, block_bytes, workers
):
  preparations.prepare(
    raw_world,
    tmp_path / 'bundle',
    sizes=options_lib.Sizes(profiles, block_bytes),
    runner=runner_lib.LocalRunner(workers),
  )
  assert preparations.content(tmp_path / 'bundle') == preparations.content(
    prepared_world
  )


class Killed(BaseException):
  """The end of a process, which nothing catches."""


class Dying:
  """A runner that ends after a number of shards of all stages."""

  def __init__(self, shards):
    self.left = shards
    self.done = []

  def run(self, task, shards):
    for shard in shards:
      if not self.left:
        raise Killed
      self.left -= 1
      self.done.append((task.name, shard))
      yield task.do(shard)


def test_after_kills_it_goes_on_and_changes_no_byte(
  raw_world, prepared_world, tmp_path
):
  sizes = options_lib.Sizes(20, 10_000)
  done = []
  for _ in range(40):
    dying = Dying(4)
    try:
      preparations.prepare(
        raw_world, tmp_path / 'bundle', sizes=sizes, runner=dying
      )
    except Killed:
      assert not (tmp_path / 'bundle').exists()
      assert len(dying.done) == 4
    done += dying.done
    if (tmp_path / 'bundle').exists():
      break
  assert len(done) > 20
  assert len(set(done)) == len(done)  # no shard is done a second time
  assert preparations.content(tmp_path / 'bundle') == preparations.content(
    prepared_world
  )


def test_a_damaged_result_is_made_again(raw_world, prepared_world, tmp_path):
  preparations.prepare(raw_world, tmp_path / 'bundle')
  shutil.rmtree(tmp_path / 'bundle')
  stored = sorted((tmp_path / 'bundle.work').rglob('*.npz'))
  assert len(stored) > 8
  for path in stored[::2]:
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    assert not store.is_whole(path)
  preparations.prepare(raw_world, tmp_path / 'bundle')
  assert preparations.content(tmp_path / 'bundle') == preparations.content(
    prepared_world
  )


def _with_other_texts(raw, copy, names, *, biographies=True):
  """Copies a raw folder and has some profiles write of other things."""
  shutil.copytree(raw, copy)
  lines = (copy / 'posts.jsonl').read_text().splitlines()
  posts = [json.loads(line) for line in lines]
  for post in posts:
    if post['account_id'] in names:
      post['caption'] = 'A zebra met another zebra and an elephant. ' * 5
  preparations.write_posts(copy, posts)
  if biographies:
    rows = (copy / 'accounts.csv').read_text().splitlines()
    header = rows[0].split(',').index('biography')
    for i, row in enumerate(rows[1:], 1):
      cells = row.split(',')
      if cells[0] in names:
        cells[header] = 'zebra breeder'
      rows[i] = ','.join(cells)
    (copy / 'accounts.csv').write_text('\n'.join(rows) + '\n')
  return copy


def _held_out(raw):
  opened = folder_lib.open_folder(raw)
  trains_A = training.training_rows(opened.accounts, opened.positives_Px2)
  trains = training.training_profiles(
    opened.accounts, opened.profiles, trains_A
  )
  return {opened.profiles.names[i] for i in np.flatnonzero(~trains)}


def test_what_held_out_accounts_write_changes_no_topic(
  raw_world, prepared_world, tmp_path
):
  held_out = _held_out(raw_world)
  assert 4 <= len(held_out) <= 20
  # They follow training accounts too.
  follows = tmp_path / 'raw'
  shutil.copytree(raw_world, follows)
  rows = (follows / 'followers.csv').read_text().splitlines()
  influencers = sorted(n for n in held_out if n.startswith('creator'))
  assert influencers
  rows[1:1] = [f'shoes_0{i},{influencers[0]}' for i in range(1, 7)]
  (follows / 'followers.csv').write_text('\n'.join(rows) + '\n')
  changed = _with_other_texts(follows, tmp_path / 'changed', held_out)
  for name, raw in (('one', follows), ('other', changed)):
    preparations.prepare(raw, tmp_path / name)
  one, other = (
    preparations.content(tmp_path / n / 'fitted') for n in ('one', 'other')
  )
  assert one == other
  # But their own topics did change, and what they follow reads them.
  before, after = (
    bundle_lib.read_bundle(tmp_path / n) for n in ('one', 'other')
  )
  rows_of = np.isin(before.accounts.ids, sorted(held_out))
  a, b = (d.features['content_text'] for d in (before, after))
  assert not np.array_equal(a[rows_of], b[rows_of], equal_nan=True)
  assert np.array_equal(a[~rows_of], b[~rows_of], equal_nan=True)
  a, b = (d.features['audience_text'] for d in (before, after))
  shoes = before.accounts.ids == 'shoes_01'
  assert not np.array_equal(a[shoes], b[shoes], equal_nan=True)


def test_what_training_accounts_write_does_change_topics(
  raw_world, prepared_world, tmp_path
):
  opened = folder_lib.open_folder(raw_world)
  trained = sorted(set(opened.accounts.ids.tolist()) - _held_out(raw_world))[
    ::4
  ]
  changed = _with_other_texts(raw_world, tmp_path / 'changed', trained)
  preparations.prepare(changed, tmp_path / 'other')
  one = preparations.content(prepared_world / 'fitted')
  other = preparations.content(tmp_path / 'other' / 'fitted')
  for name in (
    'content_topics/topics.npz',
    'attributes/attribute_words.csv',
  ):
    assert one[name] != other[name]


def test_later_accounts_get_the_topics_of_an_earlier_preparation(
  raw_world, prepared_world, tmp_path
):
  fitted = fitted_lib.load(prepared_world)
  preparations.prepare(
    raw_world,
    tmp_path / 'later',
    fitted=fitted,
    options=dataclasses.replace(
      preparations.OPTIONS,
      topics=options_lib.TopicOptions(content=9, audience=9),
    ),
  )
  assert preparations.content(tmp_path / 'later') == preparations.content(
    prepared_world
  )


def test_a_fitted_folder_of_another_version_is_refused(
  prepared_world, tmp_path
):
  folder = tmp_path / 'fitted'
  shutil.copytree(prepared_world / 'fitted', folder)
  told = json.loads((folder / 'fitted.json').read_text())
  for change, problem in (
    ({'version': 2}, "format '2', this one reads 1"),
    ({'text': {'unknown': 1}}, 'is not what launch.prepare writes'),
    ({'topics': 7}, 'is not what launch.prepare writes'),
  ):
    (folder / 'fitted.json').write_text(json.dumps(told | change))
    with pytest.raises(errors.UserError, match=problem):
      fitted_lib.load(folder)
  (folder / 'fitted.json').write_text(json.dumps(told))
  fitted_lib.load(folder)
  words = folder / 'attributes' / 'attribute_words.csv'
  words.write_text(words.read_text().replace('sneaker,', 'snaker,'))
  with pytest.raises(errors.UserError, match='is damaged'):
    fitted_lib.load(folder)
  with pytest.raises(errors.UserError, match=r'has no fitted\.json'):
    fitted_lib.load(tmp_path / 'nothing')
