"""The computed order of an epoch: a permutation, and as good as a drawn one."""

import functools

import jax
from jax import numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
import numpy as np
import pytest

from configs import morning as config_lib
from morning_jax.core import sharding
from morning_jax.training import epoch_order
from morning_jax.training import optimizer
from morning_jax.training import sampler

# Of every magnitude up to what 32-bit rows allow; 2^31 - 1 is a prime.
PRIMES = (10_007, 104_729, 1_299_709, 15_485_863)
HUGE = (99_999_989, 2**31 - 1)


@functools.partial(jax.jit, static_argnames='count')
def head(seed, size, *, count):
  """Items at the first places; one program for all sizes up to `count`."""
  place = jnp.minimum(jnp.arange(count), size - 1)
  return epoch_order.shuffled(jax.random.key(seed), place, size)


def order(seed, size, count=None):
  return np.asarray(head(seed, size, count=count or size))[:size]


def test_permutation_of_every_size_to_1000():
  for size in range(1, 1001):
    found = order(3, size, count=1000)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(np.sort(found), np.arange(size), f'{size}')


@pytest.mark.parametrize('size', PRIMES)
def test_permutation_of_large_primes(size):
  seen = np.zeros(size, bool)
  seen[order(1, size)] = True  # IndexError beyond, not all below
  assert seen.all()


@pytest.mark.parametrize('size', HUGE)
def test_places_of_a_huge_order_lead_to_different_items(size):
  ends = np.r_[np.arange(50_000), size - 1 - np.arange(50_000)]
  found = np.asarray(
    epoch_order.shuffled(jax.random.key(0), jnp.asarray(ends), size)
  )
  assert found.min() >= 0 and found.max() < size
  assert len(np.unique(found)) == len(ends)


def test_every_key_is_another_order():
  orders = [order(seed, 997) for seed in range(20)]
  for i, one in enumerate(orders):
    assert (one != np.arange(997)).mean() > 0.98
    for other in orders[:i]:
      # Two random orders have one place in common on average.
      assert (one == other).sum() < 10


def test_every_item_is_as_likely_at_every_place():
  """Chi-squared over many keys, of places and of who follows whom."""
  size, draws = 12, 6000
  orders = np.asarray(
    jax.jit(
      jax.vmap(
        lambda seed: epoch_order.shuffled(
          jax.random.key(seed), jnp.arange(size), size
        )
      )
    )(jnp.arange(draws))
  )
  counts = np.stack(
    [np.bincount(orders[:, place], minlength=size) for place in range(size)]
  )
  expected = draws / size
  freedom = (size - 1) ** 2
  spread = 6 * np.sqrt(2 * freedom)
  assert abs(((counts - expected) ** 2 / expected).sum() - freedom) < spread
  follows = np.zeros((size, size))
  np.add.at(follows, (orders[:, :-1], orders[:, 1:]), 1)
  off = ~np.eye(size, dtype=bool)
  expected = draws / size
  chi = ((follows[off] - expected) ** 2 / expected).sum()
  freedom = size * (size - 1)
  assert abs(chi - freedom) < 6 * np.sqrt(2 * freedom)


def steps(config, num_positives):
  plan = optimizer.plan(config, num_positives)
  return plan, jax.jit(
    lambda step: sampler.positives_of_step(
      config,
      sampler.make_keys(config.seed),
      step,
      steps_per_epoch=plan.steps_per_epoch,
      num_positives=num_positives,
    )
  )


def make_config(**train):
  config = config_lib.get_config('smoke')
  config.train.batch_size, config.train.epochs = 16, 7
  config.train.update(train)
  return config


def test_an_epoch_has_each_positive_once_and_the_next_another_order():
  plan, positives = steps(make_config(), 96)
  epochs = [
    np.concatenate(
      [
        positives(e * plan.steps_per_epoch + i)
        for i in range(plan.steps_per_epoch)
      ]
    )
    for e in range(3)
  ]
  for epoch in epochs:
    np.testing.assert_array_equal(np.sort(epoch), np.arange(96))
  assert (epochs[0] == epochs[1]).sum() < 10
  assert (epochs[1] == epochs[2]).sum() < 10


def test_as_stored():
  plan, positives = steps(make_config(shuffle=False), 96)
  for step in (0, 1, plan.steps_per_epoch + 1):
    first = step % plan.steps_per_epoch * 16
    np.testing.assert_array_equal(positives(step), first + np.arange(16))


def test_a_batch_larger_than_the_data_begins_again():
  _, positives = steps(make_config(), 5)
  found = np.bincount(np.asarray(positives(2)), minlength=5)
  assert found.sum() == 16 and found.min() == 3 and found.max() == 4


@pytest.mark.parametrize('data', [2, 8])
def test_the_order_does_not_depend_on_the_devices(data):
  size = 1009
  mesh = sharding.make_mesh(data=data, devices=jax.devices()[:data])
  with jax.set_mesh(mesh):
    spread = jax.jit(
      lambda place: epoch_order.shuffled(jax.random.key(5), place, size),
      in_shardings=NamedSharding(mesh, PartitionSpec('data')),
    )(np.arange(1008))
  assert len(spread.sharding.device_set) == data
  np.testing.assert_array_equal(spread, order(5, size)[:1008])
