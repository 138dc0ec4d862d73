"""`launch.benchmark` as a person runs it."""

import dataclasses
import json

import jax
import pytest

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import registry
from tests import runs


def test_command_line_writes_the_figures(tmp_path):
  done = runs.launch(
    'encoding', '--quick', f'--json={tmp_path}/f.json', module='benchmark'
  )
  assert done.returncode == 0, done.stderr
  figures = json.loads((tmp_path / 'f.json').read_text())
  assert len(figures) == 2
  fields = {f.name for f in dataclasses.fields(harness.Measurement)}
  fields |= {'machine', 'device', 'platform', 'devices', 'threads'}
  assert set(figures[0]) == fields | {'versions', 'date'}
  assert figures[0]['versions']['jax'] == jax.__version__
  assert figures[0]['device'] == 'cpu'
  assert 'accounts/s' in done.stdout
  assert 'limited by' in done.stdout


MISTAKES = {
  'unknown name': (['trainig'], 'did you mean training?'),
  'no name': ([], 'name a benchmark'),
  'two names': (['paper', 'ranking'], "unexpected argument 'ranking'"),
  'no folder': (['paper', '--json=nowhere/f.json'], 'does not exist'),
  'list': (['checkpoint', '--parameters=10,many'], 'is no whole number of 1..'),
  'out of range': (['paper', '--epochs=0'], 'epochs'),
  'too few': (['scaling', '--accounts=99'], "'99' is no whole number of 100.."),
  'too many': (
    ['training', f'--batch_sizes={2**31}'],
    'is no whole number of 1..',
  ),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_mistakes_end_in_one_line(name):
  args, said = MISTAKES[name]
  done = runs.launch(*args, module='benchmark')
  lines = done.stderr.strip().splitlines()
  assert done.returncode == 2, done.stderr
  assert len(lines) == 1, done.stderr
  assert said in lines[0]


def test_help_lists_the_benchmarks():
  done = runs.launch('--help', module='benchmark')
  assert done.returncode == 0
  for name in (*registry.BENCHMARKS, 'all'):
    assert f'\n  {name} ' in done.stdout
