"""Captions split into words, whatever characters they hold."""

import pytest

from morning_jax.features.text import captions


def split(text, longest=10_000):
  return captions.split(text, longest=longest)


@pytest.mark.parametrize(
  ('text', 'phrases', 'hashtags'),
  [
    ('', [], []),
    ('Two words', [['Two', 'words']], []),
    ('One. Two!\nThree', [['One'], ['Two'], ['Three']], []),
    ("don't, don’t", [["don't"], ["don't"]], []),
    ("'quoted' rock'n'roll'", [['quoted'], ["rock'n'roll"]], []),
    ('by @user.name_1 and #tag_1 go', [['by', 'and', 'go']], ['tag_1']),
    ('see https://a.b/c?d=e#f now', [['see', 'now']], []),
    ('www.shop.de oder', [['oder']], []),
    ('write to me.too@my-shop.co.uk now', [['write', 'to', 'now']], []),
    ('hello@brand hi', [['hello', 'hi']], []),
    ('a1b2 50% 3x', [['a'], ['b'], ['x']], []),
    ('#Coffee#Lover ＃カフェ', [], ['Coffee', 'Lover', 'カフェ']),
    ('# no tag', [['no', 'tag']], []),
    # Emojis of several characters, flags and keycaps are no words.
    ('so 👨‍👩‍👧‍👦 nice 🇩🇪 1️⃣', [['so'], ['nice']], []),
    ('😍😍😍', [], []),
    # Fancy letters are letters.
    ('𝓬𝓸𝓯𝓯𝓮𝓮 ｔｉｍｅ ﬁt', [['coffee', 'time', 'fit']], []),
    # NUL separates; marks of direction and joiners vanish.
    ('a\0b', [['a', 'b']], []),
    ('\u202eab\u200fc\u2069 \ufeffd', [['abc', 'd']], []),
    ('half \ud83d pair', [['half', 'pair']], []),
    # Combining marks belong to their letters.
    ('cafe\u0301', [['café']], []),
    ('हिन्दी में', [['हिन्दी', 'में']], []),
    # No spaces: ideographs by pairs, katakana whole, hiragana left out.
    ('東京タワーに行きたい', [['東京', 'タワー', '行']], []),
    ('我爱咖啡', [['我爱', '爱咖', '咖啡']], []),
    ('שלום עולם', [['שלום', 'עולם']], []),
  ],
)
def test_split(text, phrases, hashtags):
  assert split(text) == captions.Caption(phrases, hashtags)


def test_what_is_beyond_the_longest_caption_is_not_read():
  assert split('one two three', longest=7).phrases == [['one', 'two']]


def test_long_phrases_are_cut():
  found = split('word ' * 450).phrases
  assert [len(p) for p in found] == [200, 200, 50]


@pytest.mark.parametrize(
  'text',
  [
    *('1.' * 50_000, 'a.b@' * 25_000, "a'" * 50_000, '@' * 100_000),
    *('#' * 100_000, 'a' * 100_000, '\u0301\u0327' * 50_000),
    *('\ufdfa' * 10_000, 'http://' * 15_000, '\ud83d' * 100_000),
    '\0' * 100_000,
  ],
)
def test_long_nonsense_is_split(text):
  found = split(text)
  assert sum(map(len, found.phrases)) <= 40_000
  for word in (w for phrase in found.phrases for w in phrase):
    word.encode()
