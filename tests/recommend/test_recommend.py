"""Rankings: exact, with parts that add up, and the other way round."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import preprocessing
from morning_jax.data import splits
from morning_jax.evaluation import evaluate
from morning_jax.model import morning
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import recommend
from tests.recommend import models

ALL = filters_lib.Filters(include_cooperating=True)


def model_scores(catalogue) -> dict[str, np.ndarray]:
  """Perspective -> [B, M] by the model itself, past the catalogue."""
  trained, data = catalogue.trained, catalogue.dataset
  table = preprocessing.account_table(trained.spec, trained.fitted, data)
  found = jax.jit(trained.model.apply)(
    {'params': trained.params},
    table[data.accounts.rows_of(0)],
    table[data.accounts.rows_of(1)],
    graph=preprocessing.graph_of(trained.fitted),
  )
  return {k: np.asarray(v) for k, v in morning.scores_of_all(*found).items()}


@pytest.mark.parametrize('recipe', models.RECIPES)
def test_parts_add_up_to_what_the_model_says(catalogues, recipe):
  catalogue = catalogues(recipe)
  scores = model_scores(catalogue)
  total_BxM = sum(scores.values())
  count = len(catalogue.influencers)
  lacking = 0
  near = float(1e-6 * np.abs(total_BxM).max() + 1e-5)  # as float32 rounds
  for row in range(0, len(catalogue.brands), 9):
    brand = catalogue.account_at(accounts_lib.BRAND, row)
    found = recommend.recommend(catalogue, brand, count, ALL)
    assert sorted(r.row for r in found) == list(range(count))
    lacking += sum(bool(r.lacks) for r in found)
    for r in [r for r in found if r.lacks or not r.rank % 7]:
      assert r.score == pytest.approx(total_BxM[row, r.row], abs=near)
      assert r.typical == pytest.approx(total_BxM[row].mean(), abs=near)
      parts = sum(p.value for p in r.parts)
      assert parts == pytest.approx(r.score - r.typical, abs=1e-5)
      for perspective, value in r.by_perspective.items():
        score_M = scores[perspective][row]
        beyond = score_M[r.row] - score_M.mean()
        assert value == pytest.approx(beyond, abs=2 * near)
    ordered = total_BxM[row, [r.row for r in found]]
    assert (np.diff(ordered) <= near).all()
  assert lacking  # some lack a perspective, and their parts add up too


def test_a_modality_s_part_is_its_own(catalogues):
  """Another picture changes the part of pictures and no other."""
  catalogue = catalogues('default')
  brand = catalogue.account_at(accounts_lib.BRAND, 0)
  one = next(
    catalogue.account_at(accounts_lib.INFLUENCER, row)
    for row in range(9)
    if 'content_image' in catalogue.account_at(1, row).profile.features
  )
  features = dict(one.profile.features)
  features['content_image'] = features['content_image'][::-1]
  other = catalogue.new_account(
    dataclasses.replace(one.profile, features=features),
    role=accounts_lib.INFLUENCER,
  )
  before = recommend.parts_of(catalogue, brand, one.vector_D)
  after = recommend.parts_of(catalogue, brand, other.vector_D)
  assert len(before) == 5
  for a, b in zip(before, after, strict=True):
    same = abs(a.value - b.value) < 1e-5
    assert same == ((a.perspective, a.modality) != ('content', 'image'))


def test_multiplied_modalities_have_one_part(catalogues):
  pieces = catalogues('paper').pieces
  assert [(p.perspective, p.modality) for p in pieces] == [
    ('content', 'image x text'),
    ('audience', 'image x text'),
    ('attribute', 'list'),
  ]
  end = 0
  for piece in pieces:
    assert piece.where.start == end
    end = piece.where.stop
  assert end == catalogues('paper').brands.vector_NxD.shape[1]


@pytest.mark.xdist_group('recommend')
@pytest.mark.parametrize('name', ['valid', 'test'])
def test_rankings_are_those_of_evaluate(
  workdir, trained_catalogue, tmp_path, name
):
  file = tmp_path / 'scores.npz'
  evaluate.evaluate(workdir, wanted_splits=(name,), scores_file=str(file))
  stored = np.load(file)
  catalogue = trained_catalogue
  assert len(stored['brand_ids']) == len(
    splits.select(catalogue.dataset, name).brand_row_B
  )
  only = dataclasses.replace(
    ALL, candidates=tuple(stored['influencer_ids'].tolist())
  )
  place = {name: i for i, name in enumerate(stored['influencer_ids'].tolist())}
  for brand, score_M in zip(stored['brand_ids'], stored['scores'], strict=True):
    found = recommend.recommend(catalogue, str(brand), len(place), only)
    mine = np.array([place[r.account_id] for r in found])
    theirs = np.argsort(-score_M, kind='stable')
    assert len(found) == len(score_M)
    # Where the two differ, the scores are equal but for rounding.
    np.testing.assert_allclose(score_M[mine], score_M[theirs], atol=2e-5)
    np.testing.assert_allclose(
      [r.score for r in found], score_M[mine], atol=2e-5
    )


def test_those_who_cooperate_are_shown_on_request(catalogues):
  catalogue = catalogues('default')
  brand = catalogue.brand('shoes_01')
  partners = set(catalogue.partners[brand.row].tolist())
  count = len(catalogue.influencers)
  new = recommend.recommend(catalogue, brand, count)
  assert partners and not partners & {r.row for r in new}
  assert len(new) == count - len(partners)
  everybody = recommend.recommend(catalogue, brand, count, ALL)
  assert {r.row for r in everybody if r.cooperates} == partners
  place = {r.row: r.rank for r in everybody}
  for r in new:
    assert r.place == place[r.row]
  assert [r.rank for r in new] == list(range(1, len(new) + 1))


def test_brands_and_influencers_of_one_name_are_two(catalogues):
  catalogue = catalogues('default')
  both = set(catalogue.brands.row_of) & set(catalogue.influencers.row_of)
  assert both
  name = both.pop()
  as_brand, as_influencer = catalogue.brand(name), catalogue.influencer(name)
  assert not np.array_equal(as_brand.vector_D, as_influencer.vector_D)
  score = recommend.scores(catalogue, as_influencer)[as_brand.row]
  assert score == pytest.approx(
    recommend.scores(catalogue, as_brand)[as_influencer.row], rel=1e-5
  )


def test_brands_for_an_influencer_have_the_scores_of_the_pairs(catalogues):
  catalogue = catalogues('release')  # brands are encoded by their own weights
  influencer = catalogue.account_at(accounts_lib.INFLUENCER, 3)
  count = len(catalogue.brands)
  found = recommend.brands_for(
    catalogue, influencer, count, include_cooperating=True
  )
  want = model_scores(catalogue)
  total_B = sum(want.values())[:, 3]
  np.testing.assert_allclose(
    [b.score for b in found], total_B[[b.row for b in found]], atol=1e-4
  )
  assert all(a.score >= b.score for a, b in itertools.pairwise(found))
  for b in found:
    parts = sum(p.value for p in b.parts)
    assert parts == pytest.approx(b.score - total_B.mean(), abs=1e-4)
  new = recommend.brands_for(catalogue, influencer.account_id, count)
  assert {b.row for b in found if b.cooperates} == (
    {b.row for b in found} - {b.row for b in new}
  )


@pytest.mark.parametrize('perspective', [None, 'content', 'attribute'])
def test_look_alikes_are_the_nearest_beyond_the_typical(
  catalogues, perspective
):
  catalogue = catalogues('lookup')
  side = catalogue.influencers
  where = catalogue.slices[perspective] if perspective else slice(None)
  x = side.vector_NxD[:, where].astype(np.float64)
  x = x - x.mean(axis=0)
  x /= np.linalg.norm(x, axis=1, keepdims=True)
  row = int(
    np.flatnonzero(np.logical_and.reduce(list(side.present.values())))[5]
  )
  want = x @ x[row]
  want[row] = -2
  if perspective:
    want[~side.present[perspective]] = -2
  found = recommend.similar(catalogue, str(side.ids_N[row]), perspective, 20)
  assert [m.row for m in found] == np.argsort(-want)[:20].tolist()
  for m in found:
    assert m.similarity == pytest.approx(want[m.row], abs=1e-4)
  everybody = recommend.similar(
    catalogue, str(side.ids_N[row]), perspective, len(side) - 1
  )
  assert {m.row for m in everybody} == set(np.flatnonzero(want > -2).tolist())
  if perspective == 'attribute':  # which some lack
    assert len(everybody) < len(side) - 1


def test_who_is_left_out_is_no_look_alike(catalogues):
  catalogue = catalogues('default')
  before = recommend.similar(catalogue, 'creator_0001', None, 6)
  exclude = frozenset([before[0].account_id, before[3].account_id, 'nobody'])
  after = recommend.similar(catalogue, 'creator_0001', None, 4, exclude=exclude)
  assert [m.account_id for m in after] == [
    m.account_id for m in before if m.account_id not in exclude
  ]
  assert [m.rank for m in after] == [1, 2, 3, 4]
  everybody = frozenset(catalogue.influencers.ids_N.tolist())
  with pytest.raises(errors.UserError, match='no other influencer is left'):
    recommend.similar(catalogue, 'creator_0001', exclude=everybody)


def test_equal_scores_come_in_the_order_of_rows(catalogues):
  catalogue = catalogues('default')
  vectors = catalogue.influencers.vector_NxD.copy()
  vectors[[5, 9, 2, 100]] = vectors[5]
  side = dataclasses.replace(catalogue.influencers, vector_NxD=vectors)
  tied = dataclasses.replace(catalogue, influencers=side)
  for brand in ('shoes_01', 'shoes_02'):
    for k in (1, 50, len(side)):
      rows = [r.row for r in recommend.recommend(tied, brand, k, ALL)]
      ours = [row for row in rows if row in (2, 5, 9, 100)]
      assert ours == sorted(ours)
      score = recommend.scores(tied, tied.brand(brand))
      least = min(score[rows])
      assert {*np.flatnonzero(score > least).tolist()} <= set(rows)


@pytest.mark.parametrize(
  ('ask', 'message'),
  [
    (lambda c: recommend.recommend(c, 'shoes_1'), 'near: shoes_'),
    (lambda c: recommend.recommend(c, 'creator_0001'), 'an influencer has'),
    (lambda c: recommend.brands_for(c, 'creator_001'), 'near: creator_'),
    (lambda c: recommend.recommend(c, 'shoes_01', 481), 'there are 480'),
    (lambda c: recommend.recommend(c, 'shoes_01', 0), 'one at least'),
    (lambda c: recommend.brands_for(c, 'creator_0001', 49), 'there are 48'),
    (
      lambda c: recommend.similar(c, 'creator_0001', 'contents'),
      'the model has content, audience, attribute',
    ),
    (lambda c: recommend.similar(c, 'creator_0001', None, 480), '479'),
  ],
)
def test_a_mistake_is_one_line(catalogues, ask, message):
  with pytest.raises(errors.UserError) as e:
    ask(catalogues('default'))
  assert message in str(e.value)
  assert str(e.value).isprintable() and len(str(e.value)) <= 300


def test_a_model_of_one_perspective_has_no_other(catalogues):
  with pytest.raises(errors.UserError, match='the model has content alone'):
    recommend.similar(catalogues('text alone'), 'creator_0001', 'audience')


def test_a_model_that_diverged_recommends_nobody(catalogues):
  trained = catalogues('text alone').trained
  params = {**trained.params}
  params['content'] = {
    'text': {**params['content']['text'], 'log_weight': np.float32(np.inf)}
  }
  with pytest.raises(errors.DivergedError, match='not finite'):
    catalogue_lib.encode_dataset(
      dataclasses.replace(trained, params=params),
      catalogues('text alone').dataset,
      is_own_data=True,
      bundle_fingerprint='',
    )


def test_where_nobody_is_left_a_line_says_so(catalogues):
  catalogue = catalogues('lookup')
  one = catalogue.account_at(accounts_lib.INFLUENCER, 0)
  row = int(catalogue.influencers.account_row_N[0])
  brands = catalogue.brands.account_row_N
  data = dataclasses.replace(
    catalogue.dataset,
    positives_Px2=np.stack([brands, np.full(len(brands), row)], axis=1),
  )
  busy = dataclasses.replace(catalogue, dataset=data)
  with pytest.raises(errors.UserError, match='works with every brand'):
    recommend.brands_for(busy, one, 3)
  present = {k: np.arange(480) == 0 for k in catalogue.perspectives}
  side = dataclasses.replace(catalogue.influencers, present=present)
  lonely = dataclasses.replace(catalogue, influencers=side)
  with pytest.raises(errors.UserError, match='no other influencer shows'):
    recommend.similar(lonely, one, 'content', 3)
