"""An account's captions as one document: a list of words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import re

from morning_jax.features.text import captions as captions_lib
from morning_jax.features.text import hashtags as hashtags_lib
from morning_jax.features.text import languages
from morning_jax.features.text import options as options_lib
from morning_jax.features.text import stop_words
from morning_jax.features.text import taggers

_IDEOGRAPHS = re.compile(f'[{captions_lib.HAN}]{{2}}')


class Tokenizer:
  """Makes documents of captions; made once in each process that does so.

  The words of a document depend on the account's own captions and the options
  alone: neither on other accounts nor on what was asked before.
  """

  def __init__(self, options: options_lib.TextOptions | None = None):
    """Prepares; models of languages are loaded when one first occurs.

    Args:
      options: the defaults if None.

    Raises:
      UserError: a library or model that the options need is not installed.
    """
    self.options = options or options_lib.TextOptions()
    self._languages = languages.Languages(self.options)
    self._hashtags = hashtags_lib.HashtagSplitter()
    self._taggers: dict[str, taggers.Tagger] = {}
    # What is missing is told before anything is read.
    self._tagger(self.options.default_language)
    stop_words.of_language(self.options.default_language)

  def language(self, texts: Iterable[str]) -> str:
    """Returns the ISO 639-1 code of an account's language.

    Args:
      texts: captions or biographies of one account.
    """
    return self._languages.of([self._split(text) for text in texts])

  def tokens(self, captions: Sequence[str]) -> list[str]:
    """Returns the document of an account.

    Captions are brought to one form (NFKC), split into words, lower-cased,
    tagged and lemmatised; stop words go. A hashtag of one word is that word; of
    several, it is itself (`#coffeelover`) and its nouns.

    Args:
      captions: of one account; any strings.

    Returns:
      Lemmas of nouns, and hashtags, in the order of the captions; of each
      caption its hashtags last.
    """
    split = [self._split(caption) for caption in captions]
    language = self._languages.of(split)
    return [
      token
      for caption in split
      for token in (
        *self._nouns(caption.phrases, language),
        *self._of_hashtags(caption.hashtags, language),
      )
    ]

  def nouns(self, text: str, *, language: str | None = None) -> list[str]:
    """Returns the lemmas of a text's nouns, those in its hashtags included.

    Args:
      text: a biography.
      language: ISO 639-1 code; None tells it from the text, or takes the
        default language where that is short.
    """
    split = self._split(text)
    if language is None:
      language = self._languages.of([split])
    tokens = [
      *self._nouns(split.phrases, language),
      *self._of_hashtags(split.hashtags, language),
    ]
    return [token for token in tokens if not token.startswith('#')]

  def _split(self, text: str) -> captions_lib.Caption:
    return captions_lib.split(text, longest=self.options.longest_caption)

  def _tagger(self, language: str) -> taggers.Tagger:
    if language not in self._taggers:
      self._taggers[language] = taggers.make(language, self.options)
    return self._taggers[language]

  def _nouns(
    self, phrases: Iterable[Sequence[str]], language: str
  ) -> Iterator[str]:
    stop = stop_words.of_language(language)
    tagger = self._tagger(language)
    for phrase in phrases:
      # A tagger's time grows with the square of a word's length.
      words = [w.lower() for w in phrase if self._fits(w, least=1)]
      if not words:
        continue
      for lemma in tagger(words):
        if lemma not in stop and self._fits(lemma):
          yield lemma

  def _fits(self, word: str, *, least: int | None = None) -> bool:
    least = self.options.shortest_word if least is None else least
    if _IDEOGRAPHS.match(word):
      least = 1
    return least <= len(word) <= self.options.longest_word

  def _of_hashtags(
    self, hashtags: Iterable[str], language: str
  ) -> Iterator[str]:
    for hashtag in hashtags:
      parts = self._hashtags.words(hashtag, language)
      if len(parts) != 1 and any(map(str.isalpha, hashtag)):
        whole = '#' + hashtag.lower().replace('_', '')
        if self._fits(whole, least=3):
          yield whole
      if self.options.split_hashtags or len(parts) == 1:
        # The parts are English as often as not; what is no noun goes.
        yield from self._nouns([parts], language)
