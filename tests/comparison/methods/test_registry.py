"""The table of methods, and that none sees what is held out."""

import dataclasses

import numpy as np
import pytest

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison.methods import lambdamart
from morning_jax.comparison.methods import morning_rows
from morning_jax.comparison.methods import registry
from morning_jax.core import errors
from morning_jax.evaluation import metrics
from tests.comparison import setups

SEEN = ('random', 'popularity', 'similarity', 'morning')


@pytest.mark.parametrize(
  ('key', 'encoder'),
  [
    *((k, 'embedding') for k in SEEN),
    ('lambdamart', 'embedding'),
    pytest.param('morning', 'gcn', marks=pytest.mark.slow),
    *(
      pytest.param(k, 'embedding', marks=pytest.mark.slow)
      for k in registry.table(setups.recipes())
      if k not in (*SEEN, 'lambdamart')
    ),
  ],
)
def test_no_method_sees_a_held_out_pair(world, key, encoder):
  if key == 'lambdamart':
    pytest.importorskip('lightgbm')
  method = registry.table(setups.recipes(encoder=encoder))[key]
  if method.unavailable(world):
    pytest.skip(method.unavailable(world))
  other = setups.with_other_held_out_pairs(world, setups.FOLD)
  scores = method.score(folds_lib.make_task(world, setups.FOLD))
  again = method.score(folds_lib.make_task(other, setups.FOLD))
  assert np.asarray(scores).tobytes() == np.asarray(again).tobytes()
  own = metrics.summarize(folds_lib.evaluate(world, setups.FOLD, scores))
  theirs = metrics.summarize(folds_lib.evaluate(other, setups.FOLD, scores))
  assert own != theirs  # the judge, and only the judge, sees them


def _without_audience(dataset):
  kept = {f: x for f, x in dataset.features.items() if 'audience' not in f}
  return dataclasses.replace(dataset, features=kept)


def test_rows_that_the_data_does_not_allow_are_left_out(world):
  rows = registry.table(setups.recipes())
  chosen, notes = registry.choose(rows, None, _without_audience(world))
  keys = [m.key for m in chosen]
  assert {'content-only', 'attribute-only', 'morning'} <= set(keys)
  assert not {'audience-only', 'content-audience', 'content-attribute'} & set(
    keys
  )
  text = '\n'.join(notes)
  assert 'MORNING (audience only) is left out: the data has nothing' in text
  assert 'MORNING (content + attribute) is left out: is MORNING itself' in text
  with pytest.raises(errors.UserError, match='--methods=audience-only: '):
    registry.choose(rows, ['audience-only'], _without_audience(world))


def test_lambdamart_is_left_out_without_its_library(world, monkeypatch):
  monkeypatch.setattr(lambdamart.importlib.util, 'find_spec', lambda _: None)
  rows = registry.table(setups.recipes())
  chosen, notes = registry.choose(rows, None, world)
  assert 'lambdamart' not in [m.key for m in chosen]
  assert any('[compare]' in n for n in notes)
  with pytest.raises(errors.UserError, match=r'morning_jax\[compare\]'):
    registry.choose(rows, ['lambdamart'], world)


def test_the_table_has_every_method_once():
  rows = registry.table(setups.recipes())
  assert list(rows) == [
    'random',
    'popularity',
    'similarity',
    'similarity-whitened',
    'lambdamart',
    'mir',
    'hptr',
    'catr',
    'camera',
    'bamir',
    'two-tower',
    'morning-paper',
    'morning-release',
    *morning_rows.ABLATIONS,
    'morning',
  ]
  assert len({m.name for m in rows.values()}) == len(rows)
  for method in rows.values():
    assert method.source and '\n' not in method.source
