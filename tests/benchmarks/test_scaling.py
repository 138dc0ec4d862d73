"""The data of noise."""

import math

import numpy as np

from morning_jax.benchmarks import scaling


def test_the_quick_world_of_noise_is_what_was_asked_for():
  world = scaling.world(accounts=400, pairs=100)
  pairs = world.positives_Px2
  assert len(world.accounts) == 400
  assert len(np.unique(pairs, axis=0)) == len(pairs) == 100
  assert len(scaling.world(accounts=400, pairs=10).positives_Px2) == 10
  assert world.accounts.roles[pairs[:, 0]].tolist() == [0] * 100
  assert world.accounts.roles[pairs[:, 1]].tolist() == [1] * 100


def test_the_smallest_world_of_noise_can_be_trained_on():
  work = scaling._prepare(scaling.LEAST_ACCOUNTS, 10_000, devices=1, quick=True)
  assert math.isfinite(float(work.run(1)['loss'][0]))
