"""The data set's own test brands, beside the cross-validation."""

import csv
import dataclasses
import io

import numpy as np
import pytest

from morning_jax.comparison import compare
from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison.methods import registry
from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import splits
from morning_jax.evaluation import evaluator
from morning_jax.evaluation import metrics
from tests.comparison import setups

OWN = folds_lib.FoldSpec(seed=0, index=0, count=1)
OPTIONS = dataclasses.replace(setups.FAST, split='test')


def _with_valid(dataset, count=3):
  """Makes the first training brands validation brands."""
  split_A = dataset.accounts.splits.copy()
  rows = splits.select(dataset, 'train').brand_row_B[:count]
  split_A[rows] = 'valid'
  return dataclasses.replace(
    dataset, accounts=dataclasses.replace(dataset.accounts, splits=split_A)
  )


def test_all_training_brands_train_and_the_own_test_brands_are_held_out(world):
  data = _with_valid(world)
  task = folds_lib.make_task(data, OWN)
  for name, split in (('train', task.train), ('test', task.test)):
    expected = splits.select(data, name)
    np.testing.assert_array_equal(split.brand_row_B, expected.brand_row_B)
    np.testing.assert_array_equal(
      split.candidate_row_M, expected.candidate_row_M
    )
  assert splits.select(task.dataset, 'valid') is None
  assert set(task.dataset.positives_Px2[:, 0]) == set(task.train.brand_row_B)


def test_a_task_holds_nothing_of_the_test_pairs(world):
  other = setups.with_other_held_out_pairs(world, OWN)
  assert (other.positives_Px2 != world.positives_Px2).any()
  assert dataset_lib.fingerprint(
    folds_lib.make_task(other, OWN).dataset
  ) == dataset_lib.fingerprint(folds_lib.make_task(world, OWN).dataset)


def test_the_test_brands_have_tables_of_their_own(world, tmp_path, capsys):
  found = compare.compare(world, setups.recipes(), OPTIONS, tmp_path)
  truth = splits.select(world, 'test')
  ids = world.accounts.ids[truth.brand_row_B].tolist()
  assert found['test']['brands'] == ids
  assert not set(ids) & set(found['brands'])
  method = registry.table(setups.recipes())['similarity']
  score_BxM = method.score(folds_lib.make_task(world, OWN))
  expected = metrics.summarize(
    evaluator.statistics_of_scores(score_BxM, world.accounts, truth)
  )
  own = found['test']['methods']['similarity']
  assert [f['metrics'] for f in own['folds']] == [expected]
  assert own['summary']['map']['mean'] == pytest.approx(expected['map'])
  rows = {
    name: list(csv.DictReader(io.StringIO((tmp_path / name).read_text())))
    for name in ('table.csv', 'test_table.csv')
  }
  means = {
    name: next(
      float(r['mean'])
      for r in table
      if (r['method'], r['metric']) == ('similarity', 'map')
    )
    for name, table in rows.items()
  }
  assert means['test_table.csv'] == own['summary']['map']['mean']
  assert (
    means['table.csv']
    == found['methods']['similarity']['summary']['map']['mean']
  )
  text = (tmp_path / 'test_table.txt').read_text()
  assert text.count('Methods on the test brands\n') == 1
  assert f'{len(ids)} test brands, all training brands to train on' in text
  assert text in capsys.readouterr().out
  # The cross-validation is what it is without them.
  alone = compare.compare(world, setups.recipes(), setups.FAST, tmp_path)
  assert alone == {k: v for k, v in found.items() if k != 'test'}
  assert not list(tmp_path.glob('test_*'))


def test_no_test_brands_end_in_one_line(world, tmp_path):
  split_A = np.where(world.accounts.splits == 'test', '', world.accounts.splits)
  none = dataclasses.replace(
    world, accounts=dataclasses.replace(world.accounts, splits=split_A)
  )
  with pytest.raises(errors.UserError, match=r'--split=test: .* no test brand'):
    compare.compare(none, setups.recipes(), OPTIONS, tmp_path / 'new')
  assert not (tmp_path / 'new').exists()
