"""A folder as instaloader saves it becomes a bundle."""

import dataclasses
import json
import lzma

from PIL import Image
import pytest

from morning_jax.core import errors
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.features import options as options_lib
from morning_jax.features.images import options as image_options
from morning_jax.features.importers import instaloader
from morning_jax.features.importers import writing
from morning_jax.features.text import options as text_options
from tests.features import preparations

COFFEE = 'Coffee and an espresso, a latte with cake. #coffeelover @shop.one!'
SHOES = 'My new sneaker, the boot and a running shoe for the marathon.'


def save(folder, name, value, *, packed=True):
  folder.mkdir(parents=True, exist_ok=True)
  content = json.dumps(value).encode()
  if packed:
    (folder / f'{name}.json.xz').write_bytes(lzma.compress(content))
  else:
    (folder / f'{name}.json').write_bytes(content)


def draw(path, colour):
  Image.new('RGB', (48, 64), colour).save(path)


def save_profile(folder, name, biography, **node):
  node = {
    'username': name,
    'biography': biography,
    'edge_followed_by': {'count': 7000},
    **node,
  }
  save(
    folder / name,
    f'{name}_123',
    {
      'node': node,
      'instaloader': {'version': '4.15.1', 'node_type': 'Profile'},
    },
  )
  draw(folder / name / '2024-05-01_10-00-00_UTC_profile_pic.jpg', 'red')
  (folder / name / 'id').write_text('123')


def save_post(
  folder, name, day, caption, *, children=0, sponsors=(), packed=True, **extra
):
  date = f'2024-05-{day:02d}_10-00-00_UTC'
  node = {
    '__typename': 'GraphSidecar' if children else 'GraphImage',
    'shortcode': f'{name}{day}',
    'taken_at_timestamp': 1_714_557_600 + 86_400 * (day - 1),
    'edge_media_to_caption': {
      'edges': [{'node': {'text': caption}}] if caption else []
    },
    'owner': {'id': '123', 'username': name},
    'edge_media_to_sponsor_user': {
      'edges': [{'node': {'sponsor': {'username': s}}} for s in sponsors]
    },
    'edge_media_to_tagged_user': {
      'edges': [{'node': {'user': {'username': 'friend'}}}]
    },
    **extra,
  }
  save(
    folder / name,
    date,
    {'node': node, 'instaloader': {'version': '4.15.1', 'node_type': 'Post'}},
    packed=packed,
  )
  (folder / name / f'{date}.txt').write_text(caption)
  (folder / name / f'{date}_comments.json').write_text('[{"id": 1}]')
  (folder / name / f'{date}_location.txt').write_text('Berlin')
  if children:
    for i in range(1, children + 1):
      draw(folder / name / f'{date}_{i}.jpg', (20 * i, 200, 10))
  else:
    draw(folder / name / f'{date}.jpg', 'blue')


@pytest.fixture
def saved(tmp_path):
  folder = tmp_path / 'saved'
  for name in ('ann', 'bob', 'kim'):
    save_profile(folder, name, 'coffee lover and runner')
  for day in range(1, 5):
    save_post(folder, 'ann', day, COFFEE, children=(day == 2 and 11) or 0)
    save_post(folder, 'bob', day, SHOES, packed=day % 2 == 0)
    save_post(folder, 'kim', day, COFFEE if day % 2 else SHOES)
  save_post(folder, 'ann', 9, COFFEE, sponsors=['beans'])
  save_post(folder, 'bob', 9, SHOES, sponsors=['kicks'])
  save_post(folder, 'kim', 9, '', sponsors=['beans', 'kicks'])
  save_post(folder, 'beans', 9, COFFEE)
  save(
    folder / 'kim',
    '2024-05-09_11-00-00_UTC',
    {'node': {}, 'instaloader': {'node_type': 'StoryItem'}},
  )
  return folder


def imported(saved, raw, **given):
  return writing.write(
    instaloader.read(saved, None), raw, writing.Tables(**given)
  )


