"""Whole comparisons: what is written, and what they say."""

import csv
import dataclasses
import io
import json
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from morning_jax.checkpoint import workdir
from morning_jax.comparison import compare
from morning_jax.comparison import measurement
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import registry
from morning_jax.core import errors
from morning_jax.evaluation import metrics
from tests import runs
from tests.comparison import setups


def recipes():
  """Those of the smallest model, which plays no part here."""
  return setups.recipes(perspectives=('content',))


@pytest.fixture(scope='module')
def compared(world, tmp_path_factory):
  folder = tmp_path_factory.mktemp('compared')
  found = compare.compare(world, recipes(), setups.OPTIONS, folder)
  return folder, found


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files(world, compared, tmp_path, capsys):
  folder, _ = compared
  compare.compare(world, recipes(), setups.OPTIONS, tmp_path)
  files = setups.files_in(tmp_path)
  assert files == setups.files_in(folder)
  assert {'table.txt', 'table.csv', 'table.md', 'table.tex'} <= set(files)
  assert {'per_category.csv', 'per_category.md', 'results.json'} <= set(files)
  for name, content in files.items():
    assert str(tmp_path).encode() not in content, name
  assert files['table.txt'].decode() in capsys.readouterr().out


def test_a_killed_comparison_goes_on(world, compared, tmp_path, monkeypatch):
  folder, _ = compared
  expected = setups.files_in(folder)
  measured = []
  real = measurement.measure

  def counting(trial, *rest):
    if len(measured) == 5 and not stopped:
      raise KeyboardInterrupt
    measured.append(trial)
    return real(trial, *rest)

  stopped = []
  monkeypatch.setattr(measurement, 'measure', counting)
  with pytest.raises(KeyboardInterrupt):
    compare.compare(world, recipes(), setups.OPTIONS, tmp_path)
  stopped.append(True)
  damaged = next(tmp_path.rglob('seed-0-fold-1-of-2.json'))
  damaged.write_text(damaged.read_text()[:-30])
  compare.compare(world, recipes(), setups.OPTIONS, tmp_path)
  # Eight in all, five of them before, and one again.
  assert len(measured) == 9 and len(set(measured)) == 8
  assert setups.files_in(tmp_path) == expected


@pytest.mark.slow
def test_workers_give_the_same_numbers_however_many(world, tmp_path):
  for jobs in (1, 2):
    options = dataclasses.replace(setups.OPTIONS, jobs=jobs)
    compare.compare(world, recipes(), options, tmp_path / str(jobs))
  assert setups.files_in(tmp_path / '1') == setups.files_in(tmp_path / '2')


def test_tables_say_what_was_measured(compared):
  folder, found = compared
  morning = found['methods']['morning']
  folds = [f['metrics'] for f in morning['folds']]
  cell = morning['summary']['map']
  assert cell['mean'] == pytest.approx(np.mean([f['map'] for f in folds]))
  assert cell['low'] < cell['mean'] < cell['high']
  assert json.loads((folder / 'results.json').read_text()) == found
  half = (cell['high'] - cell['low']) / 2
  expected = f'{cell["mean"]:.3f} ±{half:.3f}'
  for name in ('table.txt', 'table.md'):
    line = next(
      x
      for x in (folder / name).read_text().splitlines()
      if x.lstrip('| ').startswith('MORNING ')
    )
    assert expected in line
  assert expected.replace('±', r'$\pm$') in (folder / 'table.tex').read_text()
  rows = list(csv.DictReader(io.StringIO((folder / 'table.csv').read_text())))
  assert len(rows) == 4 * len(metrics.METRICS)
  row = next(
    r for r in rows if (r['method'], r['metric']) == ('similarity', 'auc')
  )
  summary = found['methods']['similarity']['summary']['auc']
  assert float(row['difference']) == summary['difference']
  assert float(row['p_holm']) >= float(row['p'])
  auc = morning['summary']['auc']['mean']
  assert summary['difference'] == pytest.approx(summary['mean'] - auc)
  text = (folder / 'table.txt').read_text()
  assert 'Differences from MORNING' in text
  assert 'note: popularity: influencers that no training brand has' in text
  assert 'note: MORNING: S. Wang' in text


def test_categories_have_rows_of_their_own(world, compared):
  folder, found = compared
  rows = list(
    csv.DictReader(io.StringIO((folder / 'per_category.csv').read_text()))
  )
  brands = {r['category']: int(r['brands']) for r in rows}
  assert sum(brands.values()) == len(found['brands'])
  category = rows[0]['category']
  own = next(
    r
    for r in rows
    if (r['category'], r['method'], r['metric']) == (category, 'MORNING', 'map')
  )
  precisions = [
    value
    for fold in found['methods']['morning']['folds']
    for brand, value in zip(
      fold['brand'], fold['per_brand']['average_precision'], strict=True
    )
    if found['categories'][brand] == category
  ]
  assert len(precisions) == brands[category]
  assert float(own['mean']) == pytest.approx(np.mean(precisions))
  del world


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    (
      {'methods': ('similarty',)},
      "--methods='similarty': no such method; near: similarity",
    ),
    ({'methods': ()}, '--methods: names none'),
    (
      {'folds': 16},
      '--folds=16: .* has 31 training brands .* takes 2 to 15 folds, two',
    ),
    (
      {'methods': ('x' * 999,)},
      r"^--methods='x{75}\.\.\.': no such method; there are random, ",
    ),
    (
      {'seeds': 10_000, 'folds': 15},
      '--seeds=10000: 15 folds of 4 methods take 600,000 trainings, more than',
    ),
  ],
)
def test_mistakes_end_in_one_line(world, tmp_path, changes, message):
  options = dataclasses.replace(setups.OPTIONS, **changes)
  with pytest.raises(errors.UserError, match=message) as raised:
    compare.compare(world, setups.recipes(), options, tmp_path / 'new')
  assert '\n' not in str(raised.value)
  assert not (tmp_path / 'new').exists()


