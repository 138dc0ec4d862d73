"""Why a checkpoint can't be used, and what all processes make of it."""

from __future__ import annotations

import errno
import pathlib
import re

import jax

from morning_jax.core import errors
from morning_jax.core import multihost

# Of all errors of the system, those of files that are gone or no files. What
# Orbax raises of them has the kind, but no number.
_ABOUT_CONTENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_ABOUT_CONTENT_KINDS = FileNotFoundError, NotADirectoryError, IsADirectoryError


class CheckpointError(errors.UserError):
  """A checkpoint that can't be used; the message says why."""


class CorruptError(Exception):
  """One checkpoint is damaged; an earlier one may be intact."""


def raise_together(name: str, failure: Exception | None) -> None:
  """Raises on every process what any of them met in reading a checkpoint.

  Each reads its own part, and what one can't read none can use. All call this,
  also those that met nothing, and so go on with the same checkpoint.

  Args:
    name: the checkpoint, for the message.
    failure: what this process met, if anything.

  Raises:
    CheckpointError: no other checkpoint is to be tried: intact files may fail
      so too.
    CorruptError: the checkpoint is damaged.
  """
  if not multihost.any_of(failure is not None):
    return
  final = isinstance(failure, CheckpointError)
  what = short(failure) if failure else 'on another process'
  if multihost.any_of(final or says_nothing_of_content(failure)):
    if failure is not None and final:
      raise failure
    raise could_not_be_read(name, what) from failure
  raise CorruptError(what) from failure


def name(folder: pathlib.Path) -> str:
  """Returns what messages call the checkpoint in a folder."""
  return f'{folder.parent.parent}: checkpoint {folder.name}'


def could_not_be_read(name: str, what: str) -> CheckpointError:
  """Returns the error of a checkpoint that may be intact."""
  return CheckpointError(
    f'{name} could not be read ({what}), which does not say that it is'
    ' damaged; nothing is changed; mend the cause and start again'
  )


def says_nothing_of_content(error: BaseException | None) -> bool:
  """Tells whether intact files may fail so: no memory, or a disk that errs."""
  while error is not None:
    if isinstance(error, MemoryError | jax.errors.JaxRuntimeError):
      return True
    if isinstance(error, OSError) and not isinstance(
      error, _ABOUT_CONTENT_KINDS
    ):
      return True
    # TensorStore raises all as ValueError, and Orbax wraps it.
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code and int(code[1]) not in _ABOUT_CONTENT:
      return True
    error = error.__cause__
  return False


def short(error: Exception) -> str:
  """Returns an error as part of a line, with its kind unless it is ours."""
  text = ' '.join(str(error).split())
  if isinstance(error, CorruptError):
    return text
  return f'{type(error).__name__}: {text[:120]}'
