"""Shards are done once, and what fails is told."""

import dataclasses
import errno
import os
import pathlib

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.features import work as work_lib
from morning_jax.features.stages import runner
from morning_jax.features.stages import store
from morning_jax.features.stages import task as task_lib


@dataclasses.dataclass(frozen=True)
class Squares(task_lib.Task):
  """The square of each shard's number."""

  bad: tuple[int, ...] = ()

  @property
  def name(self):
    return 'squares'

  def result(self, shard):
    if shard in self.bad:
      raise errors.UserError(f'shard {shard} is bad')
    return {'square': np.array([shard**2]), 'by': os.getpid(), 'word': 'ä\0'}


def squares(work, **changes):
  return Squares(work=work, key='k' * 64, shards=5, **changes)


@pytest.mark.parametrize('workers', [1, 2])
def test_every_shard_is_stored_and_done_once(tmp_path, workers):
  task = squares(tmp_path)
  runner.complete(task, runner.LocalRunner(workers))
  before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.npz')}
  assert len(before) == 5
  by = set()
  for shard in range(5):
    with task.open(shard) as stored:
      assert stored['square'].tolist() == [shard**2]
      assert stored['word'] == 'ä\0'
      assert sorted(stored) == ['by', 'square', 'word']
      by.add(stored['by'])
  assert (os.getpid() in by) == (workers == 1)
  runner.complete(task, runner.LocalRunner(1))
  assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.npz')} == before


@pytest.mark.parametrize('workers', [1, 2])
def test_of_several_mistakes_the_first_is_told(tmp_path, workers):
  task = squares(tmp_path, bad=(3, 1))
  with pytest.raises(errors.UserError, match='shard 1 is bad'):
    runner.complete(task, runner.LocalRunner(workers))
  assert len(list(tmp_path.rglob('*.npz'))) == 3


def test_a_full_disk_is_told_and_leaves_no_half(tmp_path, monkeypatch):
  def full(handle):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(files.os, 'fsync', full)
  with pytest.raises(OSError, match='No space left') as raised:
    runner.complete(squares(tmp_path), runner.LocalRunner(1))
  assert raised.value.errno == errno.ENOSPC
  assert raised.value.filename.endswith('.npz')
  assert [p for p in tmp_path.rglob('*') if p.is_file()] == []


def test_results_that_are_cut_off_are_none(tmp_path):
  task = squares(tmp_path)
  runner.complete(task, runner.LocalRunner(1))
  path = task.path(2)
  content = path.read_bytes()
  for cut in (0, 1, len(content) // 2, len(content) - 1):
    path.write_bytes(content[:cut])
    assert not task.is_done(2)
  path.write_bytes(content)
  assert store.is_whole(path)


def test_a_folder_of_results_is_used_by_one_and_is_nothing_else(tmp_path):
  folder = tmp_path / 'work'
  with (
    work_lib.opened(folder),
    pytest.raises(errors.TransientError, match='another preparation'),
    work_lib.opened(folder),
  ):
    pass
  with work_lib.opened(folder):
    pass
  work_lib.remove(folder)
  assert not folder.exists()
  mine = tmp_path / 'mine'
  mine.mkdir()
  (mine / 'thesis.txt').write_text('mine')
  with (
    pytest.raises(errors.UserError, match='holds something else'),
    work_lib.opened(mine),
  ):
    pass
  work_lib.remove(mine)
  assert pathlib.Path(mine / 'thesis.txt').exists()
