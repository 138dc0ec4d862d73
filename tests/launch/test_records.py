"""`launch.records` as it is typed."""

import shutil

import pytest

from tests import runs

COMMAND = 'launch.records'
pytestmark = pytest.mark.xdist_group(COMMAND)


def test_it_writes_and_checks(launcher, tmp_path):
  runs.write_bundle(tmp_path / 'bundle')
  done = launcher.run(
    '--bundle=bundle', '--output=out', '--file_mib=1', folder=tmp_path
  )
  assert done.code == 0, done.stderr
  assert 'out: written, 528 accounts (content_image 84' in done.stdout
  assert '--config.data.placement=stream' in done.stdout
  done = launcher.run('--check=out', folder=tmp_path)
  assert done.code == 0, done.stderr
  assert 'the records of 528 accounts are whole' in done.stdout
  done = launcher.run('--bundle=out', '--output=out', folder=tmp_path)
  (line,) = runs.error_lines(done.stderr)
  assert done.code == 2 and '--output=out: exists already' in line
  shutil.copy(
    tmp_path / 'out' / 'accounts.csv',
    tmp_path / 'out' / 'features-00000.array_record',
  )
  done = launcher.run('--check=out', folder=tmp_path)
  (line,) = runs.error_lines(done.stderr)
  assert done.code == 2 and 'features-00000.array_record: is damaged' in line


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    ((), 'name one of --bundle, --builder, --check'),
    (('--bundle=a', '--check=b'), 'name one of'),
    (('--bundle=.',), '--output=DIR'),
    (('--bundle=nowhere', '--output=out'), 'no such folder'),
    (('--builder=other', '--output=out'), 'no such data set'),
    (('--check=nowhere',), 'no such folder'),
    (('--check=nowhere', '--output=a'), '--output says nothing beside --check'),
    (
      ('--bundle=.', '--output=a', '--data_dir=.'),
      '--data_dir says nothing without --builder',
    ),
    (('--bundle=.', '--output=out', '--file_mib=0'), 'file_mib'),
  ],
)
def test_mistakes_are_one_line(launcher, tmp_path, args, message):
  done = launcher.run(*args, folder=tmp_path)
  assert done.code == 2 and done.stdout == ''
  (line,) = runs.error_lines(done.stderr)
  assert message in line and len(line) <= 300
  assert not list(tmp_path.iterdir())
