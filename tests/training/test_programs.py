"""Folds and seeds share compiled programs; what pads their data is not read."""

import jax
import numpy as np
import pytest

from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.training import device_data
from morning_jax.training import programs as programs_lib
from tests import runs


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@pytest.fixture(scope='module')
def spec(bundle):
  c = runs.config(bundle)
  return dataset_lib.resolve_inputs(dataset_lib.load(c.data), c.model)[0]


@pytest.fixture(scope='module')
def mesh():
  return sharding.make_mesh(data=1, model=1, devices=jax.devices()[:1])


def test_a_seed_and_a_fold_are_no_part_of_a_program(bundle, spec, mesh):
  kept = programs_lib.Kept()
  first = kept.of(runs.config(bundle), spec, mesh)
  again = kept.of(runs.config(bundle, seed=5, data__fold=2), spec, mesh)
  assert again is first


@pytest.mark.parametrize(
  'change', [{'loss__l2': 0.5}, {'optimizer__kind': 'sgd'}], ids=str
)
def test_another_recipe_is_another_program(bundle, spec, mesh, change):
  kept = programs_lib.Kept()
  first = kept.of(runs.config(bundle), spec, mesh)
  assert kept.of(runs.config(bundle, **change), spec, mesh) is not first


def test_another_mesh_is_another_program(bundle, spec, mesh):
  kept = programs_lib.Kept()
  first = kept.of(runs.config(bundle), spec, mesh)
  other = sharding.make_mesh(data=1, model=1, devices=jax.devices()[1:2])
  assert kept.of(runs.config(bundle), spec, other) is not first


def test_the_configuration_that_was_asked_with_may_change(bundle, spec, mesh):
  kept = programs_lib.Kept()
  c = runs.config(bundle)
  first = kept.of(c, spec, mesh)
  c.loss.l2 = 0.5
  assert kept.of(c, spec, mesh) is not first
  assert (c.seed, c.data.fold) == (runs.config(bundle).seed, -1)


@pytest.mark.parametrize(
  ('size', 'padded'),
  [
    (1, 16),
    (16, 16),
    (17, 32),
    (1000, 1024),
    (1 << 20, 1 << 20),
    ((1 << 20) + 1, (1 << 20) + 1),
  ],
)
def test_sizes_are_shared_below_a_million(size, padded):
  assert device_data.padded_size(size) == padded


@pytest.mark.parametrize(
  'changes',
  [
    pytest.param({}, id='in batch'),
    pytest.param(
      {'loss__kind': 'triplet', 'train__negatives': 3},
      id='drawn',
      marks=pytest.mark.slow,
    ),
  ],
)
def test_padding_changes_no_bit(bundle, tmp_path, monkeypatch, changes):
  c = runs.config(bundle, model__modalities=('text',), **changes)
  found = []
  for name, size in (('padded', device_data.padded_size), ('tight', int)):
    monkeypatch.setattr(device_data, 'padded_size', size)
    run, state = runs.start(c, tmp_path / name)
    found.append(runs.scalars(run, state, 3))
    found[-1]['size'] = np.asarray(len(run.data.brand_row_B))
  padded, tight = found
  assert padded.pop('size') > tight.pop('size')
  for name, value in padded.items():
    np.testing.assert_array_equal(value, tight[name], err_msg=name)
