"""Documents of accounts: languages, nouns, lemmas and hashtags."""

import sys
import types

import pytest

from morning_jax.core import errors
from morning_jax.features.text import documents
from morning_jax.features.text import options as options_lib

ENGLISH = [
  'I love these new sunglasses with my morning coffees in the garden!',
  'Two recipes for dinner: tomatoes, cheeses and fresh herbs. Link in bio',
]
GERMAN = [
  'Ich liebe Rezepte mit Äpfeln und den neuen Kuchen meiner Großmutter',
  'Heute backen wir zusammen ein Brot mit vielen Mandeln und Nüssen',
]
DUTCH = ['Ik hou van mijn nieuwe schoenen en van de koffie in onze stad']
SPANISH = [
  'Hola amigos, hoy les traigo dos recetas de tortilla con patatas y cebolla',
  'Las mejores playas de mi ciudad para los niños y sus madres',
]


@pytest.fixture(scope='module')
def tokenizer():
  return documents.Tokenizer()


@pytest.mark.parametrize(
  ('captions', 'language', 'there', 'not_there'),
  [
    (
      ENGLISH,
      'en',
      'sunglass coffee garden recipe dinner tomato cheese herb',
      'love these new with fresh the two coffees',
    ),
    (GERMAN, 'de', 'rezept apfel kuchen brot nuss', 'ich liebe heute neu mit'),
    (DUTCH, 'nl', 'schoen koffie stad', 'ik hou nieuw mijn de'),
    (SPANISH, 'es', 'receta patata cebolla playa niño', 'con las hoy sus y'),
  ],
)
def test_nouns_of_languages(tokenizer, captions, language, there, not_there):
  assert tokenizer.language(captions) == language
  found = set(tokenizer.tokens(captions))
  assert set(there.split()) <= found
  assert not set(not_there.split()) & found


def test_the_language_is_one_of_all_captions(tokenizer):
  # By itself, 'Gift' is English, and 'hola' is anything.
  assert 'gift' in tokenizer.tokens(['Gift', *GERMAN])
  alone = tokenizer.tokens(['die Äpfel', '#fashion'])
  together = tokenizer.tokens(['die Äpfel', '#fashion', *GERMAN])
  assert 'apfel' not in alone
  assert 'apfel' in together
  assert tokenizer.language(['hola', 'ok']) == 'en'
  # Hashtags, handles and addresses tell nothing of the language.
  tags = ['#love #instagood #photooftheday #fashion @someone http://in.english']
  assert tokenizer.language([*GERMAN, *tags * 9]) == 'de'


def test_a_given_language_holds():
  fixed = documents.Tokenizer(options_lib.TextOptions(language='de'))
  assert fixed.language(ENGLISH) == 'de'
  assert 'apfel' in fixed.tokens(['die Äpfel'])


@pytest.mark.parametrize(
  ('hashtag', 'tokens'),
  [
    ('#coffee', ['coffee']),
    ('#Recipes', ['recipe']),
    ('#coffeelover', ['#coffeelover', 'coffee', 'lover']),
    ('#CoffeeLover', ['#coffeelover', 'coffee', 'lover']),
    ('#coffee_lover', ['#coffeelover', 'coffee', 'lover']),
    ('#cupofcoffee', ['#cupofcoffee', 'cup', 'coffee']),
    ('#ootd', ['#ootd']),
    ('#igers', ['#igers']),
    ('#vidasana', ['#vidasana']),
    ('#2024', []),
    ('#' + 'a' * 99, []),
  ],
)
def test_hashtags(tokenizer, hashtag, tokens):
  assert tokenizer.tokens([hashtag]) == tokens


def test_hashtags_may_stay_whole():
  whole = documents.Tokenizer(options_lib.TextOptions(split_hashtags=False))
  assert whole.tokens(['#coffeelover #coffee']) == ['#coffeelover', 'coffee']


def test_hashtags_of_other_languages_split_by_capitals(tokenizer):
  found = tokenizer.tokens([*SPANISH, '#RecetaDeTortilla #vidaSana'])
  assert '#recetadetortilla' in found
  assert found.count('receta') == 2


def test_captions_are_read_in_order(tokenizer):
  assert tokenizer.tokens(['coffee', '#tea and bread', 'wine']) == [
    'coffee',
    'bread',
    'tea',
    'wine',
  ]


def test_a_document_is_its_own(tokenizer):
  """Neither who came before nor another process changes a word."""
  first = tokenizer.tokens(GERMAN)
  for other in (ENGLISH, SPANISH, DUTCH):
    tokenizer.tokens(other)
  assert tokenizer.tokens(GERMAN) == first
  assert documents.Tokenizer().tokens(GERMAN) == first


@pytest.mark.parametrize(
  'caption',
  [
    *('', '\0', '\u202e\u200f', '😍' * 1000, '\ud83d', "'" * 9, '#', '@', '…'),
    *('a' * 100_000, '#' + 'a' * 100_000, 'é' * 100_000, 'a.' * 500),
  ],
)
def test_captions_without_words_give_none(tokenizer, caption):
  assert tokenizer.tokens([caption]) == []
  assert tokenizer.nouns(caption) == []
  assert tokenizer.tokens([caption, 'coffee']) == ['coffee']


