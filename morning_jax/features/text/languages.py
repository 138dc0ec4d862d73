"""Which language an account writes, by py3langid."""

from __future__ import annotations

from collections.abc import Sequence

from morning_jax.core import errors
from morning_jax.features.text import captions as captions_lib
from morning_jax.features.text import options as options_lib

# Enough to tell a language; more would only take time.
_LONGEST = 5_000


class Languages:
  """Tells languages.

  Two words are too few for any identifier, so a language is decided once for
  all the captions of an account. Hashtags, handles and addresses say nothing:
  many write English hashtags under captions of their own language.
  """

  def __init__(self, options: options_lib.TextOptions):
    """Loads py3langid, unless the language is given.

    Raises:
      UserError: it is not installed.
    """
    self._options = options
    if options.language is None:
      try:
        import py3langid
      except ImportError:
        raise errors.UserError(
          'telling languages needs py3langid: pip install'
          " 'morning_jax[prepare]'; or give the language of all captions"
        ) from None
      self._classify = py3langid.classify

  def of(self, captions: Sequence[captions_lib.Caption]) -> str:
    """Returns the ISO 639-1 code of an account's language.

    Args:
      captions: of one account.
    """
    if self._options.language is not None:
      return self._options.language
    # Lower case: shouting looks like another language.
    text = ' '.join(map(captions_lib.letters, captions))[:_LONGEST].lower()
    if sum(map(str.isalpha, text)) < self._options.min_letters:
      return self._options.default_language
    return str(self._classify(text)[0])
