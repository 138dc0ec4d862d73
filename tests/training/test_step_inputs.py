"""Inputs of dispatches: the same steps however they are divided."""

import numpy as np
import pytest

from configs import morning as config_lib
from morning_jax.training import optimizer
from morning_jax.training import step_inputs


def make(capacity, num_positives=100):
  config = config_lib.get_config('smoke')
  config.train.batch_size, config.train.epochs = 16, 7
  plan = optimizer.plan(config, num_positives)
  return plan, step_inputs.make_step_inputs(config, plan, capacity=capacity)


@pytest.mark.parametrize('capacity', [1, 5, 6, 7, 42])
def test_every_step_has_its_learning_rate(capacity):
  plan, inputs_of = make(capacity)
  assert plan.steps_per_epoch == 6
  for start in range(0, plan.num_steps, capacity):
    stop = min(start + capacity, plan.num_steps)
    inputs = inputs_of(start, stop)
    assert inputs.count == stop - start
    assert inputs.learning_rate_S.shape == (capacity,)
    for step in range(start, stop):
      np.testing.assert_array_equal(
        inputs.learning_rate_S[step - start], plan.learning_rates(step, 1)[0]
      )


def test_more_steps_than_there_is_space_for():
  _, inputs_of = make(6)
  with pytest.raises(ValueError, match='7 steps in a dispatch of 6'):
    inputs_of(0, 7)


@pytest.mark.parametrize('schedule', ['constant', 'exponential', 'cosine'])
def test_learning_rates_are_the_schedules(schedule, monkeypatch):
  monkeypatch.setattr(optimizer, '_RATES', 8)  # several blocks
  config = config_lib.get_config().optimizer
  config.schedule, config.warmup, config.decay_rate = schedule, 0.2, 0.9
  made = optimizer.make_schedule(config, steps_per_epoch=5, num_steps=30)
  rates = optimizer.LearningRates(made)
  want = np.array([float(made(s)) for s in range(30)], np.float32)
  for start, count in ((0, 30), (3, 1), (7, 2), (8, 8), (15, 15)):
    np.testing.assert_allclose(
      rates(start, count), want[start : start + count], rtol=1e-6, atol=1e-9
    )
  assert (np.ptp(want) > 0) == (schedule != 'constant')