def test_no_captions(tokenizer):
  assert tokenizer.tokens([]) == []
  assert tokenizer.language([]) == 'en'


def test_marks_change_no_word(tokenizer):
  marked = '\u202a' + ENGLISH[0].replace('sun', '\u200bsun\u2060') + '\u202c'
  assert tokenizer.tokens([marked]) == tokenizer.tokens([ENGLISH[0]])


def test_a_hundred_thousand_characters(tokenizer):
  found = tokenizer.tokens(['coffee \0 ' * 11_112])
  assert found == ['coffee'] * 1_111  # the first 10,000 characters


def test_nouns_of_a_biography(tokenizer):
  biography = 'Photographer & coffee lover. Mom of two #skincare'
  assert tokenizer.nouns(biography) == [
    'photographer',
    'coffee',
    'lover',
    'mom',
    'skincare',
  ]
  assert tokenizer.nouns('liebe Äpfel', language='de') == ['apfel']


def test_words_without_a_possible_sequence_of_tags_go_alone(tokenizer):
  from morning_jax.features.text import taggers

  class Stuck:
    def tag_sent(self, *_, **__):
      raise KeyError('no way')

    def tag_word(self, word, **_):
      return [('NN1' if word == 'coffee' else 'AJ0', 0.0)]

  found = taggers._nouns_by_hanta(
    Stuck(), lambda word, tag: word + tag, ['hot', 'coffee']
  )
  assert found == ['coffeeNN1']


def test_hanta_remembers_without_a_difference():
  from HanTa import HanoverTagger

  from morning_jax.features.text import taggers

  plain = HanoverTagger.HanoverTagger('morphmodel_en.pgz')
  words = ENGLISH[0].lower().rstrip('!').split()
  expected = [
    lemma.lower()
    for _, lemma, tag in plain.tag_sent(words, casesensitive=False)
    if tag.startswith(('NN', 'NP0', 'UNC'))
  ]
  for _ in range(2):
    assert taggers.hanta('en')(words) == expected


def test_without_a_tagger_every_lemma_counts():
  none = documents.Tokenizer(options_lib.TextOptions(tagger='none'))
  found = none.tokens(ENGLISH)
  assert {'love', 'garden', 'fresh', 'recipe'} <= set(found)
  assert 'the' not in found


class FakeToken(types.SimpleNamespace):
  pass


class FakeDocument(list):
  def __init__(self, vocab, words):
    super().__init__(words)


class FakePipeline:
  """Takes every word that begins with a b for a noun."""

  lang = 'en'
  vocab = None
  pipe_names = ('tagger', 'lemmatizer')

  def make_doc(self, text):
    return FakeDocument(None, text.replace("'", " '").split())

  def __call__(self, document):
    return [
      FakeToken(
        text=w, lemma_=w.upper(), pos_='NOUN' if w[0] == 'b' else 'VERB'
      )
      for w in document
    ]


@pytest.fixture
def spacy(monkeypatch):
  from morning_jax.features.text import taggers

  def load(name, exclude):
    if name != 'fake':
      raise OSError(f"[E050] Can't find model {name!r}.\nTry downloading it.")
    return FakePipeline()

  module = types.SimpleNamespace(load=load)
  monkeypatch.setitem(sys.modules, 'spacy', module)
  taggers.spacy_pipeline.cache_clear()
  yield module
  taggers.spacy_pipeline.cache_clear()


def test_a_spacy_model_tags_its_own_language(spacy):
  tokenizer = documents.Tokenizer(options_lib.TextOptions(tagger='spacy:fake'))
  assert tokenizer.tokens(["big bread isn't good coffee"]) == ['big', 'bread']
  assert 'apfel' in tokenizer.tokens(GERMAN)


def test_what_spacy_lacks_is_told_in_a_line(spacy, monkeypatch):
  def refused(match):
    with pytest.raises(errors.UserError, match=match) as caught:
      documents.Tokenizer(options_lib.TextOptions(tagger='spacy:other'))
    assert '\n' not in str(caught.value)

  refused("can not load the model 'other'")
  spacy.load = lambda name, exclude: types.SimpleNamespace(pipe_names=())
  refused('has no lemmatizer')
  monkeypatch.setitem(sys.modules, 'spacy', None)
  refused('spaCy is not installed')


@pytest.mark.parametrize('library', ['HanTa', 'py3langid', 'wordninja'])
def test_libraries_that_are_missing_are_named(library, monkeypatch):
  from morning_jax.features.text import taggers

  taggers.hanta.cache_clear()
  monkeypatch.setitem(sys.modules, library, None)
  with pytest.raises(errors.UserError, match=r'morning_jax\[prepare\]'):
    documents.Tokenizer()
  taggers.hanta.cache_clear()


@pytest.mark.parametrize(
  'field',
  [
    {'tagger': 'nltk'},
    {'tagger': 'spacy:'},
    {'language': 'english'},
    {'default_language': ''},
    {'min_letters': -1},
    {'shortest_word': 0},
    {'longest_word': 2},
    {'longest_caption': 0},
  ],
)
def test_options_that_can_not_be(field):
  with pytest.raises(errors.UserError, match=f'^{next(iter(field))}: '):
    options_lib.TextOptions(**field)
