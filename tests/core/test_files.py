import contextlib
import errno
import os
import pathlib
import socket
import stat
import tempfile

import numpy as np
import pytest

from morning_jax.core import files


def test_a_file_appears_whole_and_readable_by_others(tmp_path):
  path = tmp_path / 'table.txt'
  files.write_text(path, 'one\n')
  files.write_text(path, 'two\n')
  assert path.read_text() == 'two\n'
  assert [p.name for p in tmp_path.iterdir()] == ['table.txt']
  other = tmp_path / 'other'
  other.touch()
  assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path):
  path = tmp_path / 'table.txt'
  files.write_text(path, 'one\n')

  def fail(f):
    f.write(b'half')
    raise OSError('no space')

  with pytest.raises(OSError, match='no space'):
    files.write_whole(path, fail)
  assert path.read_text() == 'one\n'
  assert [p.name for p in tmp_path.iterdir()] == ['table.txt']


def test_links_are_followed_and_may_lead_in_a_circle(tmp_path):
  (tmp_path / 'link').symlink_to('folder')
  (tmp_path / 'loop').symlink_to('loop')
  real = pathlib.Path(os.path.realpath(tmp_path))
  assert files.real_path(tmp_path / 'link' / 'x') == real / 'folder' / 'x'
  assert files.real_path(tmp_path / 'loop').name == 'loop'


def test_errors_of_an_open_file_get_its_path(tmp_path):
  path = tmp_path / 'file'
  with pytest.raises(OSError, match='file') as e, files.with_path(path):
    raise OSError(errno.ENOSPC, 'No space left')
  assert (e.value.errno, e.value.filename) == (errno.ENOSPC, str(path))
  with pytest.raises(FileNotFoundError) as e, files.with_path(path):
    (tmp_path / 'other').open()
  assert e.value.filename == str(tmp_path / 'other')


@pytest.mark.parametrize('name', ['n' * 255, '\N{CAT FACE}' * 63])
def test_a_name_as_long_as_the_system_allows(tmp_path, name):
  path = tmp_path / name
  files.write_json(path, {'a': 1})
  assert path.read_text() == '{\n  "a": 1\n}\n'


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
  path = tmp_path / 'deep' / 'folder'
  with files.new_folder(path) as draft:
    (draft / 'a').write_text('a')
    assert not path.exists()
  assert [p.name for p in path.iterdir()] == ['a']
  with pytest.raises(ZeroDivisionError), files.new_folder(tmp_path / 'no') as d:
    (d / 'a').write_text('a')
    1 / 0  # noqa: B018
  assert [p.name for p in tmp_path.iterdir()] == ['deep']


def test_a_folder_with_files_is_not_replaced(tmp_path):
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'folder' / 'a').write_text('old')
  with pytest.raises(OSError), files.new_folder(tmp_path / 'folder') as draft:
    (draft / 'a').write_text('new')
  assert (tmp_path / 'folder' / 'a').read_text() == 'old'
  assert [p.name for p in tmp_path.iterdir()] == ['folder']


def test_drafts_of_processes_that_are_gone_are_removed(tmp_path, monkeypatch):
  def leave_drafts(process: int, host: str):
    monkeypatch.setattr(os, 'getpid', lambda: process)
    monkeypatch.setattr(socket, 'gethostname', lambda: host)
    # A kill runs no clean-up.
    folder = files.new_folder(tmp_path / 'a.b')
    (folder.__enter__() / 'x').touch()
    unfinished.append(folder)
    prefix = files._draft_prefix(tmp_path / 'c')
    return tempfile.mkstemp(prefix=prefix, suffix='.draft', dir=tmp_path)

  unfinished = []
  host, alive = socket.gethostname(), os.getppid()
  gone = 2**22 + 1  # beyond what Linux numbers processes with
  leave_drafts(gone, host)
  leave_drafts(gone, f'else.{host}')
  leave_drafts(alive, host)
  monkeypatch.undo()
  others = [tmp_path / name for name in ('file', '.draft', '.x.draft')]
  for path in others:
    path.touch()
  files.remove_abandoned(tmp_path)
  left = {p.name for p in tmp_path.iterdir()}
  assert len(left) == 4 + 3
  kept = [name for name in left if f'.{gone}.' in name]
  assert len(kept) == 2
  assert all('.else' in name for name in kept)


def test_digests_tell_parts_apart(tmp_path):
  file = tmp_path / 'f'
  file.write_bytes(b'ab')
  values = [
    ('a', 'b'),
    ('ab',),
    (b'ab',),
    (file,),
    (['a', 'b'],),
    (None,),
    (np.array(['a', 'b']),),
    (np.array(['ab']),),
    (np.zeros((2, 3)),),
    (np.zeros((3, 2)),),
    (np.zeros(6, np.float32),),
    (np.zeros((0, 3)),),
  ]
  digests = {files.digest(*v) for v in values}
  assert len(digests) == len(values)


def test_digests_of_strings_do_not_depend_on_the_longest():
  x = np.array(['a', 'b'])
  assert files.digest(x) == files.digest(x.astype('U9'))
  assert files.digest({'a': 1, 'b': 2}) == files.digest({'b': 2, 'a': 1})


def test_files_digest_by_content(tmp_path):
  one, other = tmp_path / '1', tmp_path / '2'
  one.write_bytes(b'x')
  other.write_bytes(b'x')
  assert files.digest(one) == files.digest(pathlib.Path(other))
  other.write_bytes(b'y')
  assert files.digest(one) != files.digest(other)


def test_checksums_ignore_the_order_of_keys():
  assert files.checksum({'a': 1, 'b': [2]}) == files.checksum(
    {'b': [2], 'a': 1}
  )
  assert files.checksum({'a': 1}) != files.checksum({'a': 2})


def test_an_error_of_an_open_file_names_it(tmp_path):
  def fail(file):
    raise OSError(errno.ENOSPC, 'No space left on device')

  with pytest.raises(OSError) as e:
    files.write_whole(tmp_path / 'x', fail)
  assert (e.value.errno, e.value.filename) == (
    errno.ENOSPC,
    str(tmp_path / 'x'),
  )
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ('number', 'raised'), [(errno.EIO, True), (errno.EINVAL, False)]
)
def test_what_is_not_on_the_disk_is_told(tmp_path, monkeypatch, number, raised):
  def fsync(handle):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(os, 'fsync', fsync)
  with contextlib.ExitStack() as expected:
    if raised:
      expected.enter_context(pytest.raises(OSError, match=str(tmp_path)))
    files.sync_tree(tmp_path)
