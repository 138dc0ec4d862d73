"""`launch.prepare` as a person runs it."""

import json
import shutil

import pytest

from tests import runs
from tests.features import preparations

SMALL = (
  *('--image_encoder=pattern:12,6', '--topics=3', '--audience_topics=3'),
  *('--passes=2', '--min_count=2', '--workers=1'),
)


def prepare(*arguments):
  return runs.launch(*map(str, arguments), module='prepare')


@pytest.fixture(scope='module')
def raw(tmp_path_factory):
  return preparations.write_world(tmp_path_factory.mktemp('raw') / 'world')


@pytest.fixture(scope='module')
def bundle(raw, tmp_path_factory):
  folder = tmp_path_factory.mktemp('prepared') / 'bundle'
  done = prepare(f'--raw={raw}', f'--bundle={folder}', *SMALL)
  assert done.returncode == 0, done.stderr
  assert f'{folder}: written' in done.stdout
  assert f'--config.data.bundle={folder}' in done.stdout
  return folder


def test_a_bundle_its_report_and_nothing_else_are_left(bundle):
  assert sorted(p.name for p in bundle.parent.iterdir()) == [
    'bundle',
    'bundle.report',
  ]
  report = bundle.with_name('bundle.report')
  assert sorted(p.name for p in report.iterdir()) == [
    'left_over_words.csv',
    'summary.json',
    'unreadable_pictures.csv',
  ]
  counts = json.loads((report / 'summary.json').read_text())
  assert counts['posts'] > 200
  assert (bundle / 'fitted' / 'fitted.json').is_file()


def test_a_bundle_of_records(bundle, raw, tmp_path):
  folder = tmp_path / 'records'
  done = prepare(
    f'--raw={raw}', f'--bundle={folder}', f'--fitted={bundle}', '--records'
  )
  assert done.returncode == 0, done.stderr
  assert f'{folder}: written' in done.stdout
  assert (folder / 'records.json').is_file()
  assert not list(folder.glob('*.npy'))


def test_a_new_brand_is_prepared_for_a_trained_model(bundle, raw, tmp_path):
  model = tmp_path / 'run'
  trained = runs.launch(
    '--config=configs/morning.py:smoke',
    f'--config.data.bundle={bundle}',
    '--config.train.epochs=1',
    f'--workdir={model}',
  )
  assert trained.returncode == 0, trained.stderr
  new = tmp_path / 'new'
  new.mkdir()
  (new / 'accounts.csv').write_text(
    'account_id,role,category,split,biography\n'
    'acme,brand,shoes,test,running sneakers\n'
  )
  preparations.write_posts(
    new,
    [
      preparations.post(
        account_id='acme', caption='A skin serum and a lotion, a cleanser.'
      )
    ],
  )
  done = prepare(
    f'--raw={new}',
    f'--fitted={bundle}',
    f'--brand_files={tmp_path / "files"}',
    '--image_encoder=pattern:12,6',
  )
  assert done.returncode == 0, done.stderr
  brand = json.loads((tmp_path / 'files' / 'acme.json').read_text())
  assert brand['attributes'] == ['shoe']
  assert abs(sum(brand['content_text']) - 1) < 1e-5
  assert 'content_image' not in brand
  ranked = runs.launch(
    f'--workdir={model}',
    f'--brand_file={tmp_path / "files" / "acme.json"}',
    '--top_k=3',
    '--reasons=0',
    '--format=json',
    module='recommend',
  )
  assert ranked.returncode == 0, ranked.stderr
  assert ranked.stdout.count('creator_') >= 3


def _line_of(raw, change):
  lines = (raw / 'posts.jsonl').read_text().splitlines()
  lines[3] = change(json.loads(lines[3]))
  (raw / 'posts.jsonl').write_text('\n'.join(lines))


BAD_FLAGS = {
  'no output': ([], 'name one of --bundle and --brand_files'),
  'two outputs': (['--bundle=a', '--brand_files=b'], 'name one of'),
  'brand files alone': (
    ['--brand_files={out}'],
    '--brand_files: needs --fitted',
  ),
  'there already': (['--bundle={raw}'], 'exists already; name a new folder'),
  'encoder': (
    ['--bundle={out}', '--image_encoder=patern:3,4'],
    'did you mean pattern?',
  ),
  'weights': (['--bundle={out}', '--weights={out}'], 'imagenet'),
  'topics': (['--bundle={out}', '--topics=many'], '--topics='),
  'one topic': (['--bundle={out}', '--topics=1'], 'is less than 2'),
  'tagger': (['--bundle={out}', '--tagger=hant'], 'tagger'),
  'table': (
    ['--bundle={out}', '--is_a={raw}/nothing.csv', SMALL[0]],
    'nothing.csv',
  ),
  'fitted': (['--bundle={out}', '--fitted={raw}'], 'has no fitted.json'),
  'fitted decides': (
    ['--bundle={out}', '--fitted={raw}', '--topics=4'],
    '--topics: --fitted decides that',
  ),
  'beam': (['--bundle={out}', '--beam=--x'], '--beam: is of --runner'),
  'direct': (
    ['--bundle={out}', '--runner=DirectRunner'],
    'downloads a program',
  ),
  'work': (
    ['--bundle={out}', '--work={raw}', SMALL[0]],
    'holds something else than results',
  ),
  'records': (
    ['--records', '--brand_files={out}', '--fitted={raw}'],
    '--records: is of --bundle',
  ),
  'no source': (['--import=apify'], '--import: needs --source'),
  'two tasks': (
    ['--embedded', '--bundle={out}'],
    '--bundle says nothing beside --embedded, which writes the raw folder',
  ),
  'of features': (
    ['--import=apify', '--source={raw}', '--topics=4'],
    '--topics says nothing beside --import',
  ),
  'a world': (['--bundle={out}', '--world=full'], '--world says nothing'),
  'a source': (
    ['--bundle={out}', '--followers_table={raw}'],
    '--followers_table says nothing without --import=PROGRAM',
  ),
}


@pytest.mark.parametrize(
  'name', runs.slow_but(('no output', 'weights', 'work'), BAD_FLAGS)
)
def test_wrong_flags_are_one_line_and_leave_nothing(raw, tmp_path, name):
  arguments, problem = BAD_FLAGS[name]
  places = {'raw': raw, 'out': tmp_path / 'out'}
  done = prepare(f'--raw={raw}', *(a.format(**places) for a in arguments))
  assert done.returncode == 2, done.stderr
  (line,) = runs.error_lines(done.stderr)
  assert problem in line
  assert len(line) <= 307
  assert not (tmp_path / 'out').exists()


def test_a_post_that_is_wrong_is_told_or_skipped(raw, tmp_path):
  copy = tmp_path / 'raw'
  shutil.copytree(raw, copy)
  _line_of(copy, lambda post: json.dumps(post | {'timestamp': 'soon'}))
  out = tmp_path / 'out'
  done = prepare(f'--raw={copy}', f'--bundle={out}', *SMALL)
  assert done.returncode == 2
  (line,) = runs.error_lines(done.stderr)[-1:]
  assert 'posts.jsonl, row 4: timestamp' in line
  assert not out.exists()
  done = prepare(f'--raw={copy}', f'--bundle={out}', '--skip_bad', *SMALL)
  assert done.returncode == 0, done.stderr
  assert '1 posts are skipped, the first' in done.stderr
