"""Data sets of Apify and answers of the Graph API."""

import json

import pytest

from morning_jax.core import errors
from morning_jax.features.importers import apify
from morning_jax.features.importers import graph_api
from morning_jax.features.importers import items


def posts(found):
  return [x for x in found if isinstance(x, items.Post)]


APIFY = [
  {
    'type': 'Sidecar',
    'shortCode': 'Pin',
    'caption': 'Old, with @NASAGoddard. and @a.b_c, (@Me!) mail@no.org @@x',
    'mentions': ['NASAGoddard.', 'a.b_c,'],
    'images': ['https://x/1', 'https://x/2'],
    'displayUrl': 'https://x/1',
    'timestamp': '2020-01-01T00:00:00.000Z',
    'ownerUsername': 'ann',
    'isPinned': True,
    'taggedUsers': [{'username': 'friend'}],
  },
  {
    'type': 'Image',
    'shortCode': 'New',
    'caption': None,
    'displayUrl': 'https://x/3',
    'images': [],
    'timestamp': '2024-01-01T00:00:00.000Z',
    'ownerUsername': 'ann',
  },
]


@pytest.mark.parametrize('ending', ['.json', '.jsonl'])
def test_posts_of_apify(tmp_path, ending):
  source = tmp_path / f'dataset{ending}'
  source.write_text(
    json.dumps(APIFY)
    if ending == '.json'
    else '\n'.join(map(json.dumps, APIFY))
  )
  files = tmp_path / 'files'
  files.mkdir()
  for name in ('Pin.jpg', 'Pin_1.jpg', 'Pinned.jpg', 'Pin_x.jpg'):
    (files / name).write_bytes(b'x')
  old, new = posts(apify.read(source, files))
  assert [p.name for p in old.pictures] == ['Pin.jpg', 'Pin_1.jpg']
  assert (old.missing, new.missing) == (0, 1)
  assert old.tagged == ('friend', 'nasagoddard', 'a.b_c', 'me')
  assert (old.pinned, new.pinned) == (True, False)
  assert new.caption == ''
  # Addresses are no files.
  old, new = posts(apify.read(source, None))
  assert (old.pictures, old.missing, new.missing) == ((), 2, 1)


def test_profiles_of_apify_with_their_latest_posts(tmp_path):
  source = tmp_path / 'profiles.json'
  source.write_text(
    json.dumps(
      [
        {
          'username': 'ann',
          'biography': 'tea',
          'followersCount': 9,
          'businessCategoryName': 'Shop',
          'latestPosts': [{'shortCode': 'A', 'timestamp': 1_700_000_000}],
        },
        {'error': 'not_found'},
      ]
    )
  )
  profile, post = apify.read(source, None)
  assert profile == items.Profile('ann', 'tea', 9, 'Shop')
  assert (post.account, post.post_id) == ('ann', 'A')


def test_answers_of_the_graph_api(tmp_path):
  answer = {
    'business_discovery': {
      'username': 'ann',
      'biography': 'tea',
      'followers_count': 9,
      'media': {
        'data': [
          {
            'id': '17',
            'caption': 'with tea',
            'timestamp': '2024-05-01T10:00:00+0000',
            'children': {'data': [{'id': '1'}, {'id': '2'}]},
          },
          {'id': '18', 'timestamp': '2024-05-01T10:00:00+0000'},
        ]
      },
    },
    'id': '1',
  }
  source = tmp_path / 'answers'
  source.mkdir()
  (source / 'ann.json').write_text(json.dumps(answer))
  (source / 'bob.json').write_text(json.dumps({'error': {'code': 110}}))
  (source / '17.jpg').write_bytes(b'x')
  profile, first, second = graph_api.read(source, source)
  assert profile == items.Profile('ann', 'tea', 9)
  assert [p.name for p in first.pictures] == ['17.jpg']
  assert (first.missing, second.missing) == (1, 1)


@pytest.mark.parametrize('reader', [apify.read, graph_api.read])
@pytest.mark.parametrize(
  ('text', 'problem'),
  [('{"a": 1}', 'has n'), ('[[]]', 'has n'), ('{', 'is no JSON')],
)
def test_something_else_is_told(tmp_path, reader, text, problem):
  source = tmp_path / 'data.json'
  source.write_text(text)
  with pytest.raises(errors.UserError, match=problem):
    list(reader(source, None))
  source.unlink()
  with pytest.raises(errors.UserError, match='has no JSON file'):
    list(reader(tmp_path, None))
