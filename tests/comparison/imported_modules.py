"""Runs in a worker: nothing heavy may be imported here."""

import sys


def after_measuring(trial, dataset, recipes):
  """Measures a trial; returns the modules that are imported then."""
  import ml_collections

  from morning_jax.comparison import measurement

  configs = {k: ml_collections.ConfigDict(v) for k, v in recipes.items()}
  measured = measurement.measure(trial, dataset, configs)
  assert isinstance(measured, list), measured
  return sorted(m for m in sys.modules if m.split('.')[0] == 'morning_jax')
