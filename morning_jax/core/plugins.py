"""Code from outside of the package that adds to its tables.

A module that the environment variable names is imported before anything else is
done, by every command and by every process that a command starts:

  MORNING_PLUGINS=my_methods,my_package.losses python -m launch.compare ...

What it does when it is imported is to call the `register` functions of tables
(docs/how-to/extend.md lists them). It is a program, and runs with the user's
rights.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import sys

from morning_jax.core import errors

VARIABLE = 'MORNING_PLUGINS'


def _names() -> list[str]:
  names = (name.strip() for name in os.environ.get(VARIABLE, '').split(','))
  return [name for name in names if name]


def loaded_files() -> dict[str, pathlib.Path]:
  """Lists the files of the loaded modules that `MORNING_PLUGINS` names.

  What such a module imports in turn is not among them.
  """
  found = {}
  for name in _names():
    file = getattr(sys.modules.get(name), '__file__', None)
    if file:
      found[name] = pathlib.Path(file)
  return found


def load() -> None:
  """Imports the modules that `MORNING_PLUGINS` names, those not imported yet.

  Raises:
    UserError: there is no such module, or it fails.
  """
  for name in _names():
    try:
      importlib.import_module(name)
    except errors.UserError:
      raise
    except Exception as e:  # anything that a module can do
      raise errors.UserError(
        f'{VARIABLE}: {errors.quoted(name)} can not be imported:'
        f' {type(e).__name__}: {e}'
      ) from None