def test_posts_pictures_and_sponsors_are_found(saved, tmp_path):
  summary = imported(saved, tmp_path / 'raw')
  lines = (tmp_path / 'raw' / 'posts.jsonl').read_text().splitlines()
  posts = {p['post_id']: p for p in map(json.loads, lines)}
  assert summary.posts == len(posts) == 16
  carousel = posts['ann2']['images']
  assert len(carousel) == 11
  assert len(posts['ann1']['images']) == 1
  # The eleventh is last, not behind the first.
  with Image.open(tmp_path / 'raw' / carousel[-1]) as picture:
    assert abs(picture.getpixel((5, 5))[0] - 220) < 6
  assert posts['ann1']['caption'] == COFFEE
  assert posts['kim9']['caption'] == ''
  assert posts['kim9']['sponsors'] == ['beans', 'kicks']
  assert posts['ann1']['tagged'] == ['friend']
  assert posts['ann2']['timestamp'] == 1_714_644_000
  # Neither profile pictures nor stories.
  copied = sum(1 for p in (tmp_path / 'raw' / 'images').rglob('*.jpg'))
  assert (
    copied == summary.pictures == sum(len(p['images']) for p in posts.values())
  )
  accounts = (tmp_path / 'raw' / 'accounts.csv').read_text()
  assert '"beans","brand","","train","",""' in accounts
  assert '"ann","influencer","","","7000","coffee lover and runner"' in accounts


def test_it_becomes_a_bundle(saved, tmp_path):
  imported(saved, tmp_path / 'raw')
  options = dataclasses.replace(
    preparations.OPTIONS,
    topics=dataclasses.replace(
      preparations.OPTIONS.topics,
      content=2,
      audience=2,
      vocabulary=text_options.VocabularyOptions(min_accounts=2, max_share=0.9),
    ),
    images=image_options.ImageOptions(encoder='pattern:4,3'),
    attributes=options_lib.AttributeOptions(min_accounts=2),
  )
  preparations.prepare(tmp_path / 'raw', tmp_path / 'bundle', options=options)
  found = bundle_lib.read_bundle(tmp_path / 'bundle')
  ids = found.accounts.ids
  assert ids.tolist() == ['beans', 'kicks', 'ann', 'bob', 'kim']
  assert ids[found.positives_Px2].tolist() == [
    ['beans', 'ann'],
    ['beans', 'kim'],
    ['kicks', 'bob'],
    ['kicks', 'kim'],
  ]
  text = found.features['content_text']
  # kicks was named, but nothing of it was saved.
  assert [bool(x) for x in (text != text).any(1)] == [0, 1, 0, 0, 0]
  ann, bob, beans = (
    text[ids.tolist().index(n)] for n in ('ann', 'bob', 'beans')
  )
  assert ann.argmax() == beans.argmax() != bob.argmax()
  assert 'audience_text' not in found.features
  assert found.attributes is not None
  assert {'coffee', 'running'} <= set(found.attributes.names_V.tolist())


def test_a_persons_tables_say_who_takes_part(saved, tmp_path):
  accounts = tmp_path / 'mine.csv'
  accounts.write_text(
    'account_id,role,category,split\nbeans,brand,drink,test\nann,influencer,,\n'
  )
  followers = tmp_path / 'followers.csv'
  followers.write_text('account_id,follower_id\nann,kim\n')
  summary = imported(
    saved, tmp_path / 'raw', accounts=accounts, followers=followers
  )
  assert (summary.posts, summary.left_out) == (11, 5)  # bob is nobody
  text = (tmp_path / 'raw' / 'accounts.csv').read_text()
  assert '"ann","influencer","","","7000","coffee lover and runner"' in text
  accounts.write_text('account_id,role,category,split\nbeans,brand,,never\n')
  with pytest.raises(errors.UserError, match='row 2: split'):
    imported(saved, tmp_path / 'other', accounts=accounts)
  assert not (tmp_path / 'other').exists()


def test_other_folders_and_broken_files_are_told(saved, tmp_path):
  (tmp_path / 'empty').mkdir()
  with pytest.raises(errors.UserError, match='has no post of instaloader'):
    list(instaloader.read(tmp_path / 'empty', None))
  bad = saved / 'ann' / '2024-05-20_10-00-00_UTC.json.xz'
  for content in (b'', b'not xz', lzma.compress(b'{"node": ')):
    bad.write_bytes(content)
    with pytest.raises(errors.UserError, match='is no JSON') as raised:
      list(instaloader.read(saved, None))
    assert bad.name in str(raised.value)


def test_names_of_a_source_can_not_lead_out_of_the_folder(tmp_path):
  saved = tmp_path / 'saved'
  save_post(saved, 'ann', 1, COFFEE, sponsors=['x'])
  save_post(
    saved,
    'bob',
    2,
    COFFEE,
    shortcode='../../evil',
    owner={'username': '../out'},
  )
  (saved / 'ann' / '2024-05-01_10-00-00_UTC_1.jpg').symlink_to('/etc/passwd')
  imported(saved, tmp_path / 'raw')
  inside = {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob('*')}
  assert inside == {'saved', 'raw'}
  lines = (tmp_path / 'raw' / 'posts.jsonl').read_text().splitlines()
  images = [i for line in lines for i in json.loads(line)['images']]
  assert len(images) == 2
  assert all('..' not in i.split('/') for i in images)
