"""Failures of the system, which are not the program's: paths, disks, peers."""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from morning_jax.core import errors

# What the system says of a path that the user named, or of its disk.
_MISTAKES = {
  errno.EACCES,
  errno.EDQUOT,
  errno.EEXIST,
  errno.EFBIG,
  errno.EISDIR,
  errno.ELOOP,
  errno.ENAMETOOLONG,
  errno.ENOENT,
  errno.ENOSPC,
  errno.ENOTDIR,
  errno.ENOTEMPTY,
  errno.EPERM,
  errno.EROFS,
}
# What it says of a mount or a peer that went away.
_TRANSIENT = {
  errno.ECONNABORTED,
  errno.ECONNREFUSED,
  errno.ECONNRESET,
  errno.EHOSTUNREACH,
  errno.EIO,
  errno.ENETUNREACH,
  errno.ENOTCONN,
  errno.ESTALE,
  errno.ETIMEDOUT,
}


def explain(error: Exception) -> tuple[str, int] | None:
  """Explains what the system refused or failed to do.

  Memory that does not suffice is one of them.

  Args:
    error: what was raised: an OSError, or TensorStore's words for one.

  Returns:
    One line, and the exit code: 2 for what the user can mend (a path, a full
    disk), 1 for what may pass when run again (a mount, a connection). None
    where it is neither, as is a mistake of the program.
  """
  if isinstance(error, MemoryError) or 'Out of memory all' in str(error):
    return 'memory does not suffice: ' + ' '.join(str(error).split()), 2
  path: Any
  if isinstance(error, OSError):
    number, path = error.errno, error.filename
  else:
    told = re.search(r"\[os_error_code='(\d+)'\]", str(error))
    # The first of the paths in it: of the database, or of a file of it.
    file = re.search(r'"(/[^"\\]+)', str(error))
    number, path = int(told[1]) if told else None, file and file[1]
  if number not in _MISTAKES | _TRANSIENT:
    return None
  assert number is not None
  line = os.strerror(number)
  if isinstance(path, str | bytes):
    line = errors.in_file(os.fsdecode(path), line)
  return line, 2 if number in _MISTAKES else 1
