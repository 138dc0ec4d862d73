"""How every launcher starts: flags, configuration, errors in one line.

A mistake of the user ends in one line on stderr and exit code 2; what may pass
when run again, in one line and 1; `--help` ends with 0, as does a run that was
stopped by SIGTERM after it saved.
"""

from __future__ import annotations

from collections.abc import Callable
import difflib
import functools
import os
import pathlib
import runpy
import sys
from typing import Any, NoReturn

from absl import app
from absl import flags
from absl import logging
import jax
from ml_collections import config_flags

from launch import system_errors
from morning_jax.core import errors

DEFAULT_CONFIG = str(
  pathlib.Path(__file__).resolve().parent.parent / 'configs' / 'morning.py'
)

_COMPILATION_CACHE = flags.DEFINE_string(
  'compilation_cache',
  None,
  'Folder that keeps compiled programs for the next run, of this or any other'
  ' launcher. Example: --compilation_cache=/tmp/jax_cache',
)


def define_config() -> flags.FlagHolder:
  """Defines `--config`; `run` fills in the default configuration."""
  return config_flags.DEFINE_config_file(
    'config',
    None,
    'Configuration file; a variant follows a colon: configs/morning.py:smoke.'
    ' Any field can be overridden: --config.train.epochs=5. The default recipe'
    ' if unset.',
    lock_config=True,
  )


def _load_config(path: str) -> Any:
  file, _, variant = path.partition(':')
  if not pathlib.Path(file).is_file():
    raise errors.UserError(f'--config={path}: no such file {file}')
  try:
    get_config = runpy.run_path(file)['get_config']
    return get_config(variant) if variant else get_config()
  except KeyError:
    raise errors.UserError(f'--config={path}: defines no get_config') from None
  except (ValueError, SyntaxError) as e:
    raise errors.UserError(f'--config={path}: {e}') from None


def _with_config_first(argv: list[str]) -> list[str]:
  """Puts `--config` before its overrides, and checks their names.

  Args:
    argv: the command line.

  Returns:
    The command line with the configuration file's flag in front.

  Raises:
    UserError: no such file, variant or field; lists near names of a field.
  """
  path, rest = DEFAULT_CONFIG, []
  words = iter(argv[1:])
  for word in words:
    name, equals, value = word.partition('=')
    if name in ('--config', '-config'):
      path = value if equals else next(words, '')
    else:
      rest.append(word)
  fields = _flat(_load_config(path).to_dict())
  known = list(fields)
  rest = [_with_names_quoted(word, fields) for word in rest]
  for word in rest:
    name = word.partition('=')[0].lstrip('-')
    name = name.removeprefix('no') if name.startswith('noconfig.') else name
    field = name.removeprefix('config.')
    if field != name and field not in known:
      ends = {k.rpartition('.')[2]: k for k in known}
      near = difflib.get_close_matches(field, known, n=3)
      last = difflib.get_close_matches(field.rpartition('.')[2], ends, n=2)
      near += [ends[k] for k in last if ends[k] not in near]
      hint = f'; near: {", ".join(near)}' if near else ''
      raise errors.UserError(
        f'--{name}: the configuration has no field {field!r}{hint}'
      )
  return [argv[0], f'--config={path}', *rest]


def _with_names_quoted(word: str, fields: dict[str, Any]) -> str:
  """Turns `--config.field=a,b` into a tuple of names, where names belong.

  ml_collections would take `a,b` for one name.
  """
  name, equals, value = word.partition('=')
  default = fields.get(name.lstrip('-').removeprefix('config.'))
  of_names = isinstance(default, tuple) and all(
    isinstance(x, str) for x in default
  )
  if not (equals and of_names and value) or set(value) & set('\'"()[]'):
    return word
  names = tuple(x.strip() for x in value.split(',') if x.strip())
  return f'{name}={names!r}'


def _flat(fields: dict[str, Any], prefix: str = '') -> dict[str, Any]:
  out: dict[str, Any] = {}
  for name, value in fields.items():
    if isinstance(value, dict):
      out.update(_flat(value, f'{prefix}{name}.'))
    else:
      out[prefix + name] = value
  return out


