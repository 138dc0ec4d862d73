"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import ctypes
import errno
import json
import os
import pathlib
import shutil
import socket
import tempfile
from typing import Any, BinaryIO

from morning_jax.core import digests

Path = str | os.PathLike[str]

_DRAFT = '.draft'
# What `fsync` says of content that it could not write.
_LOSSES = {errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC}


def real_path(path: Path) -> pathlib.Path:
  """Returns a path from the root on, with links followed.

  Where links lead in a circle, the path ends in one: whatever opens it says so.
  """
  return pathlib.Path(os.path.realpath(path))


@contextlib.contextmanager
def with_path(path: Path) -> Iterator[None]:
  """Adds a path to errors of the system that name none, as of an open file."""
  try:
    yield
  except OSError as e:
    if e.errno is None or e.filename is not None:
      raise
    raise OSError(e.errno, os.strerror(e.errno), os.fspath(path)) from e


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
  """Writes a file that appears whole or not at all, also after a power cut.

  The content goes to a draft beside the file, is flushed to the disk, and takes
  the file's name in one operation.

  Args:
    path: the file; one that is there is replaced.
    write: writes the content into the open draft.

  Raises:
    OSError: it can't be written; nothing is left behind.
  """
  path = pathlib.Path(path)
  handle, draft = _new_draft(path)
  try:
    with with_path(path), os.fdopen(handle, 'wb') as f:
      write(f)
      f.flush()
      os.fsync(f.fileno())
    draft.chmod(0o666 & ~_umask())
    draft.replace(path)
  except BaseException:
    draft.unlink(missing_ok=True)
    raise
  sync(path.parent)


def check_writable(path: Path) -> None:
  """Tries what `write_whole` does, and takes it back.

  Args:
    path: the file; one that is there stays as it is.

  Raises:
    OSError: it can't be written: a folder or a disk of which nothing is to be
      had, or a name that is too long.
  """
  path = pathlib.Path(path)
  with contextlib.suppress(FileNotFoundError):
    path.lstat()  # tells of a name that only a draft's would not exceed
  handle, draft = _new_draft(path)
  try:
    with os.fdopen(handle, 'wb') as f:
      f.write(bytes(4096))
      f.flush()
      os.fsync(f.fileno())
  finally:
    draft.unlink(missing_ok=True)


def _new_draft(path: pathlib.Path) -> tuple[int, pathlib.Path]:
  handle, name = tempfile.mkstemp(
    prefix=_draft_prefix(path), suffix=_DRAFT, dir=path.parent
  )
  return handle, pathlib.Path(name)


def write_text(path: Path, text: str) -> None:
  """Writes UTF-8 text; see `write_whole`."""
  write_whole(path, lambda f: _write_all(f, text.encode()))


def write_json(path: Path, value: Any) -> None:
  """Writes indented JSON; see `write_whole`."""
  write_text(path, json.dumps(value, indent=2) + '\n')


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[pathlib.Path]:
  """Makes a folder that appears complete or not at all.

  Args:
    path: the folder to make. It may exist if it is empty.

  Yields:
    A draft folder beside it, to be filled; it takes the folder's name in the
    end, or is removed if the block raises.

  Raises:
    OSError: it can't be made, or is there already and not empty.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  draft = pathlib.Path(
    tempfile.mkdtemp(prefix=_draft_prefix(path), suffix=_DRAFT, dir=path.parent)
  )
  try:
    yield draft
    draft.chmod(0o777 & ~_umask())
    draft.replace(path)
  except BaseException:
    shutil.rmtree(draft, ignore_errors=True)
    raise
  sync(path.parent)


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[pathlib.Path]:
  """Rewrites a folder, which changes as a whole or not at all.

  Readers see the old folder or the new one. Where the system can't exchange two
  names in one operation (Linux can), there is a moment without a folder; see
  `restore_folder`.

  Args:
    path: the folder.

  Yields:
    An empty draft folder beside it, to be filled; in the end it takes the
    folder's name and the old folder is deleted. It is removed if the block
    raises.

  Raises:
    OSError: it can't be written, or the folder can't be moved.
  """
  path = pathlib.Path(path)
  restore_folder(path)
  before = _name_before(path)
  draft = pathlib.Path(
    tempfile.mkdtemp(prefix=_draft_prefix(path), suffix=_DRAFT, dir=path.parent)
  )
  try:
    yield draft
    shutil.copymode(path, draft)
    sync_tree(draft)
    if not _exchanged(draft, path):
      path.replace(before)
      try:
        draft.replace(path)
      except BaseException:
        before.replace(path)
        raise
      before.replace(draft)
    sync(path.parent)
  finally:
    shutil.rmtree(draft, ignore_errors=True)


def restore_folder(path: Path) -> None:
  """Undoes what a kill left of `replaced_folder`: no folder, and the old one.

  Args:
    path: the folder; nothing happens where it is in place.
  """
  before = _name_before(pathlib.Path(path))
  if before.exists() and not os.path.lexists(path):
    before.replace(path)


def _name_before(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(f'.{path.name}.before')


def _exchanged(one: pathlib.Path, other: pathlib.Path) -> bool:
  """Exchanges two names in one operation; False where the system can't."""
  try:
    rename = ctypes.CDLL(None, use_errno=True).renameat2
  except (AttributeError, OSError, TypeError):
    return False
  here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
  return not rename(here, os.fsencode(one), here, os.fsencode(other), exchange)


def sync(path: Path) -> None:
  """Makes a file, or the names in a folder, last through a power cut.

  Where the system can; some can't open a folder for it.

  Raises:
    OSError: what was written is not on the disk: it fails, or is full.
  """
  try:
    handle = os.open(path, os.O_RDONLY)
    try:
      os.fsync(handle)
    finally:
      os.close(handle)
  except OSError as e:
    if e.errno in _LOSSES:
      raise OSError(e.errno, os.strerror(e.errno), os.fspath(path)) from e


def sync_tree(folder: Path) -> None:
  """Makes a folder with all that is in it last; see `sync`."""
  folder = pathlib.Path(folder)
  for path in (*folder.rglob('*'), folder, folder.parent):
    sync(path)


def remove_abandoned(folder: Path) -> None:
  """Removes the drafts that killed processes of this machine left in a folder.

  Args:
    folder: where `write_whole` and `new_folder` made their drafts. Drafts of
      running processes and of other machines stay.
  """
  for draft in pathlib.Path(folder).glob(f'.*{_DRAFT}'):
    # .<name>.<machine>.<process>.<random>.draft
    parts = draft.name.split('.')
    if parts[-4:-3] != [_machine()]:
      continue
    try:
      os.kill(int(parts[-3]), 0)
    except ProcessLookupError:
      if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
      else:
        draft.unlink(missing_ok=True)
    except (ValueError, OSError):
      continue


# Digests have a module of their own; most callers know them from here.
digest = digests.digest
checksum = digests.checksum


def _draft_prefix(path: pathlib.Path) -> str:
  """Names a draft after its file, and after this machine and process."""
  # 255 bytes are the limit, four a character at most.
  return f'.{path.name[:40]}.{_machine()}.{os.getpid()}.'


def _machine() -> str:
  """The name of this machine, as one part of a draft's name."""
  return socket.gethostname()[:60].replace('.', '_')


def _write_all(file: BinaryIO, content: bytes) -> None:
  file.write(content)


def _umask() -> int:
  mask = os.umask(0)
  os.umask(mask)
  return mask
