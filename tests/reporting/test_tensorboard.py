"""Scalars: what a kill leaves, and what a resumed run drops."""

import errno
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys

import pytest
from tensorboardX import record_writer
from tensorboardX.proto import event_pb2

from morning_jax.reporting import tensorboard
from tests import runs


def events(folder: pathlib.Path) -> list[event_pb2.Event]:
  """Reads all event files as TensorBoard does, checksums and all."""
  found = []
  for file in sorted(folder.glob('events.*')):
    data = file.read_bytes()
    while data:
      (size,) = struct.unpack('<Q', data[:8])
      parts = data[:8], data[12 : 12 + size]
      sums = data[8:12], data[12 + size : 16 + size]
      for part, checksum in zip(parts, sums, strict=True):
        assert struct.unpack('<I', checksum) == (
          record_writer.masked_crc32c(part),
        )
      found.append(event_pb2.Event.FromString(parts[1]))
      data = data[16 + size :]
  return found


def shown(folder: pathlib.Path) -> dict[int, float]:
  """What TensorBoard shows: a session's start drops its step and all later."""
  points: dict[int, float] = {}
  for event in events(folder):
    if event.HasField('session_log'):
      points = {s: v for s, v in points.items() if s < event.step}
    for value in event.summary.value:
      points[event.step] = value.simple_value
  return points


def test_a_resumed_run_keeps_the_step_that_it_resumes_from(tmp_path):
  first = tensorboard.Scalars(tmp_path, first_step=0)
  for step in (1, 2, 3, 4):
    first.write(step, 'train', {'loss': step, 'name': 'is no number'})
  first.close()
  resumed = tensorboard.Scalars(tmp_path, first_step=2)
  resumed.write(3, 'train', {'loss': 30.0})
  resumed.close()
  assert shown(tmp_path) == {1: 1.0, 2: 2.0, 3: 30.0}
  assert events(tmp_path)[0].file_version == 'brain.Event:2'


KILLED = """
import os, signal, sys
from morning_jax.reporting import tensorboard
written = tensorboard.Scalars(sys.argv[1], first_step=0)
for step in range(1, 101):
  written.write(step, 'train', {'loss': step})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing_that_was_written(tmp_path):
  done = subprocess.run(
    [sys.executable, '-c', KILLED, str(tmp_path)],
    cwd=runs.ROOT,
    env=runs.environment(),
    check=False,
  )
  assert done.returncode == -signal.SIGKILL
  assert shown(tmp_path) == {step: float(step) for step in range(1, 101)}


def test_what_is_flushed_is_on_the_disk(tmp_path, monkeypatch):
  synced = []
  monkeypatch.setattr(
    os, 'fsync', lambda handle: synced.append(os.fstat(handle).st_size)
  )
  written = tensorboard.Scalars(tmp_path, first_step=0)
  written.write(1, 'train', {'loss': 1.0})
  written.flush()
  (file,) = tmp_path.iterdir()
  assert synced == [file.stat().st_size]
  written.close()


def test_a_full_disk_is_raised_with_the_file(tmp_path):
  written = tensorboard.Scalars(tmp_path, first_step=0)
  (file,) = tmp_path.iterdir()
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, before[1]))
  try:
    with pytest.raises(OSError) as e:
      written.write(1, 'train', {'loss': 1.0})
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)
  assert (e.value.errno, e.value.filename) == (errno.EFBIG, str(file))
  written.close()
