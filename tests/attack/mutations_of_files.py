"""Mutations of the files themselves: what has the name of one, and where."""

import os
import shutil
import socket

from tests.attack.mutation import FILES
from tests.attack.mutation import READ
from tests.attack.mutation import REFUSED
from tests.attack.mutation import kind
from tests.attack.mutation import pick


def _remove(path):
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)


@kind('files', REFUSED)
def required_file_missing(folder, rng):
  _remove(
    folder / pick(rng, ['accounts.csv', 'interactions.csv', 'attributes.csv'])
  )


@kind('files', READ)
def optional_file_missing(folder, rng):
  needed = ('accounts.csv', 'interactions.csv', 'attributes.csv')
  for name in FILES:
    if name not in needed and rng.integers(2):
      _remove(folder / name)


@kind('files', REFUSED)
def no_feature_at_all(folder, rng):
  del rng
  for name in FILES:
    if name not in ('accounts.csv', 'interactions.csv', 'planted.npy'):
      _remove(folder / name)


@kind('files', REFUSED)
def link_to_nothing(folder, rng):
  path = folder / pick(rng, FILES)
  _remove(path)
  path.symlink_to(pick(rng, ['nothing', '/nothing', '../nothing/at/all', '?']))


@kind('files', REFUSED)
def link_to_itself(folder, rng):
  path = folder / pick(rng, FILES)
  _remove(path)
  if rng.integers(2):
    path.symlink_to(path.name)
  else:
    path.symlink_to('one')
    (folder / 'one').symlink_to(path.name)


@kind('files', READ)
def link_to_a_file(folder, rng):
  path = folder / pick(rng, FILES)
  path.rename(folder / 'elsewhere')
  if rng.integers(2):
    path.symlink_to('elsewhere')
  else:
    os.link(folder / 'elsewhere', path)


@kind('files', REFUSED)
def link_to_a_device(folder, rng):
  path = folder / pick(rng, FILES)
  _remove(path)
  path.symlink_to(
    pick(rng, ['/dev/zero', '/dev/null', '/dev/tty', '/dev/full'])
  )


@kind('files', REFUSED)
def pipe(folder, rng):
  path = folder / pick(rng, FILES)
  _remove(path)
  if rng.integers(2):
    os.mkfifo(path)
  else:
    os.mkfifo(folder / 'pipe')
    path.symlink_to('pipe')


@kind('files', REFUSED)
def unix_socket(folder, rng):
  path = folder / pick(rng, FILES)
  _remove(path)
  with socket.socket(socket.AF_UNIX) as s:
    # The address of a socket is short; the path of a test need not be.
    handle = os.open(folder, os.O_RDONLY)
    try:
      s.bind(f'/proc/self/fd/{handle}/{path.name}')
    finally:
      os.close(handle)


@kind('files', REFUSED)
def folder_in_place_of_a_file(folder, rng):
  path = folder / pick(rng, FILES)
  _remove(path)
  if rng.integers(2):
    path.mkdir()
  else:
    path.symlink_to(pick(rng, ['.', '..', '/', '/proc']))


@kind('files', REFUSED)
def sparse_file(folder, rng):
  """A hundred gigabytes of NUL bytes that take no space on the disk."""
  path = folder / pick(rng, FILES)
  _remove(path)
  path.touch()
  os.truncate(path, 100 << 30)


@kind('files', REFUSED)
def files_exchanged(folder, rng):
  one = pick(rng, FILES)
  other = pick(rng, [f for f in FILES if f[-3:] != one[-3:]])
  (folder / one).rename(folder / 'kept')
  (folder / other).rename(folder / one)
  (folder / 'kept').rename(folder / other)


@kind('files', REFUSED)
def folder_missing(folder, rng):
  del rng
  shutil.rmtree(folder)


@kind('files', REFUSED)
def file_in_place_of_the_folder(folder, rng):
  content = (folder / pick(rng, FILES)).read_bytes()
  shutil.rmtree(folder)
  folder.write_bytes(content)


@kind('files', REFUSED)
def folder_that_is_no_folder(folder, rng):
  shutil.rmtree(folder)
  match int(rng.integers(4)):
    case 0:
      folder.symlink_to(folder.name)
    case 1:
      folder.symlink_to('nothing')
    case 2:
      os.mkfifo(folder)
    case 3:
      folder.symlink_to('/dev/zero')


@kind('files', READ)
def link_to_the_folder(folder, rng):
  del rng
  elsewhere = folder.with_name('elsewhere')
  folder.rename(elsewhere)
  folder.symlink_to(elsewhere)


@kind('files', REFUSED)
def empty_folder(folder, rng):
  del rng
  for path in folder.iterdir():
    _remove(path)


@kind('files', READ)
def files_of_others(folder, rng):
  names = [
    *('notes.csv', 'followers.csv', 'brand_content_image.npy'),
    *('.DS_Store', 'Thumbs.db', '~$accounts.csv', 'accounts.csv.bak', 'ü'),
  ]
  for name in names:
    path = folder / name
    match int(rng.integers(4)):
      case 0:
        path.write_bytes(rng.bytes(100))
      case 1:
        path.symlink_to('nothing')
      case 2:
        os.mkfifo(path)
      case 3:
        path.mkdir()


@kind('files', READ)
def names_in_capitals_beside(folder, rng):
  path = folder / pick(rng, FILES)
  shutil.copy(path, folder / path.name.upper())
