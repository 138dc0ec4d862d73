"""The words of a hashtag."""

from __future__ import annotations

from collections.abc import Callable
import re
from typing import Any

from morning_jax.core import errors
from morning_jax.features.text import taggers

_LONGEST = 60  # characters of a hashtag that is split
_SHORTEST = 3  # letters of a part that may stand in one
# Shorter parts that do stand in hashtags.
_SHORT = {
  'en': frozenset(
    [
      *(
        'a',
        'an',
        'and',
        'at',
        'by',
        'for',
        'in',
        'is',
        'it',
        'me',
        'my',
        'no',
      ),
      *('of', 'on', 'or', 'so', 'the', 'to', 'up', 'us', 'we', 'you', 'diy'),
    ]
  )
}
# An upper-case letter after a lower-case one begins a word, and so does the
# last upper-case letter before a lower-case one (`DIYHome`).
_BORDERS = re.compile(r'_+|(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])')


class HashtagSplitter:
  """Splits hashtags where all parts are words.

  Capitals and underscores tell in any language; a run of English letters is
  split by the frequencies of words (wordninja). Parts that no dictionary has
  (`oo td`, `ig ers`) mean that it was no compound.
  """

  def __init__(self) -> None:
    """Loads wordninja and simplemma.

    Raises:
      UserError: one of them is not installed.
    """
    try:
      import wordninja
    except ImportError:
      raise errors.UserError(
        "hashtags need wordninja: pip install 'morning_jax[prepare]'"
      ) from None
    self._by_frequency: Callable[[str], Any] = wordninja.split
    self._known = taggers.dictionary()

  def words(self, hashtag: str, language: str) -> list[str]:
    """Returns the parts, lower case; empty where they are no words.

    Args:
      hashtag: without its `#`, as it is written.
      language: ISO 639-1 code of the account's language.
    """
    if len(hashtag) > _LONGEST:
      return []
    parts = [p.lower() for p in _BORDERS.split(hashtag) if p]
    if len(parts) > 1:
      for code in dict.fromkeys((language, 'en')):
        if all(self._is_word(p, code, least=2) for p in parts):
          return parts
    for code in dict.fromkeys((language, 'en')):
      if self._is_word(hashtag.lower(), code):
        return [hashtag.lower()]
    # Many write English hashtags, whatever their language.
    if hashtag.isascii():
      parts = [
        piece
        for p in parts
        for piece in ([p] if self._is_word(p, 'en') else self._by_frequency(p))
      ]
      if all(self._is_word(p, 'en') for p in parts):
        return parts
    return []

  def _is_word(
    self, part: str, language: str, *, least: int = _SHORTEST
  ) -> bool:
    if part in _SHORT.get(language, ()):
      return True
    return len(part) >= least and self._known(part, language)
