"""A disk that is full, fails or is read-only: one line, and code 2 or 75.

All of them:
  pytest -m slow tests/attack/test_full_disk.py
MORNING_ATTACK_DISKS says how many of each (12), MORNING_ATTACK_SEED which (0).

What is demanded: one line of at most 300 characters that names the folder and
says what the system says, nothing before and nothing after it, the right exit
code, everything that was saved before still there, and a run that goes on and
leaves nothing over once the disk is well again.
"""

import errno
import os
import pathlib
import subprocess

import pytest

from tests.attack import forked
from tests.attack import harness
from tests.attack import saves
from tests.attack import system_calls
from tests.attack import test_kills

pytestmark = pytest.mark.xdist_group('kills')

_COUNT = int(os.environ.get('MORNING_ATTACK_DISKS', '12'))
_sees_calls = pytest.mark.skipif(
  not system_calls.available(), reason='takes seccomp on x86-64'
)


@pytest.fixture(scope='module')
def saving():
  launcher = forked.Launcher('tests.attack.saves')
  yield launcher
  launcher.close()


def save(
  launcher,
  folder: pathlib.Path,
  limit: int = 0,
  aim: forked.Aim | None = None,
) -> forked.Ended:
  return launcher.run(
    str(folder), str(limit), folder=folder.parent.parent, aim=aim
  )


def assert_told(ended: forked.Ended, folder: pathlib.Path, number: int) -> None:
  """Checks how a launcher ends on a disk that fails with an error's number."""
  assert ended.code == (75 if number == errno.EIO else 2), ended.stderr
  line = harness.assert_one_line(ended.stderr)
  assert line.startswith(f'error: {folder}'), line
  assert line.endswith(f': {os.strerror(number)}'), line
  assert not ended.left


def assert_goes_on(launcher, folder: pathlib.Path) -> None:
  """Checks what was saved before, and that the next run goes on from there."""
  before = test_kills.assert_intact(folder)
  ended = save(launcher, folder)
  assert (ended.code, ended.stderr) == (0, '')
  assert test_kills.assert_intact(folder) == before + saves.COUNT
  test_kills.assert_nothing_left_over(folder)


# Bytes, from those that the line itself needs: what stops the sharding,
# metadata, arrays of each item, and the metrics after all saves.
LIMITS = (300, 600, 1200, 2500, 5000, 9000, 11000)


@pytest.mark.slow
@pytest.mark.parametrize('limit', LIMITS)
def test_a_limit_on_files(saving, tmp_path, limit):
  folder = tmp_path / 'at' / 'run'
  folder.parent.mkdir()
  assert_told(save(saving, folder, limit), folder, errno.EFBIG)
  assert test_kills.assert_intact(folder)
  assert_goes_on(saving, folder)


def fail_at(
  launcher, place: pathlib.Path, number: int, error: int
) -> forked.Ended:
  """Saves on a disk that fails for good after so many operations."""
  folder = place / 'run'
  place.mkdir()
  space = error in (errno.ENOSPC, errno.EDQUOT)
  only = system_calls.TAKES_SPACE if space else system_calls.CHANGES
  ended = save(
    launcher,
    folder,
    aim=forked.Aim(str(folder), number, error, only=only),
  )
  if ended.code:
    assert_told(ended, folder, error)
  else:  # it had ended before
    assert ended.stderr == ''
  assert_goes_on(launcher, folder)
  return ended


@_sees_calls
@pytest.mark.parametrize(
  ('number', 'error'),
  [(3, errno.EDQUOT), (30, errno.ENOSPC), (140, errno.EROFS), (90, errno.EIO)],
)
def test_a_disk_that_fails(saving, tmp_path, number, error):
  assert fail_at(saving, tmp_path / 'at', number, error).code


@_sees_calls
@pytest.mark.slow
@pytest.mark.parametrize(
  'error', ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'], ids=str.lower
)
def test_a_disk_that_fails_at_any_operation(saving, tmp_path, error):
  rng = harness.rng(f'disks that fail, {error}')
  failed, told = [], 0
  for i in range(_COUNT):
    number = rng.randrange(190 if error in ('ENOSPC', 'EDQUOT') else 330)
    print(f'{error} after {number} operations', flush=True)
    try:
      ended = fail_at(saving, tmp_path / f'{i}', number, getattr(errno, error))
      told += ended.code != 0
    except AssertionError as e:
      failed.append(f'{error} after {number}: {e}')
  assert not failed, '\n'.join(failed)
  assert told


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


def sizes() -> list[int]:
  """KiB of disks, from one that takes nothing to one that takes all."""
  rng = harness.rng('disks')
  return sorted(rng.sample(range(8, 808, 4), min(_COUNT, 200)))


@pytest.mark.slow
@pytest.mark.parametrize('size_kib', sizes())
def test_a_disk_that_fills_up(saving, tmp_path, mounted, size_kib):
  disk = mounted(size_kib)
  folder = disk / 'run'
  ended = save(saving, folder)
  if ended.code == 0:
    assert ended.stderr == ''
    return
  assert_told(ended, disk, errno.ENOSPC)
  subprocess.run(
    ['mount', '-o', 'remount,size=64m', disk], check=True, capture_output=True
  )
  assert_goes_on(saving, folder)
