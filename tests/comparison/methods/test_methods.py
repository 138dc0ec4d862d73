"""Peers: what they learn, what they may see, and their losses by hand."""

import dataclasses
import functools
import importlib

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from configs import morning as config_lib
from morning_jax.comparison.methods import bamir
from morning_jax.comparison.methods import camera
from morning_jax.comparison.methods import catr
from morning_jax.comparison.methods import fold_data as problem_lib
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import mir
from morning_jax.comparison.methods import pair_module
from morning_jax.comparison.methods import registry
from morning_jax.comparison.methods import trainer
from morning_jax.comparison.methods import two_tower
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import splits
from morning_jax.evaluation import evaluator
from tests import runs

# What one worker trained serves all tests.
pytestmark = pytest.mark.xdist_group('peers')

NAMES = sorted(registry.PEERS)


def make_task(dataset, seed=0):
  train, test = splits.select(dataset, 'train'), splits.select(dataset, 'test')
  held_out = np.isin(dataset.positives_Px2[:, 0], test.brand_row_B)
  known = dataclasses.replace(
    dataset, positives_Px2=dataset.positives_Px2[~held_out]
  )
  return interface.Task(known, train, test, seed)


def without(task, gone):
  features = {k: v for k, v in task.dataset.features.items() if k not in gone}
  attributes = task.dataset.attributes
  if 'attribute_embedding' in gone:
    attributes = None
  dataset = dataclasses.replace(
    task.dataset, features=features, attributes=attributes
  )
  return dataclasses.replace(task, dataset=dataset)


@functools.cache
def task():
  return make_task(runs.small_world())


@functools.cache
def scores(name, seed=0):
  peer = registry.PEERS[name]
  return peer.score(dataclasses.replace(task(), seed=seed))


def auc(task, score_BxM):
  return evaluator.rank_split(
    {'score': jnp.eye(len(score_BxM))},
    {'score': jnp.asarray(score_BxM.T)},
    task.dataset.accounts,
    task.test,
  ).metrics['auc']


@pytest.mark.parametrize('name', runs.slow_but({'bamir', 'two-tower'}, NAMES))
def test_learns(name, monkeypatch):
  score_BxM = scores(name)
  test = task().test
  assert score_BxM.dtype == np.float32
  assert score_BxM.shape == (len(test.brand_row_B), len(test.candidate_row_M))
  module = importlib.import_module(
    f'morning_jax.comparison.methods.{name.replace("-", "_")}'
  )
  still = dataclasses.replace(module._RECIPE, learning_rate=0.0, steps=1)
  monkeypatch.setattr(module, '_RECIPE', still)
  untrained = auc(task(), registry.PEERS[name].score(task()))
  assert auc(task(), score_BxM) > max(0.6, untrained + 0.03)


def test_inputs_are_those_of_the_recipe():
  config = config_lib.get_config()
  assert config.model.whitening == problem_lib._WHITENING
  assert config.model.transforms.to_dict() == {
    'image': 'hellinger',
    'text': 'hellinger',
    'embedding': 'whiten',
  }


@pytest.mark.parametrize('name', NAMES)
def test_follows_its_seed_and_nothing_held_out(name):
  first = scores(name)
  # Other held-out pairs among the same brands and candidates: the brands'
  # positives are dealt out anew.
  shuffled = np.random.default_rng(0).permutation(task().test.candidate_P)
  assert (shuffled != task().test.candidate_P).any()
  test = dataclasses.replace(task().test, candidate_P=shuffled)
  again = registry.PEERS[name].score(dataclasses.replace(task(), test=test))
  assert again.tobytes() == first.tobytes()
  assert np.abs(scores(name, seed=1) - first).max() > 1e-3


def test_where_an_influencer_was_found_changes_nothing():
  # It may stem from a held-out brand's pair.
  dataset = task().dataset
  found = np.random.default_rng(0).permutation(dataset.accounts.found_under)
  accounts = dataclasses.replace(dataset.accounts, found_under=found)
  changed = dataclasses.replace(
    task(), dataset=dataclasses.replace(dataset, accounts=accounts)
  )
  for name in ('mir', 'bamir'):
    again = registry.PEERS[name].score(changed)
    assert again.tobytes() == scores(name).tobytes()


