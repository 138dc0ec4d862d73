"""Commands that many tests run, and what they are asked about."""

from collections.abc import Iterator
import pathlib

import pytest

from tests import runs
from tests.attack import forked


@pytest.fixture(scope='session')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@pytest.fixture(scope='session')
def trained(
  bundle: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
  """The working folder of a short training."""
  workdir = tmp_path_factory.mktemp('runs') / 'trained'
  done = runs.launch(
    '--config=configs/morning.py:smoke',
    '--config.train.epochs=1',
    f'--config.data.bundle={bundle}',
    f'--workdir={workdir}',
  )
  assert done.returncode == 0, done.stderr
  assert f'launch.evaluate --workdir={workdir}' in done.stdout
  return workdir


@pytest.fixture(scope='module')
def launcher(request: pytest.FixtureRequest) -> Iterator[forked.Launcher]:
  """A server of the command that the module names as its `COMMAND`."""
  found = forked.Launcher(request.module.COMMAND)
  yield found
  found.close()
