"""`launch.recommend` as it is typed: what it writes, and its mistakes."""

import csv
import io
import itertools
import json
import shutil
import subprocess
import time

import numpy as np
import openpyxl
import pytest

from morning_jax.data.bundle import bundle as bundle_lib
from tests import runs
from tests.attack import forked
from tests.launch import test_distributed

pytestmark = pytest.mark.xdist_group('launch.recommend')
_number = itertools.count()


@pytest.fixture(scope='module')
def workdir(bundle, tmp_path_factory):
  folder = tmp_path_factory.mktemp('runs') / 'trained'
  runs.run(runs.config(bundle, train__epochs=2), folder)
  return folder


@pytest.fixture(scope='module')
def ask(workdir, tmp_path_factory):
  """Runs a command line; returns how it ended."""
  launcher = forked.Launcher('launch.recommend')
  root = tmp_path_factory.mktemp('asked')

  def run(*args: str) -> forked.Ended:
    folder = root / f'{next(_number)}'
    folder.mkdir()
    if not any(a.startswith('--workdir') for a in args):
      args = (f'--workdir={workdir}', *args)
    ended = launcher.run(*args, folder=folder)
    ended_in = sorted(p.name for p in folder.iterdir())
    if ended.code:
      assert ended_in == [], 'something half written'
    return ended

  yield run
  launcher.close()


def test_the_table_reads(ask):
  done = ask('--brand=drink_02', '--top_k=4', '--reasons=2')
  assert done.code == 0, done.stderr
  lines = done.stdout.splitlines()
  assert lines[0] == 'drink_02 (drink)'
  assert lines[1].startswith('model of step ')
  assert 'followers' in done.stdout and 'above' in done.stdout
  assert done.stdout.count('speaks for') == 2
  assert done.stdout.count('how sure') == 2
  assert ' of 8 held-out' in done.stdout
  assert 'topic: ' in done.stdout
  assert max(map(len, lines)) < 140


def test_files_carry_where_they_come_from(ask, tmp_path):
  for kind in ('json', 'csv', 'xlsx'):
    file = tmp_path / f'found.{kind}'
    done = ask(
      '--brand=drink_02', '--top_k=5', f'--format={kind}', f'--output={file}'
    )
    assert done.code == 0, done.stderr
    assert done.stdout == f'written to {file}\n'
  whole = json.loads((tmp_path / 'found.json').read_text())
  assert whole['brand'] == 'drink_02' and len(whole['bundle_fingerprint']) == 64
  assert whole['step'] > 0 and whole['date'].endswith('+00:00')
  text = (tmp_path / 'found.csv').read_text('utf-8-sig')
  rows = list(csv.DictReader(io.StringIO(text)))
  book = openpyxl.load_workbook(tmp_path / 'found.xlsx')
  header, *cells = book['recommendations'].iter_rows(values_only=True)
  assert list(header) == list(rows[0])
  for found, row, line in zip(
    whole['recommendations'], rows, cells, strict=True
  ):
    assert row['influencer'] == found['influencer_id'] == line[1]
    assert float(row['score']) == pytest.approx(found['score'], abs=1e-4)
    parts = sum(p['value'] for p in found['parts'])
    assert parts == pytest.approx(found['score'] - found['typical_score'])
    assert row['bundle fingerprint'] == whole['bundle_fingerprint']
    assert row['model step'] == str(whole['step'])
    assert row['date'][:10] == whole['date'][:10]
    # Every row of a file is explained.
    assert found['speaks_for'] and row['speaks for']
    assert found['band']['words'] == row['how sure']
  about = dict(book['about'].iter_rows(values_only=True))
  assert about['bundle_fingerprint'] == whole['bundle_fingerprint']