IMAGES = ('content_image', 'audience_image')
TEXTS = ('content_text', 'audience_text')
CONTENT = ('content_image', 'content_text')
EMBEDDING = ('attribute_embedding',)
slow = functools.partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
  ('name', 'gone'),
  [
    ('mir', IMAGES),
    ('camera', IMAGES),
    ('bamir', TEXTS),
    ('two-tower', (*CONTENT, *EMBEDDING)),
    slow('mir', TEXTS),
    slow('camera', TEXTS),
    slow('bamir', IMAGES),
    slow('bamir', CONTENT),
    slow('two-tower', IMAGES),
    slow('two-tower', TEXTS),
    slow('two-tower', EMBEDDING),
  ],
)
def test_goes_without_modalities_and_says_so(name, gone):
  peer, short = registry.PEERS[name], without(task(), gone)
  new = set(peer.missing(short.dataset)) - set(peer.missing(task().dataset))
  assert any(gone[0] in note for note in new)
  assert auc(short, peer.score(short)) > 0.6


@pytest.mark.parametrize(
  ('name', 'gone'),
  [
    ('mir', CONTENT),
    ('camera', CONTENT),
    ('hptr', TEXTS),
    ('catr', TEXTS),
    ('bamir', EMBEDDING),
    ('two-tower', accounts_lib.FEATURES),
  ],
)
def test_needs_what_it_ranks_by(name, gone):
  short = without(task(), gone)
  with pytest.raises(errors.UserError) as caught:
    registry.PEERS[name].score(short)
  assert '\n' not in str(caught.value)
  assert f'without which {registry.PEERS[name].name}' in str(caught.value)
  assert 'attribute' in str(caught.value) or gone[0] in str(caught.value)


@pytest.mark.parametrize('name', ['hptr', 'catr'])
def test_text_alone_ignores_the_rest(name):
  short = without(task(), (*IMAGES, 'audience_text', *EMBEDDING))
  again = registry.PEERS[name].score(short)
  assert again.tobytes() == scores(name).tobytes()


def test_attribute_lists_stand_in_for_embeddings():
  features = dict(task().dataset.features)
  del features['attribute_embedding']
  dataset = dataclasses.replace(task().dataset, features=features)
  lists = dataclasses.replace(task(), dataset=dataset)
  assert not bamir.PEER.missing(dataset)
  table = problem_lib.make(lists, (accounts_lib.ATTRIBUTE_LIST,)).table
  bag_AxV = table.features[accounts_lib.ATTRIBUTE_LIST]
  attributes = dataset.attributes
  own = attributes.held[attributes.holder == attributes.holder[0]]
  np.testing.assert_array_equal(
    np.flatnonzero(bag_AxV[attributes.holder[0]]), own
  )
  assert auc(lists, bamir.PEER.score(lists)) > 0.6


def test_rows_that_lack_a_feature_get_finite_scores():
  absent = np.isnan(task().dataset.features['content_text'][:, 0])
  assert absent[task().test.candidate_row_M].any()
  for name in NAMES:
    assert np.isfinite(scores(name)).all()


def test_folds_share_their_shapes():
  world = runs.small_world()
  shapes = []
  for index in range(3):
    fold = splits.fold(world, index=index, count=3, seed=0)
    problem = problem_lib.make(make_task(fold), ('content_text',))
    shapes.append(jax.tree.map(np.shape, problem))
    assert problem.num_positives == problem.known_BxM.sum()
    real = slice(problem.num_positives)
    assert problem.known_BxM[
      problem.brand_P[real], problem.candidate_P[real]
    ].all()
  assert shapes[0] == shapes[1] == shapes[2]


def test_problem_knows_nothing_held_out():
  problem = problem_lib.make(task(), ('content_text',))
  num_brands, num = len(task().train.brand_row_B), problem.num_candidates
  assert (
    problem.known_BxM.sum()
    == problem.num_positives
    == len(task().train.brand_P)
  )
  assert not problem.known_BxM[num_brands:].any()
  assert not problem.same_BxM[num_brands:].any()
  assert not problem.same_BxM[:, num:].any()
  assert set(problem.brand_row_B[:num_brands]) == set(task().train.brand_row_B)


