"""`launch.report` as it is typed."""

import pytest

from tests import runs
from tests.report import comparisons

COMMAND = 'launch.report'
pytestmark = pytest.mark.xdist_group(COMMAND)


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  bundle = runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')
  folder = tmp_path_factory.mktemp('runs') / 'trained'
  runs.run(runs.config(bundle, train__epochs=2), folder)
  return folder


def test_it_writes_a_page_and_two_cards(launcher, workdir, tmp_path):
  comparisons.write(tmp_path)
  (tmp_path / 'out').write_text('creator_0001\n')
  done = launcher.run(
    f'--workdir={workdir}', '--output=report', '--brands=drink_02',
    '--cases=1', '--exclude=out', '--comparison=.', '--license=cc-by-4.0',
    folder=tmp_path,
  )  # fmt: skip
  assert done.code == 0, done.stderr
  assert done.stdout == (
    'written to report: report.html, model_card.md, data_card.md\n'
  )
  files = {p.name: p.read_text() for p in (tmp_path / 'report').iterdir()}
  assert set(files) == {'report.html', 'model_card.md', 'data_card.md'}
  assert '<h3>drink_02</h3>' in files['report.html']
  assert files['report.html'].count('class="case') == 3
  assert 'without its parts' in files['report.html']
  assert 'license: "cc-by-4.0"' in files['model_card.md']


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (('--output=.',), 'exists already'),
    (('--output=new', '--exclude=nobody.txt'), 'nobody.txt'),
    (('--output=new', '--workdir=nowhere'), 'no such folder'),
    (('--output=new', '--cases=-1'), 'cases'),
    ((), 'output'),
    *(
      pytest.param(args, message, marks=pytest.mark.slow)
      for args, message in (
        (('--output=new', '--brands=drink_2'), "brand 'drink_2' is none"),
        (('--output=new', '--comparison=nowhere'), 'results.json'),
        (('--output=new', '--license=a: b'), "license 'a: b': is no name"),
      )
    ),
  ],
)
def test_mistakes_are_one_line(launcher, workdir, tmp_path, args, message):
  (tmp_path / 'mine').write_text('')
  if not any(a.startswith('--workdir') for a in args):
    args = (f'--workdir={workdir}', *args)
  done = launcher.run(*args, folder=tmp_path)
  assert done.code == 2 and done.stdout == ''
  (line,) = runs.error_lines(done.stderr)
  assert message in line and len(line) <= 300
  assert [p.name for p in tmp_path.iterdir()] == ['mine']
