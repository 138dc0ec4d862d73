"""The nouns of biographies."""

from __future__ import annotations

import dataclasses
import functools
import pathlib

from morning_jax.features.stages import store
from morning_jax.features.stages import task as task_lib
from morning_jax.features.steps import words as words_lib
from morning_jax.features.text import options as text_options


@dataclasses.dataclass(frozen=True)
class Nouns(task_lib.Task):
  """Tells the nouns of biographies.

  Attributes:
    biographies: a stored result with `biographies`, one an account.
    shard_size: accounts of a shard.
    options: how a text becomes words.
  """

  biographies: pathlib.Path
  shard_size: int
  options: text_options.TextOptions

  @property
  def name(self) -> str:
    """See `Task`."""
    return 'reading biographies'

  def result(self, shard: int) -> store.Values:
    """Returns the nouns of each account of the shard."""
    texts = _biographies(self.biographies)
    first = shard * self.shard_size
    tell = words_lib.tokenizer(self.options)
    return {
      'nouns': [
        tell.nouns(text) if text else []
        for text in texts[first : first + self.shard_size]
      ]
    }


@functools.lru_cache(1)
def _biographies(path: pathlib.Path) -> list[str]:
  with store.Shard(path) as stored:
    found: list[str] = stored['biographies']
    return found
