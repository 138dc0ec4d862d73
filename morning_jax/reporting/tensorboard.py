"""TensorBoard scalars, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
import itertools
import os
import pathlib
import socket
import struct
import time
from typing import Any, BinaryIO

from tensorboardX import record_writer
from tensorboardX import summary
from tensorboardX.proto import event_pb2

from morning_jax.core import files
from morning_jax.core import multihost


class Scalars:
  """Writes scalars into a folder that `tensorboard --logdir` shows.

  Each event file is written here, in the caller's thread: tensorboardX has one
  of its own, whose errors go to stderr and whose queue no `flush` waits for.
  """

  def __init__(self, folder: str | os.PathLike[str], *, first_step: int):
    """Opens the folder; of several processes, on the first alone.

    Args:
      folder: where the event file goes.
      first_step: what an earlier run logged after this step is dropped.
    """
    self._file: BinaryIO | None = None
    if not multihost.is_first():
      return
    self._file = _new_file(pathlib.Path(folder))
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._append(
      event_pb2.Event(file_version='brain.Event:2'),
      # TensorBoard drops what was logged at this step and after it.
      event_pb2.Event(step=first_step + 1, session_log=start),
    )

  def write(self, step: int, prefix: str, scalars: Mapping[str, Any]) -> None:
    """Writes `<prefix>/<name>` for every scalar that is a number.

    What is written survives the end of the process, however it comes.

    Raises:
      OSError: it can't be written.
    """
    self._append(
      *(
        event_pb2.Event(
          step=step, summary=summary.scalar(f'{prefix}/{name}', value)
        )
        for name, value in scalars.items()
        if isinstance(value, int | float)
      )
    )

  def flush(self) -> None:
    """Makes what is written survive a power cut too.

    Raises:
      OSError: it can't be written.
    """
    if self._file is not None:
      with files.with_path(self._file.name):
        os.fsync(self._file.fileno())

  def close(self) -> None:
    """Flushes, and closes the file."""
    if self._file is not None:
      self.flush()
      self._file.close()
      self._file = None

  def _append(self, *events: event_pb2.Event) -> None:
    if self._file is None:
      return
    records = []
    for event in events:
      event.wall_time = time.time()
      records.append(_record(event.SerializeToString()))
    left = memoryview(b''.join(records))
    with files.with_path(self._file.name):
      while left:
        left = left[self._file.write(left) :]


def _new_file(folder: pathlib.Path) -> BinaryIO:
  """Makes an event file. TensorBoard reads them in the order of their names."""
  folder.mkdir(parents=True, exist_ok=True)
  host = socket.gethostname()
  for count in itertools.count():
    name = f'events.out.tfevents.{time.time():010.0f}.{host}'
    path = folder / (f'{name}.{count}' if count else name)
    try:
      return path.open('xb', buffering=0)
    except FileExistsError:
      continue
  raise AssertionError('counting ends never')


def _record(content: bytes) -> bytes:
  """Frames an event: its length and itself, each with a checksum."""
  length = struct.pack('<Q', len(content))
  return b''.join(
    part + struct.pack('<I', record_writer.masked_crc32c(part))
    for part in (length, content)
  )
