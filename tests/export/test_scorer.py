"""An exported model scores as the model, by the reader of the docs alone."""

import functools
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.data import preprocessing
from morning_jax.export import scorer
from tests import runs
from tests.recommend import models

_READER = re.search(
  r'<!-- the reader -->\n```python\n(.*?)```',
  (runs.ROOT / 'docs' / 'export.md').read_text('utf-8'),
  re.DOTALL,
)[1]
_ALONE = """
import sys
for name in ('flax', 'orbax', 'morning_jax', 'jraph', 'optax'):
  sys.modules[name] = None  # an import of it fails
{reader}
folder = pathlib.Path(sys.argv[1])
model = Model(folder / 'model')
brands = dict(np.load(folder / 'brand.npz'))
influencers = dict(np.load(folder / 'influencer.npz'))
np.save(folder / 'scores.npy', score(model, brands, influencers))
"""
RECIPES = ('default', 'gat', 'variant paper', 'variant release')


def inputs_of(trained, dataset, rows):
  found = {f: dataset.features[f][rows] for f in trained.spec.feature_sizes}
  table = preprocessing.account_table(trained.spec, trained.fitted, dataset)
  if table.held is not None:
    short = -table.held.index.shape[1] % 16
    for name in ('index', 'weight'):
      lists = getattr(table.held, name)[rows]
      found[f'attribute_{name}'] = np.pad(lists, ((0, 0), (0, short)))
  return found


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """Recipe -> a folder with the model, and its scores by the reader alone."""
  root = tmp_path_factory.mktemp('exported')
  dataset = runs.small_world()

  @functools.cache
  def make(recipe):
    folder = root / recipe
    folder.mkdir()
    trained = models.untrained(dataset, recipe)
    scorer.write(trained, folder / 'model')
    for number, role in enumerate(('brand', 'influencer')):
      rows = dataset.accounts.rows_of(number)
      np.savez(folder / f'{role}.npz', **inputs_of(trained, dataset, rows))
    subprocess.run(
      [sys.executable, '-c', _ALONE.format(reader=_READER), str(folder)],
      check=True, cwd=root, env={**runs.environment(), 'PYTHONPATH': ''},
    )  # fmt: skip
    return folder

  return make


@pytest.mark.parametrize('recipe', runs.slow_but({'default', 'gat'}, RECIPES))
def test_scores_are_those_of_the_model(exported, recipe):
  catalogue = models.catalogue(recipe)
  expected = catalogue.brands.vector_NxD @ catalogue.influencers.vector_NxD.T
  found = np.load(exported(recipe) / 'scores.npy')
  assert np.ptp(expected) > 0.1
  np.testing.assert_allclose(
    found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
  )


def test_it_says_what_it_takes_and_holds_no_more_than_it_needs(exported):
  about = json.loads((exported('gat') / 'model' / 'model.json').read_text())
  assert [i['name'] for i in about['inputs']][-2:] == [
    'attribute_index',
    'attribute_weight',
  ]
  assert about['step'] == 7 and about['platforms'] == ['cpu', 'tpu', 'cuda']
  with np.load(exported('gat') / 'model' / 'weights.npz') as weights:
    names = set(weights)
  # Message passing is done; its layers are not needed any more.
  assert 'attribute_vectors' in names
  assert not any('layer' in name for name in names)
  assert sorted(p.name for p in (exported('gat') / 'model').iterdir()) == [
    'brand.stablehlo', 'influencer.stablehlo', 'model.json', 'weights.npz',
  ]  # fmt: skip


def test_a_folder_that_is_there_is_refused(tmp_path):
  (tmp_path / 'mine').write_text('')
  with pytest.raises(errors.UserError, match='exists already'):
    scorer.check_new(tmp_path)
  scorer.check_new(pathlib.Path(tmp_path / 'new'))
