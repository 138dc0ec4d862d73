"""What a comparison found is read as it was written."""

import json
import re

import pytest

from morning_jax.comparison import statistics
from morning_jax.comparison.methods import morning_rows
from morning_jax.core import errors
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.report import ablations
from tests.report import comparisons as made


def test_methods_come_best_first_with_their_differences(tmp_path):
  found = ablations.read(made.write(tmp_path), data_fingerprint='f00d')
  assert [r.name for r in found.rows] == ['MORNING', '<b>content</b> only', 'x']
  whole, part, undefined = found.rows
  assert whole.difference is None and undefined.metrics['map'].value is None
  assert (part.difference.value, part.difference.low) == (-0.05, -0.08)
  assert part.metrics['map'].high == 0.3 and part.trainings == 2
  assert (found.folds, found.repetitions, found.same_data) == (2, 1, True)
  other = ablations.read(tmp_path, data_fingerprint='beef')
  assert not other.same_data


def test_it_is_what_the_comparison_writes():
  cell = statistics.Cell(0.1)
  assert {'mean', 'low', 'high'} <= vars(cell).keys()
  assert {'difference', 'difference_low', 'difference_high'} <= vars(
    cell
  ).keys()
  assert ablations._REFERENCE == morning_rows.REFERENCE
  assert set(metrics_lib.TITLES) == set(made.METRICS)


def map_of(found):
  return found['methods']['morning']['summary']['map']


@pytest.mark.parametrize(
  'change',
  [
    lambda found: found.pop('protocol'),
    lambda found: found['methods']['x'].pop('summary'),
    lambda found: found['methods']['x']['summary'].pop('map'),
    lambda found: found['methods']['morning']['summary']['map'].update(
      mean='?'
    ),
    lambda found: found['methods']['morning']['summary']['map'].update(
      mean=float('nan')
    ),
    lambda found: found.update(methods=[1]),
  ],
)
def test_what_is_no_comparison_is_one_line(tmp_path, change):
  found = made.results()
  change(found)
  (tmp_path / 'results.json').write_text(json.dumps(found))
  with pytest.raises(errors.UserError, match=r'is not what launch\.compare'):
    ablations.read(tmp_path, data_fingerprint='')


def test_no_file_and_no_json(tmp_path):
  with pytest.raises(errors.UserError, match=re.escape('results.json')):
    ablations.read(tmp_path, data_fingerprint='')
  (tmp_path / 'results.json').write_text('[' * 10_000)
  with pytest.raises(errors.UserError, match='is not what'):
    ablations.read(tmp_path, data_fingerprint='')