def test_hard_negatives_are_of_the_category_and_no_positives():
  problem = problem_lib.make(task(), ('content_text',))
  brand_P = problem.brand_P[: int(problem.num_positives)]
  negative_PxN = np.asarray(
    bamir.draw_negatives(jax.random.key(0), problem, brand_P)
  )
  assert negative_PxN.shape == (len(brand_P), 20)
  train = task().train
  category_B = task().dataset.accounts.categories[train.brand_row_B]
  worked = {
    m: set(category_B[train.brand_P[train.candidate_P == m]])
    for m in range(len(train.candidate_row_M))
  }
  positives = set(zip(train.brand_P, train.candidate_P, strict=True))
  for b, negatives in zip(brand_P, negative_PxN, strict=True):
    assert all(category_B[b] in worked[m] for m in negatives[:4])
    assert not positives & {(b, m) for m in negatives}
  others = [
    category_B[b] not in worked[m]
    for b, row in zip(brand_P, negative_PxN[:, 4:], strict=True)
    for m in row
  ]
  assert np.mean(others) > 0.5
  # All that are allowed get drawn.
  reached = np.zeros_like(problem.same_BxM)
  for seed in range(40):
    drawn = bamir.draw_negatives(jax.random.key(seed), problem, brand_P)
    reached[brand_P[:, None], np.asarray(drawn)[:, :4]] = True
  assert reached[problem.same_BxM].mean() > 0.95


def test_a_brand_alone_in_its_category_gets_other_negatives():
  problem = problem_lib.make(task(), ('content_text',))
  problem = problem.replace(same_BxM=np.zeros_like(problem.same_BxM))
  negative_PxN = bamir.draw_negatives(
    jax.random.key(0), problem, problem.brand_P[:50]
  )
  assert not problem.known_BxM[problem.brand_P[:50, None], negative_PxN].any()
  assert (negative_PxN < problem.num_candidates).all()
  assert len(np.unique(negative_PxN[:, :4])) > 50


def test_draws_are_uniform_over_what_is_allowed():
  allowed = jnp.array([[False, True, False, True, True, False], [False] * 6])
  columns, some = pair_module.draw(jax.random.key(0), allowed, count=6000)
  assert some.tolist() == [True, False]
  count = np.bincount(columns[0], minlength=6)
  assert count[[0, 2, 5]].tolist() == [0, 0, 0]
  assert (np.abs(count[[1, 3, 4]] - 2000) < 200).all()


def test_k_buckets_against_its_definition():
  rng = np.random.default_rng(0)
  score = rng.normal(size=(5, 9)).astype(np.float32)
  bucket = rng.integers(-1, 3, size=(5, 9))
  bucket[0] = [0, -1, -1, 1, 1, 1, 1, -1, -1]  # no lowest bucket
  bucket[1] = [0, 0, 2, 2, 2, 2, 2, 2, 2]  # no middle one
  expected = 0.0
  for k, weight in enumerate((1.0, 0.3)):
    terms = []
    for row, places in zip(score.astype(float), bucket, strict=True):
      lower = [np.exp(s) for s, p in zip(row, places, strict=True) if p > k]
      for s, p in zip(row, places, strict=True):
        if p == k:
          terms.append(-np.log(np.exp(s) / (np.exp(s) + sum(lower))))
    expected += weight * np.mean(terms)
  weights = (1.0, 0.3)
  value, gradient = jax.value_and_grad(mir.k_buckets)(
    jnp.asarray(score), jnp.asarray(bucket), weights=weights
  )
  assert float(value) == pytest.approx(expected, rel=1e-5)
  assert np.isfinite(gradient).all()
  assert not np.asarray(gradient)[bucket == -1].any()


def test_k_buckets_of_empty_buckets_is_zero():
  score, bucket = jnp.ones((2, 3)), jnp.full((2, 3), 2)
  assert float(mir.k_buckets(score, bucket, weights=(1.0, 0.3))) == 0.0


