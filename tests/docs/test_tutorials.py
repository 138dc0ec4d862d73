"""Every tutorial's commands, run in its order as they stand on its page."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests import runs
from tests.docs import pages

TUTORIALS = sorted(p.name for p in (pages.DOCS / 'tutorials').glob('*.md'))

# What a page promises to leave behind.
RESULTS = {
  'first-ranking.md': (
    'runs/first/metrics.json',
    'metrics.json',
    'clothing_10.csv',
    'report/report.html',
  ),
  'own-features.md': ('my_bundle/accounts.csv', 'acme.csv'),
  'own-method.md': ('comparison/table.csv',),
}
SAID = {
  'first-ranking.md': 'AUC',
  'own-features.md': 'influencer_',
  'own-method.md': 'topics alone',
}


def run_page(name: str, folder: pathlib.Path) -> subprocess.CompletedProcess:
  """Runs a page's blocks in one shell, in an empty folder."""
  script = '\n'.join(pages.blocks(f'tutorials/{name}', 'bash'))
  here = folder / 'here'
  here.mkdir()
  return subprocess.run(
    ['bash', '-euo', 'pipefail', '-c', script],
    cwd=here,
    env={
      **runs.environment(),
      'PATH': f'{pathlib.Path(sys.executable).parent}{os.pathsep}'
      f'{os.environ["PATH"]}',
      'PYTHONPATH': str(pages.ROOT),
      'TFDS_DATA_DIR': str(folder / 'tfds'),
    },
    capture_output=True,
    text=True,
    timeout=runs.PATIENCE,
    check=False,
  )


@pytest.mark.slow
@pytest.mark.parametrize('name', TUTORIALS)
def test_a_tutorial_runs_as_it_stands(name, tmp_path):
  done = run_page(name, tmp_path)
  assert done.returncode == 0, done.stdout + done.stderr
  assert SAID[name] in done.stdout
  for result in RESULTS[name]:
    assert (tmp_path / 'here' / result).stat().st_size, result


def test_there_are_three_tutorials_and_all_are_run():
  assert set(TUTORIALS) == set(RESULTS) == set(SAID)
  assert len(TUTORIALS) >= 3
