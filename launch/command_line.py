"""How every launcher starts: flags, logging, and errors in one line.

A mistake of the user ends in one line on stderr and exit code 2; `--help` ends
with 0, as does a run that was stopped by SIGTERM after it saved.
"""

from __future__ import annotations

from collections.abc import Callable
import re
import sys
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging

from morning_jax import errors


def _fail(message: str) -> NoReturn:
  print(f'error: {" ".join(message.split())}', file=sys.stderr, flush=True)
  sys.exit(2)


def _flag_message(error: Exception) -> str:
  """Turns what absl and ml_collections raise into one plain line."""
  if isinstance(error, OSError):
    return f'--config: {error.strerror or error}: {error.filename}'
  text = error.args[0] if error.args else str(error)
  text = re.sub(r'^[\'"]+|[\'"]+$', '', str(text))
  return f'in the flags: {text}; --help shows examples'


def _parse_flags(argv: list[str]) -> list[str]:
  try:
    rest = flags.FLAGS(argv)
  except SystemExit:  # --help
    sys.exit(0)
  except errors.UserError as e:
    _fail(str(e))
  except (
    flags.Error,
    AttributeError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
  ) as e:
    _fail(_flag_message(e))
  if len(rest) > 1:
    _fail(
      f'in the flags: unexpected argument {rest[1]!r}; every option has the'
      ' form --name=value'
    )
  return rest


def run(main: Callable[[list[str]], int | None]) -> NoReturn:
  """Parses the flags and runs `main`; never returns.

  Args:
    main: takes argv and returns the exit code, None for 0. A
      `errors.UserError` that it raises is printed as one line, exit code 2.
  """

  def guarded(argv: list[str]) -> int | None:
    try:
      return main(argv)
    except errors.UserError as e:
      _fail(str(e))
    except KeyboardInterrupt:
      print('stopped from the keyboard', file=sys.stderr)
      sys.exit(130)

  logging.set_verbosity(logging.ERROR)
  logging.use_absl_handler()
  app.run(guarded, flags_parser=_parse_flags)
  raise AssertionError('app.run always exits')
