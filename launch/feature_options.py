"""Flags that say how posts become features."""

from __future__ import annotations

import dataclasses
import pathlib

from absl import flags

from morning_jax.core import errors
from morning_jax.features import options as options_lib
from morning_jax.features.images import options as image_options
from morning_jax.features.text import options as text_options
from morning_jax.features.topics import options as topic_options

_POSTS = options_lib.PostOptions()
_TEXT = text_options.TextOptions()
_WORDS = text_options.VocabularyOptions()
_LDA = topic_options.LdaOptions()
_IMAGES = image_options.ImageOptions()
_POSTS_OF = {
  name: flags.DEFINE_integer(flag, default, text, lower_bound=1)
  for name, flag, default, text in (
    ('content', 'posts', _POSTS.content, 'Newest posts of an account.'),
    (
      'followers',
      'followers',
      _POSTS.followers,
      'Followers of an account, the first ones that have posts.',
    ),
    (
      'of_follower',
      'follower_posts',
      _POSTS.of_follower,
      'Newest posts of a follower.',
    ),
  )
}
_TAGGER = flags.DEFINE_string(
  'tagger',
  _TEXT.tagger,
  'Who tells nouns: hanta, none, or spacy:NAME. Example:'
  ' --tagger=spacy:en_core_web_sm',
)
_LANGUAGE = flags.DEFINE_string(
  'language', None, 'Language of all captions; each account by itself if unset.'
)
_MIN_COUNT = flags.DEFINE_integer(
  'min_count',
  _WORDS.min_accounts,
  'Training accounts that use a word of a topic, at least.',
)
_MAX_SHARE = flags.DEFINE_float(
  'max_share',
  _WORDS.max_share,
  'Share of the training accounts that use a word of a topic, at most.',
)
_TOPICS, _AUDIENCE_TOPICS = (
  flags.DEFINE_string(
    name, 'auto', f'{text}: a number, or auto. Example: --{name}={example}'
  )
  for name, text, example in (
    ('topics', 'Topics of captions', 22),
    ('audience_topics', "Topics of the audience's captions", 21),
  )
)
_GRID = flags.DEFINE_list(
  'topic_grid',
  list(map(str, options_lib.TopicOptions.grid)),
  'Of auto: the numbers of topics to choose among.',
)
_PASSES = flags.DEFINE_integer(
  'passes', _LDA.passes, 'Passes over the documents to learn topics.'
)
_SEED = flags.DEFINE_integer('seed', _LDA.seed, 'Seed of the topics.')
_ENCODER = flags.DEFINE_string(
  'image_encoder',
  _IMAGES.encoder,
  'What sees pictures (docs/prepare.md has the table); none leaves pictures'
  ' out. Example: --image_encoder=pattern:60,24',
)
_WEIGHTS = flags.DEFINE_string(
  'weights', None, 'Folder of the weights of image encoders.'
)
_DOWNLOAD = flags.DEFINE_bool(
  'download', False, 'Download weights that are not in the folder.'
)
_THRESHOLD = flags.DEFINE_float(
  'threshold',
  _IMAGES.threshold,
  'Confidence below which a class of a picture does not count.',
  lower_bound=0.0,
  upper_bound=1.0,
)
_MIN_ATTRIBUTE = flags.DEFINE_integer(
  'min_attribute',
  options_lib.AttributeOptions.min_accounts,
  'Training accounts that have an attribute, at least.',
)
_IS_A = flags.DEFINE_string(
  'is_a', None, 'Table word,parent of biographies; the one that ships if unset.'
)
_WORDNET = flags.DEFINE_string(
  'wordnet', None, "Folder of WordNet's data.noun and index.noun."
)
# What --fitted decides.
LEARNED = (
  *('posts', 'followers', 'follower_posts', 'tagger', 'language', 'min_count'),
  *('max_share', 'topics', 'audience_topics', 'topic_grid', 'passes', 'seed'),
  *('threshold', 'min_attribute', 'is_a', 'wordnet'),
)


def defined() -> list[flags.Flag]:
  """Returns all flags of this module."""
  return flags.FLAGS.get_flags_for_module(__name__)


def _number(flag: str, text: str, *, least: int = 2) -> int:
  if not (text.isascii() and text.isdigit()) or len(text) > 6:
    raise errors.UserError(
      f'--{flag}={errors.quoted(text, limit=40)}: is no whole number'
    )
  if int(text) < least:
    raise errors.UserError(f'--{flag}={text}: is less than {least}')
  return int(text)


def _topics(flag: str, text: str) -> int | None:
  return None if text == 'auto' else _number(flag, text)


def options(*, skip_bad: bool) -> options_lib.Options:
  """Returns what the flags say.

  Args:
    skip_bad: whether posts that are wrong are counted and left out.

  Raises:
    UserError: a flag's value is none.
  """
  images = None
  if _ENCODER.value != 'none':
    images = image_options.ImageOptions(
      encoder=_ENCODER.value,
      weights=_WEIGHTS.value,
      download=_DOWNLOAD.value,
      threshold=_THRESHOLD.value,
    )
  grid = sorted({_number('topic_grid', text) for text in _GRID.value})
  if not grid:
    raise errors.UserError('--topic_grid: names no number')
  return options_lib.Options(
    posts=options_lib.PostOptions(
      **{name: flag.value for name, flag in _POSTS_OF.items()}
    ),
    text=dataclasses.replace(
      _TEXT, tagger=_TAGGER.value, language=_LANGUAGE.value
    ),
    topics=options_lib.TopicOptions(
      content=_topics('topics', _TOPICS.value),
      audience=_topics('audience_topics', _AUDIENCE_TOPICS.value),
      grid=tuple(grid),
      vocabulary=dataclasses.replace(
        _WORDS, min_accounts=_MIN_COUNT.value, max_share=_MAX_SHARE.value
      ),
      lda=dataclasses.replace(_LDA, passes=_PASSES.value, seed=_SEED.value),
    ),
    images=images,
    attributes=options_lib.AttributeOptions(
      min_accounts=_MIN_ATTRIBUTE.value,
      is_a=pathlib.Path(_IS_A.value) if _IS_A.value else None,
      wordnet=pathlib.Path(_WORDNET.value) if _WORDNET.value else None,
    ),
    skip_bad=skip_bad,
  )
