"""What all trained methods have to do."""

import dataclasses
import importlib

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from tests import runs
from tests.comparison.methods import trained

# Nine held-out brands: from one seed to the next, AUC differs by .05 and more.
_SEEDS = (0, 1, 2)


@pytest.mark.parametrize('name', runs.slow_but({'bamir'}, trained.NAMES))
def test_learns(name, monkeypatch):
  task = trained.task()
  for seed in _SEEDS:
    score_BxM = trained.scores(name, seed)
    assert score_BxM.dtype == np.float32
    assert score_BxM.shape == (
      len(task.test.brand_row_B),
      len(task.test.candidate_row_M),
    )
  module = importlib.import_module(
    f'morning_jax.comparison.methods.{name.replace("-", "_")}'
  )
  still = dataclasses.replace(module._RECIPE, learning_rate=0.0, steps=1)
  monkeypatch.setattr(module, '_RECIPE', still)
  score = trained.METHODS[name].score

  def mean_auc(of_seed) -> float:
    return np.mean([trained.auc(task, of_seed(seed)) for seed in _SEEDS])

  untrained = mean_auc(lambda seed: score(dataclasses.replace(task, seed=seed)))
  learned = mean_auc(lambda seed: trained.scores(name, seed))
  assert learned > max(0.6, untrained + 0.03)


@pytest.mark.parametrize('name', runs.slow_but({'bamir'}, trained.NAMES))
def test_follows_its_seed_and_nothing_held_out(name):
  first = trained.scores(name)
  # Other held-out pairs among the same brands and candidates: the brands'
  # positives are shuffled.
  shuffled = np.random.default_rng(0).permutation(
    trained.task().test.candidate_P
  )
  assert (shuffled != trained.task().test.candidate_P).any()
  test = dataclasses.replace(trained.task().test, candidate_P=shuffled)
  again = trained.METHODS[name].score(
    dataclasses.replace(trained.task(), test=test)
  )
  assert again.tobytes() == first.tobytes()
  assert np.abs(trained.scores(name, seed=1) - first).max() > 1e-3


@pytest.mark.parametrize('name', runs.slow_but({'bamir'}, ('bamir', 'mir')))
def test_where_an_influencer_was_found_changes_nothing(name):
  # It may stem from a held-out brand's pair.
  dataset = trained.task().dataset
  found = np.random.default_rng(0).permutation(dataset.accounts.found_under)
  accounts = dataclasses.replace(dataset.accounts, found_under=found)
  changed = dataclasses.replace(
    trained.task(), dataset=dataclasses.replace(dataset, accounts=accounts)
  )
  again = trained.METHODS[name].score(changed)
  assert again.tobytes() == trained.scores(name).tobytes()


_WITHOUT = [
  ('bamir', trained.TEXTS),
  ('mir', trained.IMAGES),
  ('camera', trained.IMAGES),
  ('two-tower', (*trained.CONTENT, *trained.EMBEDDING)),
  ('mir', trained.TEXTS),
  ('camera', trained.TEXTS),
  ('bamir', trained.IMAGES),
  ('bamir', trained.CONTENT),
  ('two-tower', trained.IMAGES),
  ('two-tower', trained.TEXTS),
  ('two-tower', trained.EMBEDDING),
]


@pytest.mark.parametrize(('name', 'gone'), _WITHOUT)
def test_says_what_it_goes_without(name, gone):
  method, short = trained.METHODS[name], trained.without(trained.task(), gone)
  new = set(method.missing(short.dataset)) - set(
    method.missing(trained.task().dataset)
  )
  assert any(gone[0] in note for note in new)


@pytest.mark.parametrize(
  ('name', 'gone'), runs.slow_but({('bamir', trained.TEXTS)}, _WITHOUT)
)
def test_goes_without_modalities(request, name, gone):
  if (name, gone) == ('bamir', trained.CONTENT):
    reason = 'attributes alone say little in this world: their cosine has .53'
    request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
  short = trained.without(trained.task(), gone)
  score_BxM = trained.METHODS[name].score(short)
  assert trained.auc(short, score_BxM) > 0.6


@pytest.mark.parametrize(
  ('name', 'gone'),
  [
    ('mir', trained.CONTENT),
    ('camera', trained.CONTENT),
    ('hptr', trained.TEXTS),
    ('catr', trained.TEXTS),
    ('bamir', trained.EMBEDDING),
    ('two-tower', accounts_lib.FEATURES),
  ],
)
def test_needs_what_it_ranks_by(name, gone):
  short = trained.without(trained.task(), gone)
  with pytest.raises(errors.UserError) as caught:
    trained.METHODS[name].score(short)
  assert '\n' not in str(caught.value)
  assert f'without which {trained.METHODS[name].name}' in str(caught.value)
  assert 'attribute' in str(caught.value) or gone[0] in str(caught.value)


@pytest.mark.parametrize('name', runs.slow_but({'hptr'}, ('hptr', 'catr')))
def test_text_alone_ignores_the_rest(name):
  short = trained.without(
    trained.task(), (*trained.IMAGES, 'audience_text', *trained.EMBEDDING)
  )
  again = trained.METHODS[name].score(short)
  assert again.tobytes() == trained.scores(name).tobytes()


@pytest.mark.parametrize(
  'name', runs.slow_but({'bamir', 'hptr'}, trained.NAMES)
)
def test_rows_that_lack_a_feature_get_finite_scores(name):
  absent = np.isnan(trained.task().dataset.features['content_text'][:, 0])
  assert absent[trained.task().test.candidate_row_M].any()
  assert np.isfinite(trained.scores(name)).all()
