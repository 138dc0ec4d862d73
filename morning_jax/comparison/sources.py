"""Which source files a module depends on, read from the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
import pathlib

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PACKAGE = __name__.partition('.')[0]


def _file(module: str) -> pathlib.Path | None:
  """Returns the file of a module of this package; None where there is none."""
  path = _ROOT.joinpath(*module.split('.'))
  for file in (path / '__init__.py', path.with_suffix('.py')):
    if file.is_file():
      return file
  return None


def _imported(source: str) -> Iterator[str]:
  """Lists what a module imports, also inside functions, as dotted names."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
      # What is imported from a package may be a module.
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def closure(module: str) -> dict[str, pathlib.Path]:
  """Lists the modules of this package that a module needs, and itself.

  Args:
    module: its dotted name.

  Returns:
    Dotted name -> file, in alphabetical order. A module that is imported by a
    name that is made at run time is not seen.
  """
  found: dict[str, pathlib.Path] = {}
  left = [module]
  while left:
    name = left.pop()
    # Importing a module imports the packages that it lies in.
    while name.partition('.')[0] == _PACKAGE and name not in found:
      file = _file(name)
      if file is not None:
        found[name] = file
        left += _imported(file.read_text('utf-8'))
      name = name.rpartition('.')[0]
  return dict(sorted(found.items()))
