"""Stored results, and when they are not taken."""

import dataclasses
import json

import numpy as np
import pytest

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import measurement
from morning_jax.comparison import result_store
from morning_jax.comparison.methods import registry
from morning_jax.evaluation import metrics
from tests.comparison import setups

TRIAL = measurement.Trial('morning', folds_lib.FoldSpec(0, 0, 2))
METHOD = registry.table(setups.recipes())['morning']


def statistics():
  rng = np.random.default_rng(0)
  return [
    metrics.BrandStatistics(
      **{
        field.name: rng.random(3)
        for field in dataclasses.fields(metrics.BrandStatistics)
      }
    )
    for _ in range(2)
  ]


@pytest.fixture
def store(tmp_path):
  store = result_store.ResultStore(tmp_path, 'data', 'software')
  store.folder(METHOD).mkdir(parents=True)
  store.write(TRIAL, METHOD, statistics())
  return store


def test_what_is_stored_comes_back(store):
  for found, written in zip(
    store.read(TRIAL, METHOD), statistics(), strict=True
  ):
    for field, array in dataclasses.asdict(written).items():
      np.testing.assert_array_equal(getattr(found, field), array)


def test_results_of_something_else_are_not_taken(store, tmp_path):
  for other in (('data', 'newer'), ('other', 'software'), ('data',)):
    assert (
      result_store.ResultStore(tmp_path, *other).read(TRIAL, METHOD) is None
    )
  shorter = registry.table(setups.recipes(epochs=1))['morning']
  assert store.read(TRIAL, shorter) is None
  share = dataclasses.replace(TRIAL.fold, share=0.5)
  file = tmp_path / result_store.file_of(TRIAL)
  for trial in (
    dataclasses.replace(TRIAL, fold=share),
    dataclasses.replace(TRIAL, epochs=(1, 2)),
    dataclasses.replace(TRIAL, method='similarity'),
  ):
    other = tmp_path / result_store.file_of(trial)
    assert other != file
    other.parent.mkdir(exist_ok=True)
    other.write_text(file.read_text())
    assert store.read(trial, METHOD) is None


def changed_number(text):
  stored = json.loads(text)
  stored['statistics'][1]['ordered'][2] += 1e-9
  return json.dumps(stored)


@pytest.mark.parametrize(
  'damage',
  [
    changed_number,
    lambda text: text[:-30],
    lambda text: '',
    lambda text: '[' * 100_000,
    lambda text: '{"fingerprint": 1}',
    lambda text: text.replace('"ordered"', '"orderly"'),
  ],
)
def test_damaged_results_are_not_taken(store, tmp_path, damage):
  file = tmp_path / result_store.file_of(TRIAL)
  file.write_text(damage(file.read_text()))
  assert store.read(TRIAL, METHOD) is None