def test_a_new_brand_a_shortlist_and_the_other_questions(ask, bundle, tmp_path):
  data = bundle_lib.read_bundle(bundle)
  row = int(np.flatnonzero(~np.isnan(data.features['content_text'][:, 0]))[0])
  (tmp_path / 'acme.json').write_text(
    json.dumps(
      {
        'name': 'acme',
        'content_text': data.features['content_text'][row].tolist(),
      }
    )
  )
  (tmp_path / 'out').write_text('creator_0001\ncreator_0002\n')
  done = ask(
    f'--brand_file={tmp_path}/acme.json', '--top_k=478', '--format=csv',
    f'--exclude={tmp_path}/out', '--followers_from=20000',
  )  # fmt: skip
  assert done.code == 0, done.stderr
  rows = list(csv.DictReader(io.StringIO(done.stdout.removeprefix('\ufeff'))))
  assert 'note: the filters leave ' in done.stderr
  assert {r['asked for'] for r in rows} == {'acme'}
  assert all(int(r['followers']) >= 20_000 for r in rows)
  assert not {'creator_0001', 'creator_0002'} & {r['influencer'] for r in rows}
  assert {r['how sure'] for r in rows} >= {
    'unknown: the brand shows no audience and no attribute'
  }
  done = ask('--brand=drink_02', '--shortlist=3', '--budget=90000')
  assert done.code == 0, done.stderr
  assert 'followers in all: ' in done.stdout
  done = ask('--influencer=creator_0003', '--top_k=2', '--format=json')
  assert [b['rank'] for b in json.loads(done.stdout)['found']] == [1, 2]
  done = ask('--similar_to=creator_0003', '--perspective=content')
  assert done.code == 0 and 'similarity' in done.stdout


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (('--brand=drink_2',), "brand 'drink_2' is none of the 48"),
    *(
      pytest.param(args, message, marks=pytest.mark.slow)
      for args, message in (
        (('--brand=drink_02', '--top_k=481'), 'there are 480 influencers'),
        (('--brand=drink_02', '--followers_from=99999999'), 'leave nobody'),
        (('--similar_to=creator_0003', '--perspective=x'), 'the model has'),
      )
    ),
  ],
)
def test_mistakes_that_a_catalogue_finds(ask, args, message):
  done = ask(*args)
  assert done.code == 2 and done.stdout == ''
  (line,) = runs.error_lines(done.stderr)
  assert message in line and len(line) <= 300


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    ((), 'name one of --brand, --brand_file'),
    (('--brand=a', '--influencer=b'), 'not --brand and --influencer'),
    (('--all_brands', '--brand=b'), 'not --brand and --all_brands'),
    (('--all_brands', '--output=a'), 'with --format=csv, json, xlsx'),
    (('--all_brands', '--format=csv'), '--all_brands writes a file: --output'),
    (
      ('--all_brands', '--format=csv', '--output=a', '--budget=1'),
      '--budget says nothing of an answer to --all_brands',
    ),
    (
      ('--similar_to=a', '--followers_to=0'),
      '--followers_to says nothing of an answer to --similar_to',
    ),
    (('--influencer=a', '--needs=audience'), '--needs says nothing'),
    *(
      (
        ('--brand=a', f'--{flag}'),
        f'--{flag[:-3]} says nothing without --short',
      )
      for flag in ('budget=.5', 'costs=.5', 'diversity=.5', 'reach=.5')
    ),
    (
      ('--brand=a', '--perspective=content'),
      '--perspective says nothing without --similar_to',
    ),
    (('--brand=a', '--budget=nan'), '--budget=nan is not finite'),
    (('--brand=a', '--format=xlsx'), 'needs --output'),
    (('--brand=a', '--format=pdf'), 'format'),
    (('--brand=a', '--exclude=nowhere'), 'nowhere'),
    (('--brand=a', '--output=no/where.csv'), 'its folder does not exist'),
    (('--brand=a', '--workdir=nowhere'), 'no such folder'),
    (('--brand=a', '--workdir=.'), 'checkpoint'),
    (('--brand=a', '--bundle=nowhere'), 'no such folder'),
  ],
)
def test_mistakes_of_the_command_line(ask, args, message):
  done = ask(*args)
  assert done.code == 2 and done.stdout == ''
  (line,) = runs.error_lines(done.stderr)
  assert message in line and len(line) <= 300


def all_brands(workdir, file):
  return [
    f'--workdir={workdir}', '--all_brands', '--top_k=4', '--format=csv',
    f'--output={file}',
  ]  # fmt: skip


def rows_of(file):
  text = file.read_bytes().decode('utf-8-sig')
  return list(csv.DictReader(io.StringIO(text, newline='')))


def test_all_brands_by_two_processes_are_those_of_one(ask, workdir, tmp_path):
  done = ask(*all_brands(workdir, tmp_path / 'one.csv'))
  assert done.code == 0, done.stderr
  assert (
    done.stdout == f'written to {tmp_path}/one.csv: 192 rows of 48 brands\n'
  )
  assert 'ranking: 100%' in done.stderr and 'brands/s' in done.stderr
  first, second = test_distributed.ends(
    test_distributed.start_two(
      *all_brands(workdir, tmp_path / 'two.csv'), module='recommend'
    )
  )
  assert first[0] == second[0] == 0, (first[2], second[2])
  assert 'written to' in first[1] and 'written to' not in second[1]
  assert sorted(p.name for p in tmp_path.iterdir()) == ['one.csv', 'two.csv']
  one, two = rows_of(tmp_path / 'one.csv'), rows_of(tmp_path / 'two.csv')
  assert len(one) == len(two) == 192
  for a, b in zip(one, two, strict=True):
    for name in ('brand', 'rank', 'place', 'influencer', 'how sure', 'lacks'):
      assert b[name] == a[name]
    assert float(b['score']) == pytest.approx(float(a['score']), abs=1e-3)


