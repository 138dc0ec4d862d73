"""Captions split into words and hashtags by regular expressions.

What is no word (numbers, emojis, punctuation) ends a
phrase; line ends and the punctuation of sentences do so too. A hashtag, a
handle or an address ends no sentence that goes on after it: it leaves no gap.
"""

from __future__ import annotations

from collections.abc import Iterator
import functools
import re
import sys
from typing import NamedTuple
import unicodedata

# Letters that are written without spaces between words.
HAN = '\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff'
KATAKANA = '\u30a1-\u30fa\u30fc'
HIRAGANA = '\u3041-\u309f'
_LONGEST_PHRASE = 200  # words that a tagger sees at once


class Caption(NamedTuple):
  """What a caption says.

  Attributes:
    phrases: the words in their order, as they are written but for
      compatibility forms (NFKC); one list for each phrase.
    hashtags: without their `#`, as they are written.
  """

  phrases: list[list[str]]
  hashtags: list[str]


@functools.cache
def _marks() -> str:
  """Returns the characters that continue a letter, as ranges of a class."""
  ranges: list[list[int]] = []
  for code in range(0x300, sys.maxunicode + 1):
    if 0x3400 <= code <= 0xABFF and not code >= 0xA66F:
      continue  # ideographs and syllables: a quarter of the planes
    if code > 0x1FFFF:
      break
    if unicodedata.category(chr(code)) in ('Mn', 'Mc'):
      if ranges and ranges[-1][1] == code - 1:
        ranges[-1][1] = code
      else:
        ranges.append([code, code])
  return ''.join(f'{chr(a)}-{chr(b)}' for a, b in ranges)


@functools.cache
def _pattern() -> re.Pattern[str]:
  letter = f'[^\\W\\d_][{_marks()}]*'
  return re.compile(
    r'(?P<skip>https?://\S+|www\.\S+|@[\w.]+'
    # Bounded: without it, time grows with the square of a caption's length.
    r'|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+)'
    rf'|[#＃](?P<hashtag>[\w{_marks()}]+)'
    rf"|(?P<word>(?:{letter})+(?:['’](?:{letter})+)*)"
    r'|(?P<end>[.!?:;…。！？\n\r]|\d+|[^\w\s])'
  )


@functools.cache
def _invisible() -> dict[int, str | None]:
  """Characters that are taken out, or for which a space stands."""
  table: dict[int, str | None] = {}
  for code in range(sys.maxunicode + 1):
    if 0xD800 <= code < 0xE000:
      table[code] = ' '  # half a pair: no character
      continue
    if 0x3400 <= code <= 0xD7FF or 0x20000 <= code < 0xE0000:
      continue
    if code > 0xE0FFF:
      break
    kind = unicodedata.category(chr(code))
    if kind == 'Cf':
      table[code] = None  # joiners, directions
    elif kind == 'Cc' and chr(code) not in '\n\r\t':
      table[code] = ' '
  return table


def split(text: str, *, longest: int) -> Caption:
  """Splits a caption.

  Args:
    text: the caption; any string, also with NUL, directional marks or halves
      of surrogate pairs.
    longest: how many of its characters are read.

  Returns:
    Its words and hashtags.
  """
  text = text[:longest].translate(_invisible())
  text = unicodedata.normalize('NFKC', text)
  phrases: list[list[str]] = [[]]
  hashtags: list[str] = []
  for match in _pattern().finditer(text):
    kind = match.lastgroup
    if kind == 'word':
      phrases[-1].extend(_words(match['word'].replace('’', "'")))
      if len(phrases[-1]) >= _LONGEST_PHRASE:
        phrases.append([])
    elif kind == 'hashtag':
      hashtags.append(match['hashtag'])
    elif kind == 'end' and phrases[-1]:
      phrases.append([])
  return Caption([p for p in phrases if p], hashtags)


def letters(caption: Caption) -> str:
  """Returns the words of a caption in a line, for telling its language."""
  return ' '.join(word for phrase in caption.phrases for word in phrase)


_SCRIPTS = re.compile(f'([{HAN}]+|[{KATAKANA}]+|[{HIRAGANA}]+)')


def _words(word: str) -> Iterator[str]:
  """Yields the words of a run of letters.

  Chinese and Japanese have no spaces. Ideographs go by overlapping pairs, as
  is usual where no dictionary is at hand; a run of katakana is a word, one of
  hiragana is grammar and left out.
  """
  if word.isascii() or not _SCRIPTS.search(word):
    yield word
    return
  for run in _SCRIPTS.split(word):
    if not run:
      continue
    if re.match(f'[{HAN}]', run):
      yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))
    elif not re.match(f'[{HIRAGANA}]', run):
      yield run
