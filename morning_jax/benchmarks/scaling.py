"""The cost of a training step as accounts, pairs and devices grow."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import statistics
from typing import Any

import jax
import numpy as np

from morning_jax.benchmarks import child_process
from morning_jax.benchmarks import costs
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import workload
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding

# Smaller features than the embedded world's: a million accounts have to fit.
_SIZES = {'content_image': 128, 'content_text': 22, 'attribute_embedding': 128}
_ACCOUNTS_PER_BRAND = 20
# With fewer, brands may share all their influencers: none ranks below.
LEAST_ACCOUNTS = 100
_PAIRS = 10_000
_STEPS = 50  # of one dispatch, as the recipe has it


def world(accounts: int, pairs: int) -> accounts_lib.Dataset:
  """Makes a data set of noise, of any size, in seconds.

  Args:
    accounts: how many, at least `LEAST_ACCOUNTS`; one of 20 is a brand.
    pairs: how many cooperations, spread evenly; fewer where there are not so
      many.
  """
  brands = max(2, accounts // _ACCOUNTS_PER_BRAND)
  influencers = accounts - brands
  rng = np.random.default_rng(0)
  per_brand = min(max(1, pairs // brands), influencers // 2)
  # Evenly spaced influencers, from an offset of the brand's own.
  place = np.arange(per_brand) * (influencers // per_brand)
  first_B = rng.integers(influencers, size=brands)
  chosen_BxP = (first_B[:, None] + place) % influencers
  brand_P = np.repeat(np.arange(brands), per_brand)
  pairs_Px2 = np.stack([brand_P, brands + chosen_BxP.ravel()], axis=1)
  if pairs < brands:
    pairs_Px2 = pairs_Px2[:pairs]
  is_brand = np.arange(accounts) < brands
  return accounts_lib.Dataset(
    name='noise',
    accounts=accounts_lib.Accounts(
      ids=np.arange(accounts).astype(str),
      roles=np.where(
        is_brand, accounts_lib.BRAND, accounts_lib.INFLUENCER
      ).astype(np.int8),
      categories=np.full(accounts, ''),
      splits=np.where(is_brand, 'train', ''),
    ),
    features={
      f: rng.random((accounts, size), np.float32) for f, size in _SIZES.items()
    },
    positives_Px2=pairs_Px2.astype(np.int64),
  )


def _prepare(
  accounts: int, pairs: int, *, devices: int, quick: bool
) -> workload.Workload:
  config = workload.recipe('', quick=quick)
  config.model.transforms = {k: 'none' for k in config.model.transforms}
  config.mesh.data = devices
  if quick:
    config.train.batch_size = 16
  return workload.prepare(config, world(accounts, pairs))


def _time(work: workload.Workload, repeats: int) -> list[float]:
  calls = {'': lambda: work.run(_STEPS)}
  return harness.interleave(calls, repeats=repeats)['']


def on_all_devices(
  accounts: int, pairs: int, repeats: int, *, quick: bool
) -> dict[str, Any]:
  """Times steps on all devices of this process, and what it can do at most.

  Returns:
    `seconds` of each repetition, the `devices` that took part, and the fields
    of `rates.Rates`.
  """
  rates = rates_lib.measure(quick=quick)
  work = _prepare(accounts, pairs, devices=jax.device_count(), quick=quick)
  return {
    'seconds': _time(work, repeats),
    'devices': work.mesh.shape[sharding.DATA],
    'rates': dataclasses.asdict(rates),
  }


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures steps of the default recipe on data of noise.

  Args:
    options: `accounts`, `pairs`, `devices`, `repeats`, `quick`.
    rates: of this machine.

  Yields:
    Seconds of a step for each number of accounts, of pairs, and of simulated
    CPU devices. These share the machine's cores: their figures show what
    dividing the work costs, not what more hardware gains.
  """
  middle = statistics.median_low(options.accounts)
  points = [(accounts, _PAIRS) for accounts in options.accounts]
  points += [(middle, pairs) for pairs in options.pairs]
  for accounts, pairs in dict.fromkeys(points):
    work = _prepare(accounts, pairs, devices=1, quick=options.quick)
    seconds = _time(work, options.repeats)
    yield _figure(work, seconds, rates, 1)
  accounts = min(options.accounts)
  work = _prepare(accounts, _PAIRS, devices=1, quick=options.quick)
  shared = None
  for devices in options.devices:
    _, answer = child_process.run(
      'devices',
      {
        'accounts': accounts,
        'pairs': _PAIRS,
        'repeats': options.repeats,
        'quick': options.quick,
      },
      environment={
        'JAX_PLATFORMS': 'cpu',
        'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}',
      },
    )
    # All simulated devices are one machine: its rates, from the first child.
    shared = shared or rates_lib.Rates(**answer['rates'])
    yield _figure(work, answer['seconds'], shared, answer['devices'])


def _figure(
  work: workload.Workload,
  seconds: list[float],
  rates: rates_lib.Rates,
  devices: int,
) -> harness.Measurement:
  flops, moved = costs.step(work)
  return harness.measured(
    'scaling',
    {
      'implementation': 'morning_jax',
      'accounts': len(next(iter(work.table.present.values()))),
      'pairs': int(work.data.num_positives),
      'simulated_devices': devices,
      'batch_size': work.config.train.batch_size,
    },
    [s / _STEPS for s in seconds],
    rates.limit(flops=flops, moved=moved),
  )