@pytest.mark.slow
def test_all_brands_killed_and_run_again_write_the_same_bytes(
  ask, workdir, tmp_path
):
  file, folder = tmp_path / 'all.csv', tmp_path / 'all.csv.parts'
  process = subprocess.Popen(
    runs.command(*all_brands(workdir, file), module='recommend'),
    env=runs.environment(), cwd=runs.ROOT,
  )  # fmt: skip
  while process.poll() is None and not (folder / 'job.json').exists():
    time.sleep(0.002)
  process.kill()
  process.wait()
  assert not file.exists()
  note = (folder / 'job.json').read_text()
  assert ask(*all_brands(workdir, file)).code == 0
  assert not folder.exists()
  resumed = file.read_bytes()
  assert json.loads(note)['date'] in resumed.decode()
  folder.mkdir()
  (folder / 'job.json').write_text(note)
  assert ask(*all_brands(workdir, file)).code == 0
  assert file.read_bytes() == resumed
  folder.mkdir()
  (folder / 'job.json').write_text(note.replace('"top_k": 4', '"top_k": 5'))
  done = ask(*all_brands(workdir, file))
  (line,) = runs.error_lines(done.stderr)
  assert done.code == 2 and 'with another top_k;' in line and len(line) <= 300
  assert file.read_bytes() == resumed


@pytest.mark.slow
def test_who_is_left_out_is_named_by_no_answer(ask, tmp_path):
  exclude = tmp_path / 'exclude.txt'
  similar = ('--similar_to=creator_0003', '--top_k=3', '--format=json')
  first = json.loads(ask(*similar).stdout)['found'][0]['influencer']
  exclude.write_text(f'{first}\n')
  assert first not in ask(*similar, f'--exclude={exclude}').stdout
  exclude.write_text('creator_0003\n')
  for question in ('similar_to', 'influencer'):
    done = ask(f'--{question}=creator_0003', f'--exclude={exclude}')
    assert done.code == 2
    assert "influencer 'creator_0003' is left out" in done.stderr


@pytest.mark.slow
def few_influencers(bundle, folder):
  """A bundle with the first three influencers of another, alphabetically."""
  shutil.copytree(bundle, folder)
  rows = list(csv.DictReader((bundle / 'accounts.csv').open()))
  names = sorted(r['account_id'] for r in rows if r['role'] == 'influencer')
  gone = {*names[3:]}
  kept = [r['account_id'] not in gone for r in rows]
  for array in folder.glob('*.npy'):
    np.save(array, np.load(array)[kept])
  for table in folder.glob('*.csv'):
    lines = table.read_text().splitlines(keepends=True)
    table.write_text(
      ''.join(line for line in lines if not gone & {*line.strip().split(',')})
    )
  return folder


def test_where_there_are_fewer_than_ten_all_are_listed(ask, bundle, tmp_path):
  few = few_influencers(bundle, tmp_path / 'few')
  for asked, count in (
    ('--brand=drink_02', 3),
    ('--similar_to=creator_0001', 2),
    ('--influencer=creator_0001', 10),
  ):
    done = ask(
      asked, f'--bundle={few}', '--include_cooperating', '--format=csv'
    )
    assert done.code == 0, done.stderr
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == count
  done = ask('--brand=drink_02', f'--bundle={few}', '--top_k=4')
  assert done.code == 2 and 'there are 3 influencers' in done.stderr


def test_a_bundle_of_other_sizes_or_none(ask, bundle, tmp_path):
  other = tmp_path / 'other'
  shutil.copytree(bundle, other)
  topics = np.load(bundle / 'content_text.npy')
  np.save(other / 'content_text.npy', topics[:, :5])
  (other / 'feature_names.csv').unlink()
  done = ask('--brand=drink_02', f'--bundle={other}')
  (line,) = runs.error_lines(done.stderr)
  assert done.code == 2 and 'content_text has 5 features' in line
  topics[3, 2] = np.nan
  np.save(other / 'content_text.npy', topics)
  done = ask('--brand=drink_02', f'--bundle={other}')
  (line,) = runs.error_lines(done.stderr)
  assert done.code == 2 and 'NaN in column 2' in line
  (other / 'accounts.csv').write_text('account_id,role,category,split\n')
  done = ask('--brand=drink_02', f'--bundle={other}')
  (line,) = runs.error_lines(done.stderr)
  assert done.code == 2 and 'no accounts' in line