def test_log_likelihood_correction_by_hand():
  # Influencers are drawn with likelihoods 1/2, 1/4, 1/4. Corrected logits of
  # row 0: log 2, log 4, (known, out): -log(2 / (2 + 4)) = log 3. Row 1: log 2,
  # 1 + log 4, log 4: log(2 + 4e + 4) - log 4e. Row 2 as row 1, with the 1 at
  # the end.
  score = jnp.array([[0.0, 0.0, 5.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
  known = jnp.array(
    [[True, False, True], [False, True, False], [False, False, True]]
  )
  loss = two_tower.sampled_softmax(
    score, known, jnp.log(jnp.array([0.5, 0.25, 0.25]))
  )
  other = np.log(6 + 4 * np.e) - np.log(4 * np.e)
  assert float(loss) == pytest.approx((np.log(3) + 2 * other) / 3, rel=1e-6)


def test_aspects_have_their_shapes_and_weights():
  module = catr.Catr(aspects=3, word=5, width=4)
  rng = np.random.default_rng(0)
  share = rng.dirichlet(np.ones(7), size=6)
  inputs = catr_inputs(np.sqrt(share * 7))
  variables = module.init(jax.random.key(0), inputs, inputs)
  encode = functools.partial(
    module.apply, variables, method='encode', role='brand'
  )
  aspects = encode(inputs)
  assert aspects.shape == (6, 3, 4)
  assert not np.asarray(aspects[5]).any()  # has no text
  score = module.apply(variables, aspects[:2], aspects[1:], method='score')
  assert score.shape == (2, 5)
  # A document of one topic is that topic's aspects, whatever its length: one
  # of two topics lies between them.
  pure = encode(catr_inputs(np.sqrt(7) * np.eye(7)[:6]))
  mixed = np.zeros((6, 7))
  mixed[:, [0, 1]] = np.sqrt(7 / 2)
  both = encode(catr_inputs(mixed))[0]
  share = (both - pure[1]) / (pure[0] - pure[1])
  np.testing.assert_allclose(
    share, np.broadcast_to(share[:, :1], share.shape), rtol=1e-3
  )
  assert ((share > 0) & (share < 1)).all()


def catr_inputs(share):
  present = np.arange(6) < 5
  return trainer.Inputs(
    accounts_lib.AccountTable(
      features={'content_text': jnp.asarray(share, jnp.float32)},
      present={'content_text': jnp.asarray(present)},
    ),
    jnp.zeros(6),
  )


def test_attention_is_between_the_accounts_of_a_pair():
  module = camera.Camera(('content_text',), hidden=8, concepts=3, width=4)
  rng = np.random.default_rng(0)
  inputs = catr_inputs(rng.normal(size=(6, 7)))
  variables = module.init(jax.random.key(0), inputs, inputs)
  encoded = module.apply(variables, inputs, role='brand', method='encode')
  concepts = encoded['concepts']
  assert concepts.shape == (6, 3, 4)
  of_brand, of_influencer = module.apply(
    variables, concepts[:2], concepts[2:5], method='attention'
  )
  assert of_brand.shape == of_influencer.shape == (2, 3, 3)
  np.testing.assert_allclose(of_brand.sum(axis=2), 1.0, rtol=1e-5)
  np.testing.assert_allclose(of_influencer.sum(axis=2), 1.0, rtol=1e-5)
  # A brand's weights follow the influencer, and an influencer's the brand.
  assert np.abs(of_brand[:, 0] - of_brand[:, 1]).max() > 1e-4
  assert np.abs(of_influencer[0] - of_influencer[1]).max() > 1e-4
  score = module.apply(
    variables,
    jax.tree.map(lambda x: x[:2], encoded),
    jax.tree.map(lambda x: x[2:5], encoded),
    method='score',
  )
  b, m = 1, 2
  brand = np.asarray(of_brand[b, m] @ concepts[b])
  influencer = np.asarray(of_influencer[b, m] @ concepts[2 + m])
  expected = brand @ influencer / 2 + float(encoded['influence'][2 + m])
  assert float(score[b, m]) == pytest.approx(expected, rel=1e-4)


def test_influence_follows_the_followers():
  dataset = task().dataset
  unknown = dataclasses.replace(dataset.accounts, followers=None)
  without = dataclasses.replace(
    task(), dataset=dataclasses.replace(dataset, accounts=unknown)
  )
  assert 'no numbers of followers' in camera.PEER.missing(without.dataset)
  assert 'no numbers of followers' not in camera.PEER.missing(dataset)
  score_BxM = camera.PEER.score(without)
  assert np.abs(score_BxM - scores('camera')).max() > 1e-3


def test_table_is_as_agreed():
  assert set(registry.PEERS) == {
    'mir',
    'hptr',
    'catr',
    'camera',
    'bamir',
    'two-tower',
  }
  for peer in registry.PEERS.values():
    assert peer.name and peer.source
    assert '\n' not in peer.source
