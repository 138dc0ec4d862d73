"""`launch.forget` as it is typed."""

import numpy as np
import pytest

from morning_jax.data.bundle import bundle as bundle_lib
from tests import runs

COMMAND = 'launch.forget'
pytestmark = pytest.mark.xdist_group(COMMAND)


def test_it_removes_says_so_and_can_be_repeated(launcher, tmp_path):
  bundle = runs.write_bundle(tmp_path / 'bundle')
  args = ('--bundle=bundle', '--account=creator_0003', '--exclude=out.txt')
  done = launcher.run(*args, folder=tmp_path)
  assert done.code == 0, done.stderr
  assert "influencer 'creator_0003' removed: the account" in done.stdout
  assert "out.txt: 'creator_0003' added" in done.stdout
  assert 'train again' in done.stderr
  ids = bundle_lib.read_bundle(bundle).accounts.ids
  assert 'creator_0003' not in ids and len(ids) == 527
  done = launcher.run(*args, folder=tmp_path)
  assert done.code == 0, done.stderr
  assert 'nobody is named' in done.stdout and 'near: ' in done.stdout
  assert 'is there already' in done.stdout
  assert (tmp_path / 'out.txt').read_text() == 'creator_0003\n'
  # An index that was not named before may have the account still.
  for rows, code in ((480, 2), (479, 0)):
    np.save(tmp_path / 'index.npy', np.zeros((rows, 4), np.float32))
    done = launcher.run(*args, '--index=index.npy', folder=tmp_path)
    assert done.code == code, done.stderr
    assert ('has 480 rows, the bundle 479' in done.stderr) == bool(code)


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (('--bundle=nowhere', '--account=a'), 'no such folder'),
    (('--bundle=.', '--account=a'), 'a bundle needs it'),
    (('--bundle=.',), 'account'),
    (('--bundle=.', '--account='), 'is empty'),
    (('--bundle=.', '--account=a', '--role=x'), 'role'),
    (('--bundle=.', '--account=a', '--exclude=no/x'), 'folder does not exist'),
  ],
)
def test_mistakes_are_one_line(launcher, tmp_path, args, message):
  done = launcher.run(*args, folder=tmp_path)
  assert done.code == 2 and done.stdout == ''
  (line,) = runs.error_lines(done.stderr)
  assert message in line and len(line) <= 300
  assert not list(tmp_path.iterdir())
