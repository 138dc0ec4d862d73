"""Pictures that posts name: files of the raw folder and no others."""

from __future__ import annotations

import os
import pathlib

from morning_jax.core import errors

_LONGEST = 1_000  # characters


def check(root: str, name: object) -> str:
  """Checks that a picture lies in the raw folder; it need not exist.

  Args:
    root: the raw folder without links (`os.path.realpath`).
    name: its path from there, such as `images/a.jpg`.

  Returns:
    The path as it is stored: with slashes, nothing superfluous.

  Raises:
    ValueError: it is no such path, or leads out of the folder, be it by a link.
  """
  shown = errors.quoted(name)
  if not isinstance(name, str) or not name or '\0' in name:
    raise ValueError(f'picture {shown} is no path')
  if len(name) > _LONGEST:
    raise ValueError(f'picture {shown} has more than {_LONGEST:,} characters')
  if '://' in name:
    raise ValueError(
      f'picture {shown} is an address; pictures are files of the raw folder'
    )
  path = pathlib.PurePosixPath(name)
  if '\\' in name:
    raise ValueError(f'picture {shown} has backslashes; write a/b.jpg')
  if path.is_absolute() or '..' in path.parts:
    raise ValueError(f'picture {shown} leads out of the raw folder')
  try:
    real = os.path.realpath(os.path.join(root, name))
  except (OSError, ValueError):
    raise ValueError(f'picture {shown} is no path') from None
  if os.path.commonpath((root, real)) != root:
    raise ValueError(f'picture {shown} is a link out of the raw folder')
  return str(path)
