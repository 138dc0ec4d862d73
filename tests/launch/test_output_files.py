"""Files that a command writes are tried before the work."""

import errno
import os

import pytest

from launch import command_line
from morning_jax.core import errors
from tests import runs
from tests.launch import commands

OUTPUTS = {
  'metrics': ('evaluate', ['--workdir=nowhere', '--json={}']),
  'scores': ('evaluate', ['--workdir=nowhere', '--scores={}']),
  'figures': ('benchmark', ['paper', '--quick', '--json={}']),
  'picture': ('graph', ['--bundle=nowhere', '--plot={}']),
  'vectors': ('graph', ['--bundle=nowhere', '--save_vectors={}']),
}


@pytest.mark.parametrize('name', runs.slow_but({'metrics'}, OUTPUTS))
def test_what_is_no_file_is_not_written(name, tmp_path):
  module, args = OUTPUTS[name]
  line = commands.fails(*(a.format(tmp_path) for a in args), module=module)
  assert line.endswith(f'={tmp_path}: is no file')
  assert list(tmp_path.parent.glob('*.draft')) == []


def test_a_device_is_not_replaced_by_a_file(tmp_path):
  pipe = tmp_path / 'pipe'
  os.mkfifo(pipe)
  line = commands.fails(
    '--workdir=nowhere', f'--json={pipe}', module='evaluate'
  )
  assert line.endswith(f'--json={pipe}: is no file')
  assert pipe.is_fifo()


OUTPUT_PLACES = {
  'a name that is too long': ('{}/' + 'n' * 256, 'File name too long'),
  'a file system that takes none': ('/proc/x', 'No such file or directory'),
  'a folder that is not there': ('{}/x/y', 'its folder does not exist'),
  'a file in place of a folder': ('{}/file/y', 'its folder does not exist'),
  'a folder': ('{}', 'is no file'),
  'a device': ('/dev/full', 'is no file'),
}


@pytest.mark.parametrize('name', OUTPUT_PLACES)
def test_an_output_is_tried_before_the_work(name, tmp_path):
  path, said = OUTPUT_PLACES[name]
  (tmp_path / 'file').touch()
  with pytest.raises(errors.UserError, match='^--json=.*: ' + said):
    command_line.check_output_files(json=path.format(tmp_path))
  assert [p.name for p in tmp_path.iterdir()] == ['file']


def test_a_full_disk_is_seen_before_the_work(tmp_path, monkeypatch):
  def full(_):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', full)
  with pytest.raises(errors.UserError, match=r'^--json=.*: No space left'):
    command_line.check_output_files(json=str(tmp_path / 'x'))
  assert list(tmp_path.iterdir()) == []


def test_what_can_be_written_passes_and_is_left_alone(tmp_path):
  old = tmp_path / 'old'
  old.write_text('old')
  names = ['n' * 255, '\N{SNOWMAN}' * 85, 'x']
  paths = dict(zip('abc', (str(tmp_path / n) for n in names), strict=True))
  command_line.check_output_files(json=str(old), scores=None, **paths)
  assert old.read_text() == 'old'
  assert [p.name for p in tmp_path.iterdir()] == ['old']


def test_two_outputs_are_two_files(tmp_path):
  (tmp_path / 'link').symlink_to(tmp_path / 'x')
  with pytest.raises(errors.UserError, match='--json names too'):
    command_line.check_output_files(
      json=str(tmp_path / 'x'), scores=str(tmp_path / 'link')
    )
