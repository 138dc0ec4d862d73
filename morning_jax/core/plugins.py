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

from morning_jax.core import errors

VARIABLE = 'MORNING_PLUGINS'


def load() -> None:
  """Imports the modules that `MORNING_PLUGINS` names, those not imported yet.

  Raises:
    UserError: there is no such module, or it fails.
  """
  for name in os.environ.get(VARIABLE, '').split(','):
    if not name.strip():
      continue
    try:
      importlib.import_module(name.strip())
    except errors.UserError:
      raise
    except Exception as e:  # anything that a module can do
      raise errors.UserError(
        f'{VARIABLE}: {errors.quoted(name.strip())} can not be imported:'
        f' {type(e).__name__}: {e}'
      ) from None
