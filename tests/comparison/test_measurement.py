"""What a measurement depends on."""

import sys

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import measurement
from morning_jax.comparison import sources
from morning_jax.core import plugins
from morning_jax.core import pool
from tests.comparison import imported_modules
from tests.comparison import setups


def test_results_of_other_software_are_not_taken(monkeypatch):
  digests = {measurement.source_digest(e) for e in ({}, {'NPROC': '1'})}
  version = measurement.metadata.version
  for library in ('jaxlib', 'optax', 'scipy'):
    monkeypatch.setattr(
      measurement.metadata,
      'version',
      lambda name, old=library: 'old' if name == old else version(name),
    )
    digests.add(measurement.source_digest({}))
  assert len(digests) == 5


def test_a_changed_module_that_measures_changes_the_digest(
  tmp_path, monkeypatch
):
  before = measurement.source_digest({})
  real = sources.closure(measurement.__name__)
  changed = tmp_path / 'step.py'
  changed.write_text(real['morning_jax.training.step'].read_text() + '\n')
  monkeypatch.setattr(
    sources,
    'closure',
    lambda module: real | {'morning_jax.training.step': changed},
  )
  assert measurement.source_digest({}) != before


def test_what_draws_tables_is_no_part_of_a_measurement():
  modules = set(sources.closure(measurement.__name__))
  for name in ('tables', 'plots', 'statistics', 'report', 'protocol'):
    assert f'morning_jax.comparison.{name}' not in modules
  assert 'morning_jax.core.pool' not in modules
  rooms = {m.split('.')[1] for m in modules if '.' in m}
  assert {'core', 'data', 'losses', 'model', 'training', 'evaluation'} <= rooms
  assert not {'benchmarks', 'recommend', 'serving'} & rooms


def test_a_changed_plugin_changes_the_digest(tmp_path, monkeypatch):
  before = measurement.source_digest({})
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setenv('MORNING_PLUGINS', 'a_plugin_to_digest')
  file = tmp_path / 'a_plugin_to_digest.py'
  file.write_text('SIZE = 1\n')
  plugins.load()
  loaded = measurement.source_digest({})
  file.write_text('SIZE = 2\n')
  monkeypatch.delitem(sys.modules, 'a_plugin_to_digest')
  plugins.load()
  assert len({before, loaded, measurement.source_digest({})}) == 3


def test_every_module_that_measuring_imports_is_in_the_digest(world):
  trials = [
    measurement.Trial(method, folds_lib.FoldSpec(0, 0, 2))
    for method in ('random', 'morning')
  ]
  recipes = {k: c.to_dict() for k, c in setups.recipes(epochs=1).items()}
  found = dict(
    pool.run(
      imported_modules.after_measuring,
      trials,
      (world, recipes),
      jobs=1,
      environment={},
    )
  )
  imported = set(found[trials[-1]])
  assert 'morning_jax.training.step' in imported
  assert imported <= set(sources.closure(measurement.__name__))
