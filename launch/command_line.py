"""How every launcher starts and ends: flags, errors in one line, exit codes.

| code | what it says |
| --- | --- |
| 0 | done; or stopped by SIGTERM, with what is done so far stored, and said how to go on; or `--help` |
| 1 | a bug, with its traceback; of `launch.compile`, that a step does not fit; or the reader of stdout went away |
| 2 | a mistake that the user can mend, in one line |
| 75 | a failure that may pass when the same command is run again, in one line: a mount, a connection, another process that is gone |
| 130 | stopped by Ctrl-C, in one line |

`launch/pod.sh` starts a command again for every code but 0 and 2. SIGTERM is
what a machine that is taken away sends: training, cross-validation and
comparisons store what they have and end with 0. The other commands have nothing
to store, and are ended by it as any program is.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import logging as python_logging
import math
import os
import pathlib
import signal
import sys
import traceback
from types import FrameType
from typing import Any, NoReturn

from absl import app
from absl import flags
from absl import logging
import jax

import launch
from launch import config_file
from launch import devices
from launch import standard_streams
from launch import supervised
from launch import system_errors
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import plugins

MISTAKE = 2
TRY_AGAIN = 75
_LONGEST = 300  # of an error's line

define_config = config_file.define_config

_COMPILATION_CACHE = flags.DEFINE_string(
  'compilation_cache',
  None,
  'Folder that keeps compiled programs for the next run, of this or any other'
  ' launcher. Example: --compilation_cache=/tmp/jax_cache',
)


def check_output_files(**paths: str | None) -> None:
  """Tries, before the work, whether its results can be written.

  Args:
    **paths: flag -> the file that it names, if any.

  Raises:
    UserError: one can't be written, something else than a file is there, or two
      flags name the same file.
  """
  flag_of: dict[str, str] = {}
  for flag, path in paths.items():
    if not path:
      continue
    file = pathlib.Path(path)
    try:
      if not file.absolute().parent.is_dir():
        raise errors.UserError(f'--{flag}={path}: its folder does not exist')
      if file.exists() and not file.is_file():  # a folder, or a device
        raise errors.UserError(f'--{flag}={path}: is no file')
      files.check_writable(file)
    except (OSError, ValueError) as e:
      reason = getattr(e, 'strerror', None) or e
      raise errors.UserError(f'--{flag}={path}: {reason}') from None
    other = flag_of.setdefault(os.path.realpath(file), flag)
    if other != flag:
      raise errors.UserError(
        f'--{flag}={path}: is the file that --{other} names too'
      )


def refuse(
  meaningless: Sequence[flags.FlagHolder[Any] | flags.Flag], why: str
) -> None:
  """Refuses flags that would be passed over in silence.

  Args:
    meaningless: what must not be asked for, next to the others.
    why: goes on from "--flag says nothing".

  Raises:
    UserError: one of them has another value than its default.
  """
  for flag in meaningless:
    if flag.value not in (flag.default, []):
      raise errors.UserError(f'--{flag.name} says nothing {why}')


def _keep_programs(folder: str) -> None:
  """Keeps every compiled program in a folder, however fast it compiled.

  Raises:
    UserError: the folder can't be made or written.
  """
  try:
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    files.check_writable(pathlib.Path(folder, 'program'))
  except OSError as e:
    raise errors.UserError(
      f'--compilation_cache={folder}: is no folder that can be written:'
      f' {e.strerror or e}'
    ) from None
  jax.config.update('jax_compilation_cache_dir', folder)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


def _is_told_twice(record: Any) -> bool:
  """Tells whether Orbax logs an exception that it raises as well."""
  return bool(record.exc_info) and 'orbax' in record.pathname


def _one_line(text: str) -> str:
  """Returns text without line ends, control characters and lone surrogates."""
  line = ' '.join(text.split())
  if not line.isprintable():
    line = ''.join(
      c
      if c.isprintable()
      else c.encode('unicode_escape', 'backslashreplace').decode()
      for c in line
    )
  if len(line) > _LONGEST:
    line = f'{line[: _LONGEST - 105]} ... {line[-100:]}'
  return line


def _fail(message: str, *, code: int = MISTAKE) -> NoReturn:
  line = _one_line(message)
  print(_one_line(f'error: {line}'), file=sys.stderr, flush=True)
  supervised.leave(code, line)
  sys.exit(code)


def _fail_for_system(error: Exception) -> None:
  """Ends with one line where the system refused or failed; else returns."""
  found = system_errors.explain(error)
  if found is not None:
    line, code = found
    if code != MISTAKE:
      code = TRY_AGAIN
    print(_one_line(f'error: {line}'), file=sys.stderr, flush=True)
    supervised.leave(code, _one_line(line))
    # What is still open would fail once more, each with a traceback.
    supervised.end(code)


def _parse_flags(argv: list[str], *, arguments: int = 0) -> list[str]:
  asks_for_help = any(word.startswith(('--help', '-help')) for word in argv)
  try:
    for word in argv:
      _check_word(word)
    plugins.load()
    if 'config' in flags.FLAGS and not asks_for_help:
      argv = config_file.complete(argv)
    rest = flags.FLAGS(argv)
  except SystemExit:
    sys.exit(0)  # --help
  except errors.UserError as e:
    _fail(str(e))
  except Exception as e:  # of absl, ml_collections and their parsers
    text = e.args[0] if e.args else repr(e)
    _fail(f'in the flags: {text}; --help shows examples')
  if len(rest) > 1 + arguments:
    _fail(
      f'in the flags: unexpected argument {rest[1 + arguments]!r}; every'
      ' option has the form --name=value'
    )
  for name in flags.FLAGS:
    flag = flags.FLAGS[name]
    if flag.present and flag.value in ('', [], ()):
      _fail(f'--{name}=: is empty; leave the flag out for its default')
    # Nothing is below or above NaN: absl's bounds let it pass.
    if isinstance(flag.value, float) and not math.isfinite(flag.value):
      _fail(f'--{name}={flag.value} is not finite')
  return rest


def _check_word(word: str) -> None:
  """Checks that a word of the command line is text.

  Raises:
    UserError: it can't be written into a file or a path.
  """
  try:
    word.encode()
  except UnicodeEncodeError:
    shown = os.fsencode(word).decode(errors='backslashreplace')
    raise errors.UserError(f'in the flags: {shown} is not UTF-8') from None
  if '\0' in word:
    raise errors.UserError(f'in the flags: {word} holds a NUL')


class _CtrlC:
  """Raises KeyboardInterrupt at the first Ctrl-C, and ends at the second."""

  def __init__(self) -> None:
    self.said = False
    # Where it is ignored, as in the background of a script, it stays so.
    if signal.getsignal(signal.SIGINT) in (
      signal.default_int_handler,
      launch.end_at_once,
    ):
      signal.signal(signal.SIGINT, self._first)

  def _first(self, number: int, frame: FrameType | None) -> None:
    del number, frame
    self.end_at_the_next()
    raise KeyboardInterrupt

  def end_at_the_next(self) -> None:
    """Has the next Ctrl-C end the process, whatever it cleans up."""
    if callable(signal.getsignal(signal.SIGINT)):
      signal.signal(signal.SIGINT, self._end)

  def _end(self, number: int, frame: FrameType | None) -> None:
    if self.said:
      os._exit(130)
    launch.end_at_once(number, frame)


def run(
  main: Callable[[list[str]], int | None], *, arguments: int = 0
) -> NoReturn:
  """Parses the flags and runs `main`; never returns.

  Args:
    main: takes argv and returns the exit code, None for 0. What it raises is
      printed as one line: an `errors.UserError`, and an OSError that names a
      path or a disk that can't be used, with exit code 2; an
      `errors.TransientError`, and an OSError of a mount or a connection, with
      75. Any other exception keeps its traceback.
    arguments: how many words without `--` there may be.
  """

  def guarded(argv: list[str]) -> int | None:
    ctrl_c = _CtrlC()
    try:
      devices.look_for_present_ones()
      if _COMPILATION_CACHE.value:
        _keep_programs(_COMPILATION_CACHE.value)
      code = main(argv)
      sys.stdout.flush()  # here, where it can fail in one line
      ctrl_c.end_at_the_next()
      return code
    except errors.UserError as e:
      _fail(str(e))
    except errors.TransientError as e:
      _fail(str(e), code=TRY_AGAIN)
    except KeyboardInterrupt:
      ctrl_c.said = True
      print('stopped from the keyboard', file=sys.stderr, flush=True)
      supervised.leave(130, 'stopped from the keyboard')
      sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe went away
      standard_streams.give_up(sys.stdout)
      supervised.leave(1, 'the reader of its stdout went away')
      return 1
    except Exception as e:
      standard_streams.give_up(sys.stdout)
      supervised.wait_for_news()
      _fail_for_system(e)
      if supervised.is_active():
        traceback.print_exc()
        supervised.leave(1, _one_line(f'{type(e).__name__}: {e}'))
      raise

  try:
    standard_streams.prepare()
  except errors.UserError as e:
    _fail(str(e))
  logging.set_verbosity(logging.ERROR)
  # Orbax's import adds one, which would print all that the next drops.
  python_logging.root.handlers.clear()
  logging.use_absl_handler()
  logging.get_absl_handler().addFilter(lambda r: not _is_told_twice(r))
  app.run(
    guarded,
    flags_parser=functools.partial(_parse_flags, arguments=arguments),
  )
  raise AssertionError('app.run always exits')
