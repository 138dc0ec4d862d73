"""What is packaged: all that the commands need, under the right names.

`bash .ci/package` installs the wheel into an empty environment; here it is
built and looked into, and its commands run from the unpacked wheel, outside of
the checkout.
"""

import configparser
import email
from importlib import metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

from packaging import requirements
from packaging import utils
import pytest

from tests import runs

ROOT = runs.ROOT
PACKAGES = ('configs', 'launch', 'morning_jax')


def settings() -> configparser.ConfigParser:
  parser = configparser.ConfigParser()
  parser.read(ROOT / 'setup.cfg', encoding='utf-8')
  return parser


def listed(section: str, key: str) -> list[str]:
  lines = settings()[section][key].splitlines()
  return [x.strip() for x in lines if x.strip() and not x.startswith('#')]


def package_files() -> set[str]:
  """All files of the packages, as they stand in the checkout."""
  return {
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in (ROOT / package).rglob('*')
    if path.is_file() and '__pycache__' not in path.parts
  }


def commands() -> list[str]:
  """The modules of launch/ that are run with `python -m`."""
  return [
    path.stem
    for path in sorted((ROOT / 'launch').glob('*.py'))
    if "if __name__ == '__main__':" in path.read_text(encoding='utf-8')
    and path.stem != 'supervisor'  # a part of the others
  ]


@pytest.fixture(scope='module')
def built(tmp_path_factory) -> dict[str, pathlib.Path]:
  """The sdist and the wheel, built from a copy of the checkout."""
  copy = tmp_path_factory.mktemp('source') / 'morning_jax'
  out = tmp_path_factory.mktemp('dist')
  copy.mkdir()
  for name in (
    *('setup.cfg', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE'),
    *('NOTICE', 'CHANGELOG.md', 'CITATION.cff'),
  ):
    shutil.copy(ROOT / name, copy)
  for package in PACKAGES:
    shutil.copytree(
      ROOT / package,
      copy / package,
      ignore=shutil.ignore_patterns('__pycache__'),
    )
  done = subprocess.run(
    [
      sys.executable,
      '-c',
      # The hooks change sys.argv.
      'import sys; from setuptools import build_meta as b; out = sys.argv[1];'
      'b.build_sdist(out); b.build_wheel(out)',
      str(out),
    ],
    cwd=copy,
    capture_output=True,
    text=True,
    timeout=runs.PATIENCE,
    check=False,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  (wheel,), (sdist,) = out.glob('*.whl'), out.glob('*.tar.gz')
  return {'wheel': wheel, 'sdist': sdist}


def test_the_wheel_has_every_file_of_the_packages_and_no_other(built):
  with zipfile.ZipFile(built['wheel']) as wheel:
    names = {n for n in wheel.namelist() if '.dist-info/' not in n}
  assert package_files() - names == set()
  assert names - package_files() == set()


def test_the_sdist_has_them_too(built):
  with tarfile.open(built['sdist']) as sdist:
    names = {n.partition('/')[2] for n in sdist.getnames()}
  assert package_files() - names == set()
  assert {'LICENSE', 'NOTICE', 'CHANGELOG.md', 'CITATION.cff'} <= names


def test_the_metadata_says_what_it_is(built):
  with zipfile.ZipFile(built['wheel']) as wheel:
    names = wheel.namelist()
    (path,) = (n for n in names if n.endswith('.dist-info/METADATA'))
    told = email.message_from_bytes(wheel.read(path))
    folder = path.rpartition('/')[0]
    for name in ('LICENSE', 'NOTICE'):
      assert wheel.read(f'{folder}/licenses/{name}') == (
        (ROOT / name).read_bytes()
      )
  assert told['Name'] == 'morning_jax'
  assert told['Version'] == settings()['metadata']['version']
  assert 'Apache-2.0' in (
    told.get('License', '') + told.get('License-Expression', '')
  )
  assert told['Requires-Python'] == '>=3.11'
  assert told['Description-Content-Type'] == 'text/markdown'
  extras = set(settings()['options.extras_require'])
  assert set(told.get_all('Provides-Extra')) == extras
  needed = {
    requirements.Requirement(r).name
    for r in told.get_all('Requires-Dist')
    if 'extra ==' not in r
  }
  assert needed == {
    requirements.Requirement(r).name
    for r in listed('options', 'install_requires')
  }


def test_every_command_is_in_the_readme_or_its_pages():
  text = (ROOT / 'README.md').read_text(encoding='utf-8')
  assert 'train' in commands() and len(commands()) >= 12
  for command in commands():
    assert f'launch.{command}' in text, command


@pytest.mark.slow
@pytest.mark.parametrize('command', commands())
def test_a_command_runs_from_the_wheel_alone(command, built, tmp_path):
  wheel = tmp_path / 'wheel'
  with zipfile.ZipFile(built['wheel']) as packed:
    packed.extractall(wheel)
  here = tmp_path / 'here'
  here.mkdir()
  done = subprocess.run(
    [sys.executable, '-m', f'launch.{command}', '--help'],
    cwd=here,
    env={**os.environ, 'PYTHONPATH': str(wheel)},
    capture_output=True,
    text=True,
    timeout=runs.PATIENCE,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert str(wheel) in done.stdout  # where absl found the flags
  assert str(ROOT) not in done.stdout


def locked_versions(python: str) -> dict[str, str]:
  locked = {}
  text = (ROOT / f'constraints-{python}.txt').read_text(encoding='utf-8')
  for line in text.splitlines():
    if line and not line.startswith('#'):
      name, _, found = line.partition('==')
      assert re.fullmatch(r'[A-Za-z0-9._-]+', name), line
      assert found, line
      locked[utils.canonicalize_name(name)] = found
  return locked


@pytest.mark.parametrize('version', ['3.11', '3.12'])
def test_the_lock_file_has_every_dependency_in_a_version_that_is_allowed(
  version,
):
  locked = locked_versions(version)
  wanted = listed('options', 'install_requires')
  for extra in settings()['options.extras_require']:
    if extra not in ('tpu', 'gpu', 'benchmark'):
      wanted += listed('options.extras_require', extra)
  for line in wanted:
    requirement = requirements.Requirement(line)
    name = utils.canonicalize_name(requirement.name)
    if name == 'morning-jax':
      continue
    assert name in locked, name
    assert requirement.specifier.contains(locked[name], prereleases=True), line


@pytest.mark.parametrize('extra', ['tpu', 'cuda13'])
def test_the_lock_file_leaves_jax_what_an_accelerator_takes(extra):
  python = f'{sys.version_info.major}.{sys.version_info.minor}'
  if not (ROOT / f'constraints-{python}.txt').exists():
    pytest.skip(f'no lock file for Python {python}')
  locked = locked_versions(python)
  if metadata.version('jax') != locked['jax']:
    pytest.skip('what the locked JAX takes is told by none but itself')
  wanted = [
    requirement
    for requirement in map(requirements.Requirement, metadata.requires('jax'))
    if requirement.marker and requirement.marker.evaluate({'extra': extra})
  ]
  assert wanted
  for requirement in wanted:
    found = locked.get(utils.canonicalize_name(requirement.name))
    assert found is None or requirement.specifier.contains(found), requirement
