"""The time that is left, by hand."""

import pytest

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import measurement
from morning_jax.comparison import time_left


def trial(method, share=1.0):
  return measurement.Trial(method, folds_lib.FoldSpec(0, 0, 2, share))


def test_finished_trials_correct_the_guesses():
  trials = [
    trial('a'),
    trial('a'),
    trial('a', 0.5),
    trial('b'),
    trial('b', 0.1),
  ]
  estimate = time_left.TimeLeft({'a': 2.0, 'b': 10.0, 'c': 1.0}, trials)
  assert estimate.seconds == pytest.approx(2.5 * 2 + 1.1 * 10)
  assert estimate.cost(trial('b', 0.1)) == pytest.approx(1.0)
  # Three times as long as guessed: so may be what no trial is known of.
  estimate.finish(trials[0], 6.0)
  assert estimate.cost(trial('a', 0.5)) == pytest.approx(3.0)
  assert estimate.seconds == pytest.approx(1.5 * 6 + 1.1 * 30)
  # What was measured counts for the method itself.
  estimate.finish(trials[3], 5.0)
  assert estimate.seconds == pytest.approx(1.5 * 6 + 0.1 * 5)
  assert estimate.cost(trial('c')) == pytest.approx((6 + 5) / (2 + 10))
  for done in (trials[1], trials[2], trials[4]):
    estimate.finish(done, 1.0)
  assert estimate.seconds == pytest.approx(0.0)


def test_a_comparison_without_trials_takes_no_time():
  assert time_left.TimeLeft({'a': 1.0}, []).seconds == 0
