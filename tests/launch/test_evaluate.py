"""Evaluation by the command line."""

import shutil

import numpy as np
import pytest

from tests import runs
from tests.launch import commands


def test_evaluate_writes_metrics_and_scores(trained, tmp_path):
  done = runs.launch(
    f'--workdir={trained}',
    '--split=valid',
    f'--json={tmp_path}/m.json',
    f'--scores={tmp_path}/s.npz',
    module='evaluate',
  )
  assert done.returncode == 0, done.stderr
  with np.load(tmp_path / 's.npz', allow_pickle=False) as scores:
    assert set(scores.files) == {
      'brand_ids',
      'influencer_ids',
      'scores',
      'content',
      'audience',
      'attribute',
    }
    shape = (len(scores['brand_ids']), len(scores['influencer_ids']))
    total = scores['content'] + scores['audience'] + scores['attribute']
    assert scores['scores'].shape == shape == total.shape
    np.testing.assert_allclose(scores['scores'], total, rtol=1e-5, atol=1e-5)


def test_a_foreign_bundle_that_does_not_fit(trained, bundle, tmp_path):
  folder = tmp_path / 'data'
  shutil.copytree(bundle, folder)
  (folder / 'audience_image.npy').unlink()
  (
    folder / 'feature_names.csv'
  ).unlink()  # names more numbers than there will be
  x = np.load(folder / 'content_text.npy')
  np.save(folder / 'content_text.npy', x[:, :-1])
  line = commands.fails(
    f'--workdir={trained}', f'--bundle={folder}', module='evaluate'
  )
  assert 'no audience_image, which audience needs' in line
  size = x.shape[1]
  assert f'content_text has {size - 1} features, the model' in line


def test_a_foreign_bundle_that_fits(trained, bundle, tmp_path):
  folder = tmp_path / 'data'
  shutil.copytree(bundle, folder)
  accounts = folder / 'accounts.csv'
  accounts.write_text(accounts.read_text().replace(',train,', ',test,'))
  done = runs.launch(
    f'--workdir={trained}', f'--bundle={folder}', module='evaluate'
  )
  assert done.returncode == 0, done.stderr
  assert 'test ' in done.stdout


EVALUATE = {
  'unknown split': (['--split=tset'], 'train, valid, test'),
  'no folder for the file': (['--json=nowhere/m.json'], 'does not exist'),
  'two splits': (['--split=valid,test', '--scores=s.npz'], 'one split'),
}


@pytest.mark.parametrize('name', EVALUATE)
def test_mistakes_of_evaluation(trained, name):
  args, said = EVALUATE[name]
  assert said in commands.fails(
    f'--workdir={trained}', *args, module='evaluate'
  )


def test_no_checkpoint(tmp_path):
  line = commands.fails(f'--workdir={tmp_path}', module='evaluate')
  assert 'has no checkpoint' in line


def test_the_table_is_shown_before_its_file_is_written(tmp_path):
  script = (
    'import errno\n'
    'from launch import command_line, evaluate\n'
    'metrics = {"num_brands": 7, "per_category": {}}\n'
    'def fail(*_):\n'
    '  raise OSError(errno.EDQUOT, "x", "m.json")\n'
    'evaluate.evaluate.evaluate = lambda *_, **__: {"test": metrics}\n'
    'evaluate.files.write_json = fail\n'
    'command_line.run(evaluate.main)\n'
  )
  table = tmp_path / 'table'
  done = commands.run_script(
    script, '--workdir=x', f'--json={tmp_path}/m.json', stdout=str(table)
  )
  assert (done.returncode, done.stderr) == (
    2,
    'error: m.json: Disk quota exceeded\n',
  )
  assert 'test' in table.read_text() and ' 7 ' in table.read_text()
