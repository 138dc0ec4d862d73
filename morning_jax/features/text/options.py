"""What the user may choose about captions."""

from __future__ import annotations

import dataclasses
import re

from morning_jax.core import errors

HANTA = 'hanta'
NONE = 'none'
SPACY = 'spacy:'


@dataclasses.dataclass(frozen=True)
class TextOptions:
  """How captions become words.

  Attributes:
    tagger: who tells nouns: 'hanta' (English, German and Dutch), 'spacy:NAME'
      (the language of that spaCy model; the others as with 'hanta') or 'none'
      (lemmas and stop words alone, for all languages).
    language: ISO 639-1 code of all captions; None decides for each account.
    default_language: of accounts with less than `min_letters` letters.
    min_letters: letters of an account from which on its language is decided.
    split_hashtags: whether the words of a hashtag count beside it.
    shortest_word: letters of a word, at least; ideographs are exempt.
    longest_word: letters of a word, at most; what is longer is no word.
    longest_caption: characters of a caption that are read. Instagram allows
      2,200.
  """

  tagger: str = HANTA
  language: str | None = None
  default_language: str = 'en'
  min_letters: int = 40
  split_hashtags: bool = True
  shortest_word: int = 3
  longest_word: int = 40
  longest_caption: int = 10_000

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      UserError: names the field that can't be.
    """
    named = self.tagger.startswith(SPACY) and self.tagger != SPACY
    if self.tagger not in (HANTA, NONE) and not named:
      raise errors.UserError(
        f'tagger: {errors.quoted(self.tagger)} is not one of {HANTA}, {NONE}'
        f' and {SPACY}NAME, as in {SPACY}en_core_web_sm'
      )
    for field in ('language', 'default_language'):
      code = getattr(self, field)
      if code is None and field == 'language':
        continue
      if not re.fullmatch('[a-z]{2,3}', code or ''):
        raise errors.UserError(
          f'{field}: {errors.quoted(code)} is no ISO 639-1 code such as en'
        )
    for field, least in (
      ('min_letters', 0),
      ('shortest_word', 1),
      ('longest_word', self.shortest_word),
      ('longest_caption', 1),
    ):
      if getattr(self, field) < least:
        raise errors.UserError(
          f'{field}: {getattr(self, field)} is less than {least}'
        )


@dataclasses.dataclass(frozen=True)
class VocabularyOptions:
  """Which words are kept.

  Attributes:
    min_accounts: accounts that use a word, at least (SPEC section 2).
    max_share: share of the accounts that use a word, at most: what nearly all
      write tells nobody apart.
    max_words: words, at most; the ones of the most accounts stay.
  """

  min_accounts: int = 3
  max_share: float = 0.5
  max_words: int = 50_000

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      UserError: names the field that can't be.
    """
    if self.min_accounts < 1:
      raise errors.UserError(
        f'min_accounts: {self.min_accounts} is less than 1'
      )
    if not 0 < self.max_share <= 1:
      raise errors.UserError(
        f'max_share: {self.max_share} is not above 0 and at most 1'
      )
    if self.max_words < 1:
      raise errors.UserError(f'max_words: {self.max_words} is less than 1')
