"""The errors whose text is all that the user needs to see, and its parts."""

from __future__ import annotations

import os

_LINE = 300  # characters of a message, at most
_PLACE = 100  # characters that a path keeps in any case


class UserError(Exception):
  """A mistake that the user can mend; its text is the whole message.

  Launchers print it as one line and exit with code 2. The text names the file,
  row or flag at fault and what would be right.
  """


class DivergedError(UserError, FloatingPointError):
  """Training met a number that is not finite.

  It is the user's to mend, by a lower learning rate, and an arithmetic error to
  those that measure several methods and go on with the next.
  """


class TransientError(Exception):
  """A failure of what is around the program; it may pass when run again.

  Launchers print its text as one line and exit with code 75.
  """


def quoted(value: object, *, limit: int = 80) -> str:
  """Quotes a value of the user in at most `limit` characters of one line.

  Args:
    value: what to quote; control characters are escaped.
    limit: how long the result may be, quotes included; what is longer ends in
      `...`.

  Returns:
    The value as Python writes a string.
  """
  text = str(value)
  shown = repr(text[:limit])
  if len(text) <= limit and len(shown) <= limit:
    return shown
  return f'{shown[: limit - 4]}...{shown[0]}'


def in_file(
  path: str | os.PathLike[str], problem: str, *, row: int | None = None
) -> str:
  """Returns a message about a file: one line of at most 300 characters.

  Args:
    path: the file or folder. Where the line is too long, the path loses its
      beginning first, but keeps 100 characters.
    problem: what is wrong and what would be right.
    row: the row at fault, as the user counts them.

  Returns:
    `PATH, row ROW: PROBLEM`.
  """
  problem = ' '.join(problem.split())
  place = '' if row is None else f', row {row}'
  shown = ''.join(
    c if c.isprintable() else repr(c)[1:-1] for c in os.fspath(path)
  )
  room = max(_PLACE, _LINE - len(problem) - len(place) - 2)
  if len(shown) > room:
    shown = '...' + shown[3 - room :]
  line = f'{shown}{place}: {problem}'
  return line if len(line) <= _LINE else line[: _LINE - 3] + '...'
