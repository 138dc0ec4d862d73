"""`--config`: a configuration file, its variant, overrides of its fields."""

from __future__ import annotations

from collections.abc import Mapping
import difflib
import pathlib
import runpy
import traceback
from typing import Any

from absl import flags
import ml_collections
from ml_collections import config_flags

from morning_jax.core import errors

DEFAULT = str(
  pathlib.Path(__file__).resolve().parent.parent / 'configs' / 'morning.py'
)
_MOST_NAMED = 5  # fields in a message
# Where ml_collections looks for overrides: not in `sys.argv`, whose order is
# that of the user. `complete` fills it.
_ARGV: list[str] = []


def define_config() -> flags.FlagHolder:
  """Defines `--config`; `complete` fills in the default configuration."""
  return config_flags.DEFINE_config_file(
    'config',
    None,
    'Configuration file; a variant follows a colon: configs/morning.py:smoke.'
    ' Any field can be overridden: --config.train.epochs=5. The default recipe'
    ' if unset.',
    lock_config=True,
    sys_argv=_ARGV,
  )


def complete(argv: list[str]) -> list[str]:
  """Puts `--config` before its overrides, and checks the names of all fields.

  Args:
    argv: the command line.

  Returns:
    The command line with the configuration file's flag in front.

  Raises:
    UserError: no such file, variant or field; lists near names of a field. Or
      the file can't be run, or defines another configuration than
      configs/morning.py does.
  """
  path, rest = DEFAULT, []
  words = iter(argv[1:])
  for word in words:
    name, equals, value = word.partition('=')
    if name in ('--config', '-config'):
      path = value if equals else next(words, '')
    else:
      rest.append(word)
  path = _installed(path)
  fields = flat(_load(path))
  if path.partition(':')[0] != DEFAULT:
    _check_complete(path, fields)
  rest = [_with_names_quoted(word, fields) for word in rest]
  for word in rest:
    _check_name(word, fields)
  _ARGV[:] = [argv[0], f'--config={path}', *rest]
  return list(_ARGV)


def _installed(path: str) -> str:
  """Takes `configs/NAME.py` as it was installed, where there is none here."""
  file, colon, variant = path.partition(':')
  beside = pathlib.Path(DEFAULT).with_name(pathlib.PurePath(file).name)
  if (
    str(pathlib.PurePath(file).parent) == beside.parent.name
    and not pathlib.Path(file).exists()
    and beside.is_file()
  ):
    return f'{beside}{colon}{variant}'
  return path


def _load(path: str) -> Mapping[str, Any]:
  """Runs a configuration file and returns its fields, nested."""
  file, _, variant = path.partition(':')
  if not pathlib.Path(file).is_file():
    raise errors.UserError(f'--config={path}: no such file {file}')
  try:
    get_config = runpy.run_path(file).get('get_config')
    if not callable(get_config):
      raise errors.UserError(f'--config={path}: defines no get_config')
    config = get_config(variant) if variant else get_config()
  except errors.UserError:
    raise
  except (ValueError, OSError) as e:
    raise errors.UserError(f'--config={path}: {e}') from None
  except (Exception, SystemExit) as e:  # anything that a file can do
    rows = [
      frame.lineno
      for frame in traceback.extract_tb(e.__traceback__)
      if frame.filename == file
    ]
    where = f'row {rows[-1]}: ' if rows else ''
    raise errors.UserError(
      f'--config={path}: {where}{type(e).__name__}: {e}'
    ) from None
  if not isinstance(config, ml_collections.ConfigDict):
    raise errors.UserError(
      f'--config={path}: get_config returns no ConfigDict but a'
      f' {type(config).__name__}'
    )
  return config.to_dict()


def flat(fields: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Returns field -> value of nested ones: `{'train.epochs': 40}`."""
  out: dict[str, Any] = {}
  for name, value in fields.items():
    if isinstance(value, dict):
      out.update(flat(value, f'{prefix}{name}.'))
    else:
      out[prefix + name] = value
  return out


def _check_complete(path: str, fields: Mapping[str, Any]) -> None:
  """Checks that a file has the fields of configs/morning.py, and their types.

  Raises:
    UserError: names the fields that it lacks, has besides, or has wrong.
  """
  known = flat(_load(DEFAULT))
  for names, verb in (
    ([k for k in known if k not in fields], 'lacks'),
    ([k for k in fields if k not in known], 'has an unknown'),
  ):
    if names:
      shown = ', '.join(names[:_MOST_NAMED])
      more = len(names) - _MOST_NAMED
      raise errors.UserError(
        f'--config={path}: {verb} {shown}'
        f'{f" and {more} more" if more > 0 else ""}; configs/morning.py has all'
        ' fields, and a file of your own may change what its get_config returns'
      )
  for name, value in fields.items():
    want: type = type(known[name])
    if known[name] is None:  # a text that may be left out
      want = str
    if type(value) is want or (value is None and known[name] is None):
      continue
    if want is float and type(value) is int:
      continue
    raise errors.UserError(
      f'--config={path}: {name}={value!r} is of type {type(value).__name__},'
      f' must be {want.__name__}'
    )


def _check_name(word: str, fields: Mapping[str, Any]) -> None:
  """Checks that an override names a field.

  Raises:
    UserError: lists near names.
  """
  name = word.partition('=')[0].lstrip('-')
  name = name.removeprefix('no') if name.startswith('noconfig.') else name
  field = name.removeprefix('config.')
  if field == name or field in fields:
    return
  ends = {k.rpartition('.')[2]: k for k in fields}
  near = difflib.get_close_matches(field, fields, n=3)
  last = difflib.get_close_matches(field.rpartition('.')[2], ends, n=2)
  near += [ends[k] for k in last if ends[k] not in near]
  hint = f'; near: {", ".join(near)}' if near else ''
  raise errors.UserError(
    f'--{name}: the configuration has no field {field!r}{hint}'
  )


def _with_names_quoted(word: str, fields: Mapping[str, Any]) -> str:
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
