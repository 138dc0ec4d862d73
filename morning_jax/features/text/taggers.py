"""Nouns and their lemmas: HanTa, simplemma or a spaCy model.

HanTa knows English, German and Dutch. For other languages no tagger comes with
its data; there every word but the stop words is kept, by its lemma. Lemmas are
lower case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
from typing import Any, Protocol

from morning_jax.core import errors
from morning_jax.features.text import options as options_lib

_MODELS = {
  'en': 'morphmodel_en.pgz',
  'de': 'morphmodel_ger.pgz',
  'nl': 'morphmodel_dutch.pgz',
}
# BNC C5 tags, STTS, and the CGN tags of Dutch common and proper nouns; foreign
# and unknown words are taken for nouns: most are (`yoga`, `brunch`, brands).
_NOUNS = ('NN', 'NP0', 'NE', 'N(', 'UNC', 'FM', 'SPEC(vreemd)')
# Languages that py3langid tells apart and simplemma has together, or in part.
_TOGETHER = {'bs': 'hbs', 'hr': 'hbs', 'sr': 'hbs', 'no': 'nb'}
_INSTALL = "pip install 'morning_jax[prepare]'"
_REMEMBERED = 1 << 17  # words whose analysis is kept


class Tagger(Protocol):
  """Tells the nouns of a phrase; of one language."""

  def __call__(self, phrase: Sequence[str]) -> list[str]:
    """Returns the lemmas of a phrase's nouns.

    Args:
      phrase: words, lower case.

    Returns:
      Lemmas, lower case, in the order of the phrase.
    """


def make(language: str, options: options_lib.TextOptions) -> Tagger:
  """Makes the tagger of a language.

  Args:
    language: ISO 639-1 code.
    options: `tagger` is the user's choice.

  Returns:
    The tagger.

  Raises:
    UserError: a library or model that it needs is not installed.
  """
  if options.tagger.startswith(options_lib.SPACY):
    pipeline = spacy_pipeline(options.tagger.removeprefix(options_lib.SPACY))
    if pipeline.lang == language:
      return functools.partial(_nouns_by_spacy, pipeline)
  if options.tagger != options_lib.NONE and language in _MODELS:
    return hanta(language)
  return functools.partial(_lemmas, lemmatizer(), language)


@functools.cache
def hanta(language: str) -> Tagger:
  """Loads HanTa's model of a language.

  Raises:
    UserError: HanTa is not installed.
  """
  try:
    from HanTa import HanoverTagger
  except ImportError:
    raise errors.UserError(f'nouns need HanTa: {_INSTALL}') from None
  tagger: Any = HanoverTagger.HanoverTagger(_MODELS[language])
  # Captions repeat their words, and what is slow, a word's morphemes, depends
  # on nothing but the word.
  remember = functools.lru_cache(maxsize=_REMEMBERED)
  tagger.analyze_forward = remember(tagger.analyze_forward)
  lemma = remember(functools.partial(_lemma_by_hanta, tagger))
  return functools.partial(_nouns_by_hanta, tagger, lemma)


def _nouns_by_hanta(
  tagger: Any, lemma: Callable[[str, str], str], phrase: Sequence[str]
) -> list[str]:
  try:
    tags = tagger.tag_sent(phrase, taglevel=0, casesensitive=False)
  except KeyError:
    # No sequence of tags is possible: each word by itself.
    tags = [_tag_by_hanta(tagger, word) for word in phrase]
  return [
    lemma(word, tag)
    for word, tag in zip(phrase, tags, strict=True)
    if tag.startswith(_NOUNS)
  ]


def _tag_by_hanta(tagger: Any, word: str) -> str:
  found = tagger.tag_word(word, cutoff=0, casesensitive=False)
  return str(found[0][0]) if found else 'UNC'


def _lemma_by_hanta(tagger: Any, word: str, tag: str) -> str:
  return str(tagger.analyze(word, pos=tag)[0]).lower()


@functools.cache
def lemmatizer() -> Callable[[str, str], str]:
  """Loads simplemma.

  Returns:
    A function of a word and an ISO 639-1 code that returns the word's lemma,
    lower case; the word itself where the language is unknown.

  Raises:
    UserError: simplemma is not installed.
  """
  simplemma = _simplemma()

  def lemma(word: str, language: str) -> str:
    language = _TOGETHER.get(language, language)
    try:
      return str(simplemma.lemmatize(word, lang=language)).lower()
    except ValueError:
      return word  # a language that it lacks

  return lemma


@functools.cache
def dictionary() -> Callable[[str, str], bool]:
  """Loads simplemma.

  Returns:
    A function of a word and an ISO 639-1 code that tells whether the language
    has the word; never where the language is unknown.

  Raises:
    UserError: simplemma is not installed.
  """
  simplemma = _simplemma()

  def known(word: str, language: str) -> bool:
    language = _TOGETHER.get(language, language)
    try:
      return bool(simplemma.is_known(word, lang=language))
    except ValueError:
      return False

  return known


def _simplemma() -> Any:
  try:
    import simplemma
  except ImportError:
    raise errors.UserError(f'lemmas need simplemma: {_INSTALL}') from None
  return simplemma


def _lemmas(
  lemma: Callable[[str, str], str], language: str, phrase: Sequence[str]
) -> list[str]:
  return [lemma(word, language) for word in phrase]


@functools.cache
def spacy_pipeline(name: str) -> Any:
  """Loads a spaCy model that is installed; nothing is downloaded.

  Args:
    name: of the model's package, or its folder.

  Returns:
    The pipeline, without the parts that nouns and lemmas don't need.

  Raises:
    UserError: spaCy or the model is not installed, or is no tagger.
  """
  try:
    import spacy
  except ImportError:
    raise errors.UserError(
      f'tagger: spaCy is not installed (pip install spacy), which'
      f' {errors.quoted(options_lib.SPACY + name)} needs'
    ) from None
  try:
    pipeline = spacy.load(name, exclude=['ner', 'textcat', 'entity_linker'])
  except Exception as e:
    # Missing, of another version, broken: many types.
    raise errors.UserError(
      f'tagger: spaCy can not load the model {errors.quoted(name)}'
      f' ({errors.quoted(e)})'
    ) from None
  if 'lemmatizer' not in pipeline.pipe_names:
    raise errors.UserError(
      f'tagger: the spaCy model {errors.quoted(name)} has no lemmatizer'
    )
  return pipeline


def _nouns_by_spacy(pipeline: Any, phrase: Sequence[str]) -> list[str]:
  # Made from our words: the model's own tokenizer would split them anew.
  document = pipeline.make_doc(' '.join(phrase))
  if len(document) != len(phrase):
    document = type(document)(pipeline.vocab, words=list(phrase))
  return [
    (token.lemma_ or token.text).lower()
    for token in pipeline(document)
    if token.pos_ in ('NOUN', 'PROPN')
  ]