def test_a_folder_is_for_one_comparison_at_a_time(world, tmp_path):
  with (
    workdir.hold(tmp_path),
    pytest.raises(errors.UserError, match=r'another run .* works in it'),
  ):
    compare.compare(world, setups.recipes(), setups.FAST, tmp_path)


def test_drafts_of_a_killed_comparison_are_removed(world, tmp_path):
  script = 'import os; print(os.getpid())'
  gone = subprocess.run([sys.executable, '-c', script], capture_output=True)
  machine = socket.gethostname()[:60]
  for folder in ('', 'parts/random'):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    draft = f'.file.{machine}.{int(gone.stdout)}.abc.draft'
    (tmp_path / folder / draft).write_text('')
  compare.compare(world, setups.recipes(), setups.FAST, tmp_path)
  assert not list(tmp_path.rglob('.*'))


def test_a_method_that_fails_on_the_data_is_left_out(
  world, tmp_path, monkeypatch
):
  def score(task):
    raise errors.UserError('the data has no followers')

  known = registry.table(setups.recipes())
  picky = interface.Method('picky', 'Picky', 'nobody', score)
  few = {k: known[k] for k in ('random', 'similarity')} | {'picky': picky}
  monkeypatch.setattr(registry, 'table', lambda recipes: few)
  options = dataclasses.replace(setups.OPTIONS, methods=None)
  found = compare.compare(world, setups.recipes(), options, tmp_path / 'a')
  assert list(found['methods']) == ['random', 'similarity']
  assert 'Picky is left out: the data has no followers' in found['notes']
  options = dataclasses.replace(setups.OPTIONS, methods=('picky',))
  with pytest.raises(
    errors.UserError, match='--methods=picky: the data has no'
  ):
    compare.compare(world, setups.recipes(), options, tmp_path / 'b')


def test_costly_methods_are_repeated_less(world, tmp_path, monkeypatch):
  known = registry.table(setups.recipes())
  few = {k: known[k] for k in ('random', 'similarity')}
  few['similarity'] = dataclasses.replace(few['similarity'], costly=True)
  monkeypatch.setattr(registry, 'table', lambda recipes: few)
  options = dataclasses.replace(setups.OPTIONS, methods=None, seeds=2)
  found = compare.compare(world, setups.recipes(), options, tmp_path)
  counts = {k: len(m['folds']) for k, m in found['methods'].items()}
  assert counts == {'random': 4, 'similarity': 2}
  assert any('similarity: 1 of 2 repetitions' in n for n in found['notes'])
  assert [m.key for m in known.values() if m.costly] == [
    'morning-paper',
    'morning-release',
  ]


def test_the_command_ends_in_one_line(tmp_path):
  folder = runs.write_bundle(tmp_path / 'bundle')
  done = runs.launch(
    f'--bundle={folder}',
    '--methods=morningg',
    f'--workdir={tmp_path / "out"}',
    module='compare',
  )
  assert done.returncode == 2
  assert (
    done.stderr.strip()
    .splitlines()[-1]
    .startswith("error: --methods='morningg': no such method; near: morning")
  )
  assert not pathlib.Path(tmp_path / 'out').exists()


def test_a_method_that_diverges_is_left_out(world, tmp_path, monkeypatch):
  known = registry.table(setups.recipes())

  def score(task):
    shape = len(task.test.brand_row_B), len(task.test.candidate_row_M)
    return np.full(shape, np.nan, np.float32)

  wild = interface.Method('wild', 'Wild', 'nobody', score)
  few = {'random': known['random'], 'wild': wild}
  monkeypatch.setattr(registry, 'table', lambda recipes: few)
  options = dataclasses.replace(setups.OPTIONS, methods=('random', 'wild'))
  found = compare.compare(world, setups.recipes(), options, tmp_path)
  assert list(found['methods']) == ['random']
  assert any('Wild is left out: scores are not' in n for n in found['notes'])


def test_files_of_an_earlier_comparison_do_not_stay(world, tmp_path):
  for name in ('epochs.png', 'per_category.csv', 'mine.txt'):
    (tmp_path / name).write_text('old')
  compare.compare(world, setups.recipes(), setups.FAST, tmp_path)
  assert not (tmp_path / 'epochs.png').exists()
  assert (tmp_path / 'per_category.csv').read_text() != 'old'
  assert (tmp_path / 'mine.txt').read_text() == 'old'


def _file_above(folder):
  (folder / 'file').write_text('')
  return folder / 'file' / 'out'


def _file_for_parts(folder):
  (folder / 'parts').write_text('')
  return folder


def _loop(folder):
  (folder / 'loop').symlink_to('loop')
  return folder / 'loop'


def _folder_for_table(folder):
  (folder / 'table.txt').mkdir()
  return folder


@pytest.mark.parametrize(
  ('prepare', 'message'),
  [
    (_file_above, 'is no folder that can be written: .*Not a directory'),
    (lambda _: '/proc/nope', '--workdir=/proc/nope: is no folder that can be'),
    (_file_for_parts, 'is no folder that can be written: .*parts'),
    (_loop, '/loop: is no folder that can be written'),
    (_folder_for_table, 'table.txt there is a folder'),
  ],
)
def test_a_folder_that_can_not_be_written_is_found_first(
  world, tmp_path, monkeypatch, prepare, message
):
  monkeypatch.setattr(measurement, 'measure', None)  # nothing may be trained
  with pytest.raises(errors.UserError, match=message):
    compare.compare(world, setups.recipes(), setups.FAST, prepare(tmp_path))
