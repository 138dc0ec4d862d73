"""What the TFDS builder prepares from: a world, or a bundle's folder.

A fingerprint tells whether a prepared copy was made from the source of now.
"""

from __future__ import annotations

import hashlib
import os
import pathlib

from morning_jax.core import errors
from morning_jax.data.synthetic import features as features_lib
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib


def fingerprint_world(world: world_options.World) -> str:
  """Returns a digest that changes with the world and with its generator.

  Args:
    world: what is generated.

  Returns:
    32 hexadecimal digits.
  """
  digest = hashlib.blake2b(digest_size=16)
  for source in (
    world_lib.__file__,
    features_lib.__file__,
    world_options.__file__,
  ):
    digest.update(pathlib.Path(source).read_bytes())
  digest.update(repr(world).encode())
  return digest.hexdigest()


def fingerprint_folder(folder: pathlib.Path) -> str:
  """Returns a digest of the names and bytes of a bundle's files.

  Args:
    folder: the bundle.

  Returns:
    32 hexadecimal digits.
  """
  digest = hashlib.blake2b(digest_size=16)
  for path in sorted(folder.iterdir()):
    if path.is_file():
      with path.open('rb') as f:
        content = hashlib.file_digest(f, 'blake2b').digest()
      digest.update(path.name.encode() + b'\0' + content)
  return digest.hexdigest()


def find_bundle(manual_dir: str | os.PathLike[str]) -> pathlib.Path:
  """Finds the bundle: the folder itself, or the one bundle in it.

  Args:
    manual_dir: the manual directory.

  Returns:
    The bundle's folder.

  Raises:
    UserError: there is no bundle, or more than one.
  """
  manual = pathlib.Path(manual_dir).expanduser()
  if not manual.is_dir():
    raise errors.UserError(
      f'manual_dir {manual}: no such folder; name the bundle, or a folder that'
      ' holds it'
    )
  if (manual / 'accounts.csv').exists():
    return manual
  found = sorted(p.parent for p in manual.glob('*/accounts.csv'))
  if len(found) != 1:
    what = ', '.join(p.name for p in found) if found else 'no bundle'
    raise errors.UserError(
      f'manual_dir {manual}: holds {what}; one folder with accounts.csv is'
      ' needed'
    )
  return found[0]