def check_output_file(flag: str, path: str | None) -> None:
  """Checks, before the work, that its result can be written to a file.

  Raises:
    UserError: there is no such folder, or something else than a file is there.
  """
  if not path:
    return
  file = pathlib.Path(path)
  if not file.absolute().parent.is_dir():
    raise errors.UserError(f'--{flag}={path}: its folder does not exist')
  if file.exists() and not file.is_file():  # a folder, or a device
    raise errors.UserError(f'--{flag}={path}: is no file')


def _keep_programs(folder: str) -> None:
  """Keeps every compiled program in a folder, however fast it compiled.

  Raises:
    UserError: the folder can't be made or written.
  """
  try:
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    writable = os.access(folder, os.W_OK)
  except OSError:
    writable = False
  if not writable:
    raise errors.UserError(
      f'--compilation_cache={folder}: is no folder that can be written'
    )
  jax.config.update('jax_compilation_cache_dir', folder)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


def _is_told_twice(record: Any) -> bool:
  """Tells whether Orbax logs an exception that it raises as well."""
  return bool(record.exc_info) and 'orbax' in record.pathname


def _fail(message: str, *, code: int = 2) -> NoReturn:
  print(f'error: {" ".join(message.split())}', file=sys.stderr, flush=True)
  sys.exit(code)


def _fail_for_system(error: Exception) -> None:
  """Ends with one line where the system refused or failed; else returns."""
  found = system_errors.explain(error)
  if found is not None:
    line, code = found
    print(f'error: {line}', file=sys.stderr, flush=True)
    # What is still open would fail once more, each with a traceback.
    os._exit(code)


def _give_up_stdout() -> None:
  """Where stdout can't be written, drops what is left for the end."""
  try:
    sys.stdout.flush()
  except OSError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse_flags(argv: list[str], *, arguments: int = 0) -> list[str]:
  asks_for_help = any(word.startswith(('--help', '-help')) for word in argv)
  try:
    if 'config' in flags.FLAGS and not asks_for_help:
      argv = _with_config_first(argv)
    rest = flags.FLAGS(argv)
  except SystemExit:
    sys.exit(0)  # --help
  except errors.UserError as e:
    _fail(str(e))
  except (flags.Error, AttributeError, TypeError, ValueError, KeyError) as e:
    _fail(f'in the flags: {e.args[0] if e.args else e}; --help shows examples')
  if len(rest) > 1 + arguments:
    _fail(
      f'in the flags: unexpected argument {rest[1 + arguments]!r}; every'
      ' option has the form --name=value'
    )
  return rest


def run(
  main: Callable[[list[str]], int | None], *, arguments: int = 0
) -> NoReturn:
  """Parses the flags and runs `main`; never returns.

  Args:
    main: takes argv and returns the exit code, None for 0. What it raises is
      printed as one line: an `errors.UserError`, and an OSError that names a
      path or a disk that can't be used, with exit code 2; an
      `errors.TransientError`, and an OSError of a mount or a connection, with
      1. Any other exception keeps its traceback.
    arguments: how many words without `--` there may be.
  """

  def guarded(argv: list[str]) -> int | None:
    try:
      if _COMPILATION_CACHE.value:
        _keep_programs(_COMPILATION_CACHE.value)
      code = main(argv)
      sys.stdout.flush()  # here, where it can fail in one line
      return code
    except errors.UserError as e:
      _fail(str(e))
    except errors.TransientError as e:
      _fail(str(e), code=1)
    except KeyboardInterrupt:
      print('stopped from the keyboard', file=sys.stderr)
      sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe went away
      _give_up_stdout()
      return 1
    except Exception as e:
      _give_up_stdout()
      _fail_for_system(e)
      raise

  logging.set_verbosity(logging.ERROR)
  logging.use_absl_handler()
  logging.get_absl_handler().addFilter(lambda r: not _is_told_twice(r))
  app.run(
    guarded,
    flags_parser=functools.partial(_parse_flags, arguments=arguments),
  )
  raise AssertionError('app.run always exits')
