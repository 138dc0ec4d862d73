"""What can be chosen about a preparation."""

from __future__ import annotations

import dataclasses
import pathlib

from morning_jax.core import errors
from morning_jax.features.images import options as image_options
from morning_jax.features.text import options as text_options
from morning_jax.features.topics import options as topic_options


@dataclasses.dataclass(frozen=True)
class PostOptions:
  """Which posts count (SPEC section 1).

  Attributes:
    content: H, the newest posts of an account.
    followers: Q, followers of an account that have a post, at most.
    of_follower: L, the newest posts of a follower.
  """

  content: int = 50
  followers: int = 25
  of_follower: int = 2

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      UserError: names the field that can't be.
    """
    for field in dataclasses.fields(self):
      if getattr(self, field.name) < 1:
        raise errors.UserError(
          f'{field.name}: {getattr(self, field.name)} is less than 1'
        )


@dataclasses.dataclass(frozen=True)
class AttributeOptions:
  """How the nouns of biographies become attributes.

  Attributes:
    min_accounts: training accounts that have an attribute, at least.
    is_a: the table of words and their parents; None takes the one that ships.
    wordnet: folder of WordNet's database, for words that the table lacks; None
      for none.
    own: whether a word that no table has is an attribute of its own where it
      is frequent enough.
  """

  min_accounts: int = 3
  is_a: pathlib.Path | None = None
  wordnet: pathlib.Path | None = None
  own: bool = True

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      UserError: names the field that can't be.
    """
    if self.min_accounts < 1:
      raise errors.UserError(
        f'min_accounts: {self.min_accounts} is less than 1'
      )


@dataclasses.dataclass(frozen=True)
class TopicOptions:
  """How many topics, and how they are learned.

  Attributes:
    content: topics of captions; None chooses among `grid`.
    audience: topics of the audience's captions; None chooses.
    grid: numbers of topics to choose among, ascending.
    vocabulary: which words count.
    lda: how topics are learned.
  """

  content: int | None = None
  audience: int | None = None
  grid: tuple[int, ...] = (8, 12, 16, 20, 24, 30)
  vocabulary: text_options.VocabularyOptions = dataclasses.field(
    default_factory=text_options.VocabularyOptions
  )
  lda: topic_options.LdaOptions = dataclasses.field(
    default_factory=topic_options.LdaOptions
  )

  def of(self, perspective: str) -> int | None:
    """Returns the number of topics of 'content' or 'audience', if given."""
    count: int | None = getattr(self, perspective)
    return count


@dataclasses.dataclass(frozen=True)
class Options:
  """A preparation; what is computed follows from it and the raw folder.

  Attributes:
    posts: which count.
    text: how captions become words.
    topics: how words become topics.
    images: how pictures become features; None leaves pictures out.
    attributes: how biographies become attributes.
    skip_bad: whether posts that are wrong are counted and left out.
  """

  posts: PostOptions = dataclasses.field(default_factory=PostOptions)
  text: text_options.TextOptions = dataclasses.field(
    default_factory=text_options.TextOptions
  )
  topics: TopicOptions = dataclasses.field(default_factory=TopicOptions)
  images: image_options.ImageOptions | None = dataclasses.field(
    default_factory=image_options.ImageOptions
  )
  attributes: AttributeOptions = dataclasses.field(
    default_factory=AttributeOptions
  )
  skip_bad: bool = False


@dataclasses.dataclass(frozen=True)
class Sizes:
  """How the work is cut up; changes no byte of a bundle.

  Attributes:
    profiles: of a shard.
    block_bytes: of the posts' file, read at a time.
  """

  profiles: int = 256
  block_bytes: int = 32 << 20

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      UserError: names the field that can't be.
    """
    if self.profiles < 1:
      raise errors.UserError(f'shard_size: {self.profiles} is less than 1')
    if self.block_bytes < 1:
      raise errors.UserError(f'block_bytes: {self.block_bytes} is less than 1')
