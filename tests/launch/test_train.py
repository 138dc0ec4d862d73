"""Training by the command line: its mistakes end in one line."""

import shutil
import subprocess

import numpy as np
import pytest

from tests import runs
from tests.attack import harness
from tests.launch import commands

FLAGS = {
  'unknown field': (['--config.train.epoch=3'], 'near: train.epochs'),
  'unknown section': (['--config.trian.epochs=3'], 'near: train.epochs'),
  'wrong type': (['--config.train.epochs=many'], 'config.train.epochs=many'),
  'unknown variant': (['--config=configs/morning.py:smok'], 'smoke'),
  'no such file': (['--config=nope.py'], 'no such file nope.py'),
  'unknown flag': (['--wrkdir=x'], 'workdir'),
  'positional': (['smoke'], "unexpected argument 'smoke'"),
  'out of range': (['--config.train.batch_size=0'], 'at least 1'),
  'a field before its file': (
    ['--config.train.batch_size=0', '--config=configs/morning.py:paper'],
    'at least 1',
  ),
  'unknown value': (['--config.model.encoder=resdual'], 'residual'),
  'mesh': (['--config.mesh.data=3'], 'needs 3 devices, there are 1'),
  'infinite': (
    ['--config.evaluation.every_epochs=inf'],
    'config.evaluation.every_epochs=inf is not finite',
  ),
  'a seed below 0, of folds': (
    ['--config.seed=-1', '--config.data.folds=2'],
    'config.seed=-1 must be at least 0',
  ),
  'too many steps': (
    [f'--config.train.epochs={2**31 - 1}', '--config.train.batch_size=16'],
    'steps at most',
  ),
}


@pytest.mark.parametrize('name', FLAGS)
def test_mistakes_in_the_flags(name, bundle, tmp_path):
  args, said = FLAGS[name]
  line = commands.fails(
    *args, f'--config.data.bundle={bundle}', f'--workdir={tmp_path}/run'
  )
  assert said in line
  assert list(tmp_path.iterdir()) == []


def _truncate(folder):
  path = folder / 'content_text.npy'
  path.write_bytes(path.read_bytes()[:-100])


def _pickle(folder):
  np.save(folder / 'content_text.npy', np.array([[None]], object))


def _unknown_account(folder):
  with (folder / 'interactions.csv').open('a') as f:
    f.write('nobody,no one\n')


MISTAKES = {
  'missing file': (lambda f: (f / 'accounts.csv').unlink(), 'accounts.csv'),
  'truncated': (_truncate, 'content_text.npy'),
  'pickled': (_pickle, 'never loaded'),
  'unknown account': (_unknown_account, 'interactions.csv, row '),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_mistakes_in_the_bundle(name, bundle, tmp_path):
  damage, said = MISTAKES[name]
  folder = tmp_path / 'data'
  shutil.copytree(bundle, folder)
  damage(folder)
  line = commands.fails(
    f'--config.data.bundle={folder}', f'--workdir={tmp_path}/run'
  )
  assert said in line
  assert [p.name for p in tmp_path.iterdir()] == ['data']


def test_names_are_listed_with_commas(bundle, tmp_path):
  done = runs.launch(
    '--config=configs/morning.py:smoke',
    '--config.train.epochs=1',
    '--config.model.perspectives=content,audience',
    '--config.model.modalities=text',
    f'--config.data.bundle={bundle}',
    f'--workdir={tmp_path}/run',
  )
  assert done.returncode == 0, done.stderr
  assert 'audience/text/' in done.stdout and 'content/text/' in done.stdout
  assert 'attribute/' not in done.stdout and '/image/' not in done.stdout


def test_a_disk_that_is_full_ends_training_in_one_line(bundle, tmp_path):
  command = runs.command(
    '--config=configs/morning.py:smoke',
    '--config.train.epochs=1',
    f'--config.data.bundle={bundle}',
    f'--workdir={tmp_path}/run',
  )
  done = subprocess.run(
    ['bash', '-c', 'ulimit -f 40; exec "$@"', 'bash', *command],
    cwd=runs.ROOT,
    # The limit would leave broken programs in the cache that tests share.
    env={**runs.environment(), 'JAX_ENABLE_COMPILATION_CACHE': 'false'},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2, done.stderr
  line = harness.assert_one_line(done.stderr)
  assert line.startswith(f'error: {tmp_path}/run/checkpoints/')
  assert line.endswith(': File too large')
