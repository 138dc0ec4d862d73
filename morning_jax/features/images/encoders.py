"""The image encoders by name: one table."""

from __future__ import annotations

from collections.abc import Callable
import difflib
import functools
import re

from morning_jax.core import errors
from morning_jax.features.images import encoder as encoder_lib
from morning_jax.features.images import networks
from morning_jax.features.images import options as options_lib
from morning_jax.features.images import pattern

# (options, the argument behind the name's colon) -> the encoder.
Build = Callable[
  [options_lib.ImageOptions, str | None], encoder_lib.ImageEncoder
]

_ENCODERS: dict[str, Build] = {
  pattern.NAME: pattern.build,
  **{
    name: functools.partial(networks.build, name)
    for network in networks.NETWORKS
    for name in (network, f'{networks.EMBEDDING}-{network}')
  },
}
_NAME = re.compile(r'[a-z][a-z0-9_.-]*')


def register(name: str, build: Build) -> None:
  """Adds an encoder to the table.

  Args:
    name: what `ImageOptions.encoder` calls it: lower-case letters, digits and
      `-`, `_`, `.`.
    build: makes it.

  Raises:
    ValueError: the name can't be used, or is taken.
  """
  if not _NAME.fullmatch(name):
    raise ValueError(f'{name!r} is no name of an encoder')
  if name in _ENCODERS:
    raise ValueError(f'there is an encoder {name!r} already')
  _ENCODERS[name] = build


def names() -> tuple[str, ...]:
  """Returns the names of all encoders."""
  return tuple(_ENCODERS)


def load(options: options_lib.ImageOptions) -> encoder_lib.ImageEncoder:
  """Makes the encoder that options name, with its weights.

  Args:
    options: `encoder`, and what its parts ask for.

  Raises:
    UserError: there is none of that name, or its weights are not there.
  """
  parts = [
    _builder(name)(options, argument)
    for name, argument in split(options.encoder)
  ]
  try:
    return encoder_lib.join(parts)
  except ValueError as e:
    raise errors.UserError(
      f'encoder {errors.quoted(options.encoder)}: {e}'
    ) from None


def split(spec: str) -> list[tuple[str, str | None]]:
  """Splits `NAME[:ARGUMENT]+...`; a `+` inside an argument stays there.

  Returns:
    The name and the argument of each part.
  """
  known = '|'.join(map(re.escape, sorted(_ENCODERS, key=len, reverse=True)))
  parts = []
  for part in re.split(rf'\+(?=(?:{known})(?:[:+]|$))', spec):
    name, colon, argument = part.partition(':')
    parts.append((name, argument if colon else None))
  return parts


def _builder(name: str) -> Build:
  if name in _ENCODERS:
    return _ENCODERS[name]
  near = difflib.get_close_matches(name, _ENCODERS, n=1)
  if near:
    hint = f'did you mean {near[0]}?'
  else:
    plain = [n for n in _ENCODERS if not n.startswith(networks.EMBEDDING)]
    hint = f'there are {", ".join(plain)} and {networks.EMBEDDING}-NETWORK'
  message = f'no image encoder {errors.quoted(name, limit=60)}: {hint}'
  raise errors.UserError(message[:300])
