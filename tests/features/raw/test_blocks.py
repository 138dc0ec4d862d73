"""Posts by blocks: the same whatever the blocks, and every mistake its line."""

import json

import pyarrow as pa
from pyarrow import parquet
import pytest

from morning_jax.core import errors
from morning_jax.features.raw import blocks
from tests.features import preparations

INDEX = {'ann': 0, 'bob': 1}


def read(path, *, block_bytes=1 << 20, skip_bad=False, skipped=None):
  skipped = skipped or blocks.Skipped()
  return [
    post
    for block in range(blocks.count(path, block_bytes=block_bytes))
    for post in blocks.read(
      path,
      block,
      INDEX,
      block_bytes=block_bytes,
      skip_bad=skip_bad,
      skipped=skipped,
    )
  ]


def test_blocks_of_any_size_give_all_posts_in_order(tmp_path):
  posts = [
    preparations.post(post_id=str(i), caption='x' * (i % 7)) for i in range(9)
  ]
  preparations.write_posts(tmp_path, posts)
  path = tmp_path / 'posts.jsonl'
  # Also with a byte order mark, blank lines and no last line end.
  text = path.read_text()
  for content in (
    text,
    '\ufeff' + text,
    text.rstrip(),
    text.replace('\n', '\r\n\n'),
  ):
    path.write_text(content, newline='')
    for block_bytes in (1, 100, 1 << 20):
      found = read(path, block_bytes=block_bytes)
      assert [p.post_id for p in found] == [str(i) for i in range(9)]
      assert [len(p.caption) for p in found] == [i % 7 for i in range(9)]


def test_a_table_gives_the_same_posts(tmp_path):
  posts = [
    preparations.post(
      post_id=str(i), caption='hello', images=['images/a.jpg'], sponsors=['x']
    )
    for i in range(10)
  ]
  preparations.write_posts(tmp_path, posts)
  columns = {k: [p[k] for p in posts] for k in posts[0]}
  parquet.write_table(
    pa.table(columns), tmp_path / 'posts.parquet', row_group_size=3
  )
  assert blocks.count(tmp_path / 'posts.parquet', block_bytes=1) == 4
  found = read(tmp_path / 'posts.parquet')
  assert found == read(tmp_path / 'posts.jsonl')
  columns['timestamp'][7] = -1
  parquet.write_table(
    pa.table(columns), tmp_path / 'posts.parquet', row_group_size=3
  )
  with pytest.raises(errors.UserError, match=r'posts\.parquet, row 8: timest'):
    read(tmp_path / 'posts.parquet')
  (tmp_path / 'posts.parquet').write_bytes(b'PAR1 not at all')
  with pytest.raises(errors.UserError, match='is no Parquet file'):
    read(tmp_path / 'posts.parquet')


STRANGE = {
  'nul': 'a\0b',
  'right to left': '\u202e\u200fשלום',
  'long': 'word ' * 20_000,
  'emojis': '🏳️‍🌈👩‍👩‍👧🔥',
  'empty': '',
  'half a pair': '\ud83d text',
  'line ends': 'a\u2028b\u0085c\r\nd',
}


@pytest.mark.parametrize('name', STRANGE)
def test_any_caption_is_taken(tmp_path, name):
  preparations.write_posts(tmp_path, [preparations.post(caption=STRANGE[name])])
  (post,) = read(tmp_path / 'posts.jsonl')
  post.caption.encode()  # valid Unicode
  if name != 'half a pair':
    assert post.caption == STRANGE[name]


BAD = {
  'no JSON': ('{"account_id": "ann",', 'is no JSON'),
  'a list': ('[1, 2]', 'is no JSON object'),
  'deep': ('[' * 100_000, 'is no JSON'),
  'digits': ('{"timestamp": ' + '9' * 5000 + '}', 'is no JSON'),
  'NaN': (
    json.dumps(preparations.post(timestamp=float('nan'))),
    'NaN is no number',
  ),
  'unknown': (preparations.post(account_id='ghost'), "'ghost' is neither"),
  'no account': (preparations.post(account_id=' '), 'account_id is missing'),
  'a bool': (preparations.post(account_id=True), 'account_id is missing'),
  'no post_id': (preparations.post(post_id=None), 'post_id is missing'),
  'no time': (preparations.post(timestamp=None), 'timestamp is missing'),
  'caption': (preparations.post(caption=['x']), 'is no text'),
  'images': (preparations.post(images='a.jpg'), 'is no list'),
  'image': (preparations.post(images=['../a.jpg']), 'leads out'),
  'sponsors': (preparations.post(sponsors=[1]), 'is no list'),
  'images of many': (
    preparations.post(images=['a.jpg'] * 1001),
    'images has more than 1,000 entries',
  ),
  'long id': (preparations.post(post_id='x' * 1001), 'more than 1,000'),
  'long line': (
    '{"caption": "' + 'x' * (1 << 22) + '"}',
    'more than 4,194,304',
  ),
}


@pytest.mark.parametrize('name', BAD)
def test_what_is_wrong_is_told_with_its_line_or_counted(tmp_path, name):
  line, problem = BAD[name]
  preparations.write_posts(
    tmp_path, [preparations.post(), line, preparations.post(post_id='2')]
  )
  path = tmp_path / 'posts.jsonl'
  for block_bytes in (100_000, 1 << 20, 1 << 24):
    with pytest.raises(errors.UserError, match=problem) as raised:
      read(path, block_bytes=block_bytes)
    assert 'posts.jsonl, row 2: ' in str(raised.value)
    assert len(str(raised.value)) <= 300
    skipped = blocks.Skipped()
    found = read(path, block_bytes=block_bytes, skip_bad=True, skipped=skipped)
    assert [p.post_id for p in found] == ['1', '2']
    assert skipped.count == 1
    assert 'row 2' in skipped.first


def test_what_is_as_long_as_it_may_be_is_taken(tmp_path):
  line = json.dumps(preparations.post(caption='')).encode()
  long = line.replace(b'"caption": ""', b'"caption": "%s"')
  longest = (1 << 22) - len(long) + 2 - 1  # less the end of the line
  preparations.write_posts(
    tmp_path,
    [
      preparations.post(post_id='x' * 1000, images=['a.jpg'] * 1000),
      (long % (b'x' * longest)).decode(),
    ],
  )
  one, other = read(tmp_path / 'posts.jsonl')
  assert len(one.post_id) == len(one.images) == 1000
  assert len(other.caption) == longest


def test_bytes_that_are_no_text_are_told(tmp_path):
  path = tmp_path / 'posts.jsonl'
  path.write_bytes(b'\n{"account_id": "\xff"}\n')
  with pytest.raises(errors.UserError, match='row 2: is not UTF-8'):
    read(path)
  for start, problem in (
    (b'\xff\xfe{\0', 'UTF-16'),
    (b'\x1f\x8b\x08\x00', 'is compressed'),
    (b'PK\x03\x04', 'is an archive'),
  ):
    path.write_bytes(start)
    with pytest.raises(errors.UserError, match=problem):
      read(path)


def test_keys_that_nothing_reads_are_collected(tmp_path):
  preparations.write_posts(
    tmp_path, [preparations.post(likes=1), preparations.post(image=['a'])]
  )
  skipped = blocks.Skipped()
  read(tmp_path / 'posts.jsonl', skipped=skipped)
  assert skipped.unread == {'likes', 'image'}
