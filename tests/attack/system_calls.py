"""Every file operation of a process, held before it happens.

Linux hands the calls that a filter names to a listener (seccomp, user
notification), with the caller stopped until the listener answers. So a process
can be killed before any one of its operations, or be told that the disk is
full, whichever thread and library asks. Nothing is preloaded, and nothing needs
a right that users lack.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import errno
import fcntl
import os
import pathlib
import platform
import re
import select
import struct
import time
from typing import NamedTuple

# Kind -> (call, its number on x86-64, where its path is: the number of the
# argument, of the folder that it is relative to, or of a descriptor).
_CALLS = {
  'open': [('open', 2, 0, None), ('creat', 85, 0, None)],
  'openat': [('openat', 257, 1, 0)],
  'write': [
    (name, number, None, 0)
    for name, number in (
      ('write', 1),
      ('pwrite64', 18),
      ('writev', 20),
      ('pwritev', 296),
      ('pwritev2', 328),
    )
  ],
  'truncate': [('ftruncate', 77, None, 0), ('fallocate', 285, None, 0)],
  'sync': [('fsync', 74, None, 0), ('fdatasync', 75, None, 0)],
  'rename': [
    ('rename', 82, 0, None),
    ('renameat', 264, 1, 0),
    ('renameat2', 316, 1, 0),
  ],
  'mkdir': [('mkdir', 83, 0, None), ('mkdirat', 258, 1, 0)],
  'remove': [
    ('unlink', 87, 0, None),
    ('rmdir', 84, 0, None),
    ('unlinkat', 263, 1, 0),
  ],
  'mode': [('chmod', 90, 0, None), ('fchmod', 91, None, 0)],
}
_BY_NUMBER = {
  number: (kind.replace('openat', 'open'), path, folder)
  for kind, calls in _CALLS.items()
  for _, number, path, folder in calls
}
# What a call has to do with a disk that has no space left.
TAKES_SPACE = ('create', 'write', 'truncate', 'mkdir')
# What it has to do with one that can't be written at all.
CHANGES = (*TAKES_SPACE, 'open', 'sync', 'rename', 'remove', 'mode')

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP = 317
_SET_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_NOTIFICATION = struct.Struct('=QIIiIQ6Q')  # id, pid, flags, call
_HERE = (1 << 32) - 100, (1 << 64) - 100  # AT_FDCWD, as 32 or 64 bits


class Operation(NamedTuple):
  """What a process is about to do with a file.

  Attributes:
    kind: 'create', 'open' (to write), 'write', 'truncate', 'sync', 'rename',
      'mkdir', 'remove' or 'mode'.
    path: of the file, from the folder that is watched.
  """

  kind: str
  path: str

  @property
  def role(self) -> str:
    """The kind, and the path less what differs from run to run."""
    path = re.sub(r'[0-9a-f]{32}', '*', self.path)
    path = re.sub(r'\..+\.draft', '*.draft', path)
    path = re.sub(r'(tfevents)\..*', r'\1', path)
    return f'{self.kind} {re.sub("[0-9]+", "N", path)}'


def available() -> bool:
  """Tells whether this machine's calls can be listened to."""
  try:
    actions = pathlib.Path('/proc/sys/kernel/seccomp/actions_avail').read_text()
  except OSError:
    return False
  return platform.machine() == 'x86_64' and 'user_notif' in actions


def listen() -> int:
  """Has this process's calls, and its later threads', wait for a listener.

  Returns:
    A descriptor for `serve`, in another process.
  """
  numbers = sorted(_BY_NUMBER)
  lines = [(0x20, 0, 0, 0)]  # load the number of the call
  lines += [
    (0x15, len(numbers) - i, 0, number) for i, number in enumerate(numbers)
  ]
  lines += [(0x06, 0, 0, _ALLOW), (0x06, 0, 0, _NOTIFY)]
  code = ctypes.create_string_buffer(
    b''.join(struct.pack('=HBBI', *line) for line in lines)
  )
  program = struct.pack('HxxxxxxQ', len(lines), ctypes.addressof(code))
  libc = ctypes.CDLL(None, use_errno=True)
  libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  listener: int = libc.syscall(
    _SECCOMP,
    _SET_MODE_FILTER,
    _NEW_LISTENER,
    ctypes.create_string_buffer(program),
  )
  if listener < 0:
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
  return listener


def serve(
  listener: int,
  folder: str,
  answer: Callable[[Operation], int],
  ended: Callable[[], bool],
  seconds: float,
) -> bool:
  """Answers a process's calls until it has ended.

  Args:
    listener: what `listen` returned there.
    folder: operations in it and below are told to `answer`; others go on.
    answer: returns 0 for an operation to happen, or the number of the error
      that its caller gets instead.
    ended: tells whether the process has ended.
    seconds: how long it may take.

  Returns:
    Whether it has ended in time.
  """
  deadline = time.monotonic() + seconds
  poll = select.poll()
  poll.register(listener, select.POLLIN)
  while not ended():
    if time.monotonic() > deadline:
      return False
    if not any(event & select.POLLIN for _, event in poll.poll(20)):
      continue
    asked = bytearray(_NOTIFICATION.size)
    try:
      fcntl.ioctl(listener, _RECEIVE, asked)
      number, pid, _, call, _, _, *values = _NOTIFICATION.unpack(asked)
      operation = _operation(pid, call, values)
      error = 0
      if operation and f'{operation.path}/'.startswith(f'{folder}/'):
        path = operation.path.removeprefix(folder).removeprefix('/')
        error = answer(operation._replace(path=path))
      flags = 0 if error else _CONTINUE
      fcntl.ioctl(
        listener, _SEND, struct.pack('=QqiI', number, 0, -error, flags)
      )
    except OSError as e:  # the caller is gone
      if e.errno not in (errno.ENOENT, errno.EINPROGRESS, errno.ESRCH):
        raise
  return True


def _operation(pid: int, call: int, values: list[int]) -> Operation | None:
  """Says what a call is about; None where nothing is changed."""
  kind, path, folder = _BY_NUMBER[call]
  if kind == 'open':
    flags = values[2 if folder is not None else 1]
    if call == 85 or flags & os.O_CREAT:
      kind = 'create'
    elif not flags & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC):
      return None
  try:
    at = '' if folder is None else _descriptor(pid, values[folder])
    name = '' if path is None else _text(pid, values[path])
    if not name.startswith('/'):
      at = at or os.readlink(f'/proc/{pid}/cwd')
      name = f'{at}/{name}' if name else at
  except OSError:
    return None
  return Operation(kind, name)


def _descriptor(pid: int, number: int) -> str:
  if number in _HERE:
    return ''
  return os.readlink(f'/proc/{pid}/fd/{number & 0xFFFFFFFF}')


def _text(pid: int, address: int) -> str:
  with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
    memory.seek(address)
    found = memory.read(4096 - address % 4096)
    if b'\0' not in found:
      found += memory.read(4096)
  return os.fsdecode(found.split(b'\0')[0])
