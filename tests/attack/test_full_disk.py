"""A disk that is full at any write: one line, and nothing before is lost.

MORNING_ATTACK_DISKS says how many disks fill up (12), MORNING_ATTACK_SEED of
which sizes (0).
"""

import errno
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from tests import runs
from tests.attack import harness

# Saves until the disk is full, as training does, and exits as launchers do.
# argv: folder, bytes that a file may have (0: any number).
SAVES = textwrap.dedent("""
  import resource
  import sys

  import jax
  from jax import numpy as jnp

  from launch import command_line
  from morning_jax.checkpoint import manager
  from morning_jax.checkpoint import workdir
  from morning_jax.reporting import tensorboard

  folder, limit = sys.argv[1], int(sys.argv[2])
  sys.argv[1:] = []

  def tree(count, seed):
    keys = jax.random.split(jax.random.key(seed), count)
    return {
      f'{i}': jax.random.normal(key, (64, 4 * i + 4))
      for i, key in enumerate(keys)
    }

  def main(argv):
    made = manager.Checkpoints(folder)
    written = tensorboard.Scalars(folder, first_step=0)
    first = 1 + max(made.steps(), default=0)
    for step in range(first, first + 5):
      if limit and step == first + 1:
        made.wait()
        resource.setrlimit(
          resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)
        )
      written.write(step, 'train', {'loss': 1.5})
      written.flush()
      items = {'params': tree(12, step), 'training': tree(24, step)}
      made.save(step, items=items, meta={}, metrics={'map': 1 / step})
    made.close()
    written.close()
    workdir.write_metrics(f'{folder}/metrics.json', {'x': ['y' * 9] * 999})

  command_line.run(main)
""")


def save(folder: pathlib.Path, limit: int = 0):
  return subprocess.run(
    [sys.executable, '-c', SAVES, str(folder), str(limit)],
    env={**runs.environment(), 'JAX_ENABLE_COMPILATION_CACHE': 'false'},
    cwd=runs.ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


def complete(folder: pathlib.Path) -> list[int]:
  names = [p.name for p in (folder / 'checkpoints').glob('*')]
  return sorted(int(name) for name in names if name.isdigit())


def assert_told(done, folder: pathlib.Path, number: int) -> None:
  assert done.returncode == 2, done.stderr
  line = harness.assert_one_line(done.stderr)
  assert line.startswith(f'error: {folder}')
  assert line.endswith(f': {os.strerror(number)}')


# Bytes: below the first file; then what stops the sharding, TensorBoard's
# events, metadata, arrays of each item, and the last of them.
LIMITS = (1, 100, 300, 600, 1200, 2500, 5000, 9000, 20000, 50000, 100000)


@pytest.mark.slow
@pytest.mark.parametrize('limit', LIMITS)
def test_a_limit_on_files(tmp_path, limit):
  folder = tmp_path / 'run'
  done = save(folder, limit)
  assert_told(done, folder, errno.EFBIG)
  before = complete(folder)
  assert before
  assert runs.final_arrays(folder)
  done = save(folder)
  assert (done.returncode, done.stderr) == (0, '')
  assert complete(folder)[-1] == before[-1] + 5
  assert not list((folder / 'checkpoints').glob('*tmp*'))


def sizes():
  rng = harness.rng('disks')
  count = int(os.environ.get('MORNING_ATTACK_DISKS', '12'))
  return sorted(rng.sample(range(8, 2408, 4), min(count, 600)))


@pytest.fixture
def mounted(tmp_path):
  """Mounts small file systems; skips where the system does not allow it."""
  folders = []

  def mount(size_kib: int) -> pathlib.Path:
    folder = tmp_path / f'disk-{size_kib}'
    folder.mkdir()
    done = subprocess.run(
      ['mount', '-t', 'tmpfs', '-o', f'size={size_kib}k', 'tmpfs', folder],
      capture_output=True,
      check=False,
    )
    if done.returncode:
      pytest.skip(f'no tmpfs can be mounted: {done.stderr.decode()}')
    folders.append(folder)
    return folder

  yield mount
  for folder in folders:
    subprocess.run(['umount', '-l', folder], check=False)


@pytest.mark.slow
@pytest.mark.parametrize('size_kib', sizes())
def test_a_disk_that_fills_up(tmp_path, mounted, size_kib):
  disk = mounted(size_kib)
  done = save(disk / 'run')
  if done.returncode == 0:
    assert done.stderr == ''
    return
  assert_told(done, disk, errno.ENOSPC)
  before = complete(disk / 'run')
  if before:
    assert runs.final_arrays(disk / 'run')
  subprocess.run(
    ['mount', '-o', 'remount,size=64m', disk], check=True, capture_output=True
  )
  done = save(disk / 'run')
  assert (done.returncode, done.stderr) == (0, '')
  assert complete(disk / 'run')[-1] == max(before, default=0) + 5
