"""What the API answers is what the library computes."""

import csv
import io
import json

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import look_alikes
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend
from morning_jax.recommend import shortlist
from tests.serving import clients
from tests.serving import conftest

API = clients.API


def ids(rows):
  return [row['influencer_id'] for row in rows]


@pytest.mark.parametrize(
  ('parameters', 'filters'),
  [
    ({}, {}),
    ({'include_cooperating': True}, {'include_cooperating': True}),
    ({'followers_from': 10000}, {'followers_from': 10000}),
    (
      {'found_under': ['shoes', 'drink'], 'followers_to': 40000},
      {'found_under': ('shoes', 'drink'), 'followers_to': 40000},
    ),
    ({'attribute': 'coffee fan'}, {'attribute': ('coffee fan',)}),
    ({'needs': 'audience'}, {'needs': ('audience',)}),
    (
      {'exclude': 'creator_0001'},
      {'exclude': frozenset({'creator_0001'})},
    ),
  ],
)
def test_rankings_are_those_of_the_library(
  ask, catalogue, brand, parameters, filters
):
  answer = ask.get(
    f'{API}/recommendations', params={'brand': brand, 'k': 30, **parameters}
  ).json()
  wanted = recommend.recommend(
    catalogue, brand, 30, filters_lib.Filters(**filters)
  )
  found = answer['recommendations']
  assert ids(found) == [x.account_id for x in wanted]
  for row, other in zip(found, wanted, strict=True):
    assert row['place'] == other.place and row['rank'] == other.rank
    assert row['score'] == pytest.approx(other.score, abs=1e-9)
    assert row['cooperates_already'] == other.cooperates
    assert row['lacks'] == list(other.lacks)
    for part, wanted_part in zip(row['parts'], other.parts, strict=True):
      assert part['value'] == pytest.approx(wanted_part.value, abs=1e-9)
    parts = sum(part['value'] for part in row['parts'])
    assert row['score'] - row['typical_score'] == pytest.approx(parts, abs=1e-5)


def test_counts_tell_how_many_pass(ask, catalogue, brand):
  parameters = {'brand': brand, 'followers_from': 10000, 'k': 200}
  answer = ask.get(f'{API}/recommendations', params=parameters).json()
  account = catalogue.brand(brand)
  passed = filters_lib.mask(
    catalogue, account, filters_lib.Filters(followers_from=10000)
  )
  assert answer['passed'] == passed.mask_M.sum()
  assert answer['total'] == len(catalogue.influencers)


def test_one_name_may_be_a_brand_and_an_influencer(ask, catalogue, brand):
  name = min(set(catalogue.brands.row_of) & set(catalogue.influencers.row_of))
  answer = ask.get(f'{API}/influencer', params={'influencer': name}).json()
  row = catalogue.influencers.account_row_N[catalogue.influencers.row_of[name]]
  followers = int(catalogue.dataset.accounts.followers[row])
  assert answer['followers'] == followers
  found = ask.get(f'{API}/brands', params={'search': name}).json()['brands']
  assert [b['brand_id'] for b in found] == [name]
  # A name of the other kind alone is unknown.
  error = clients.failure(
    ask.get(f'{API}/influencer', params={'influencer': brand}),
    404,
    'unknown_influencer',
  )
  assert 'a brand has that name' in error['message']
  error = clients.failure(
    ask.get(f'{API}/recommendations', params={'brand': 'creator_0001'}),
    404,
    'unknown_brand',
  )
  assert 'an influencer has that name' in error['message']


def test_a_pair_has_reasons_that_are_measured(ask, catalogue, brand):
  answer = ask.get(
    f'{API}/pair', params={'brand': brand, 'influencer': 'creator_0007'}
  ).json()['recommendation']
  account = catalogue.brand(brand)
  other = catalogue.influencer('creator_0007')
  (wanted,) = reasons_lib.reasons(catalogue, account, [other])
  assert [r['words'] for r in answer['speaks_for']] == [
    r.words for r in wanted.speaks_for()
  ]
  assert [r['drop'] for r in answer['speaks_against']] == pytest.approx(
    [r.drop for r in wanted.speaks_against()], abs=1e-6
  )
  scores = recommend.scores(catalogue, account)
  assert answer['place'] == (scores >= scores[other.row]).sum()


def test_look_alikes_and_matching_brands(ask, catalogue):
  found = ask.get(
    f'{API}/similar',
    params={
      'influencer': 'creator_0007',
      'perspective': 'content',
      'k': 5,
    },
  ).json()['similar']
  wanted = look_alikes.similar(catalogue, 'creator_0007', 'content', 5)
  assert ids(found) == [m.account_id for m in wanted]
  found = ask.get(
    f'{API}/matching-brands',
    params={'influencer': 'creator_0007', 'k': 4, 'include_cooperating': True},
  ).json()['brands']
  wanted = recommend.brands_for(
    catalogue, 'creator_0007', 4, include_cooperating=True
  )
  assert [b['brand_id'] for b in found] == [b.account_id for b in wanted]


def test_an_unseen_brand_with_the_features_of_a_seen_one_ranks_alike(
  ask, catalogue, brand
):
  profile = catalogue.brand(brand).profile
  names = catalogue.dataset.attribute_names
  value = {
    'name': 'unseen',
    'attributes': [names[v] for v in profile.attributes],
    **{f: row.tolist() for f, row in profile.features.items()},
  }
  answer = ask.post(
    f'{API}/brands:rank',
    json={
      'brand': value,
      'k': 8,
      'reasons': True,
      'filters': {'found_under': ['shoes']},
    },
  ).json()
  wanted = recommend.recommend(
    catalogue,
    brand,
    8,
    filters_lib.Filters(found_under=('shoes',), include_cooperating=True),
  )
  assert answer['brand'] == 'unseen'
  assert ids(answer['recommendations']) == [x.account_id for x in wanted]
  assert answer['recommendations'][0]['speaks_for']


def test_a_shortlist_within_a_budget(ask, catalogue, brand):
  costs = {f'creator_{i:04}': float(i) for i in range(1, 40)}
  answer = ask.post(
    f'{API}/shortlists:select',
    json={'brand': brand, 'count': 4, 'budget': 60, 'costs': costs},
  ).json()
  wanted = shortlist.choose(
    catalogue,
    brand,
    shortlist.Wishes(count=4, budget=60.0),
    costs=costs,
  )
  assert ids(answer['choices']) == [c.account_id for c in wanted.choices]
  assert answer['spent'] == sum(costs[x] for x in ids(answer['choices'])) <= 60


def test_files_have_what_the_page_has(ask, brand):
  ranking = ask.get(
    f'{API}/recommendations', params={'brand': brand, 'k': 4}
  ).json()
  parameters = {'brand': brand, 'k': 4}
  answer = ask.get(f'{API}/export', params=parameters)
  assert 'attachment' in answer.headers['content-disposition']
  rows = list(csv.DictReader(io.StringIO(answer.content.decode('utf-8-sig'))))
  assert [r['influencer'] for r in rows] == ids(ranking['recommendations'])
  assert {r['bundle'] for r in rows} == {'small'}  # no path
  answer = ask.get(f'{API}/export', params={**parameters, 'format': 'json'})
  assert ids(answer.json()['recommendations']) == [
    r['influencer'] for r in rows
  ]
  answer = ask.get(f'{API}/export', params={**parameters, 'format': 'xlsx'})
  assert answer.content[:2] == b'PK'
  some = ids(ranking['recommendations'])[1:3]
  answer = ask.get(
    f'{API}/export',
    params={'brand': brand, 'influencer': some, 'format': 'json'},
  )
  assert ids(answer.json()['recommendations']) == some


def test_search_finds_by_name_and_category(ask, catalogue):
  answer = ask.get(f'{API}/brands', params={'search': 'SHOES', 'limit': 3})
  assert answer.json()['total'] == 12
  assert [b['brand_id'] for b in answer.json()['brands']] == [
    'shoes_01',
    'shoes_02',
    'shoes_03',
  ]
  answer = ask.get(f'{API}/influencers', params={'skip': 2, 'limit': 2}).json()
  assert answer['total'] == len(catalogue.influencers)
  assert ids(answer['influencers']) == ['creator_0003', 'creator_0004']


def test_the_model_says_how_well_it_ranked_what_was_held_out(
  ask, metrics, catalogue
):
  answer = ask.get(f'{API}/model').json()
  assert answer['metrics']['test']['auc'] == metrics['test']['auc']
  assert answer['bundle'] == 'small'
  assert answer['influencers'] == len(catalogue.influencers)


@pytest.mark.parametrize(
  ('parameters', 'code', 'field'),
  [
    ({'k': 0}, 'invalid_input', 'k'),
    ({'k': 201}, 'invalid_input', 'k'),
    ({'k': 'ten'}, 'invalid_input', 'k'),
    ({'nonsense': 1}, 'invalid_input', 'nonsense'),
    ({'followers_from': 9, 'followers_to': 3}, 'invalid_input', 'followers'),
    ({'category': 'cars'}, 'invalid_input', 'category'),
    ({'needs': 'smell'}, 'invalid_input', 'perspective'),
    ({'followers_from': 10**11}, 'nobody_left', None),
    ({'influencer': ['x' * 201]}, 'invalid_input', 'influencer.0'),
    ({'exclude': ['x'] * 201}, 'invalid_input', 'exclude'),
  ],
)
def test_questions_that_make_no_sense(ask, brand, parameters, code, field):
  answer = ask.get(
    f'{API}/recommendations', params={'brand': brand, **parameters}
  )
  assert clients.failure(answer, 422, code)['field'] == field


@pytest.mark.parametrize(
  ('body', 'status', 'code'),
  [
    ('{', 400, 'not_well_formed'),
    ('[' * 100_000, 400, 'not_well_formed'),
    ('{"brand": {"content_text": [NaN]}}', 422, 'invalid_input'),
    ('{"brand": {"content_text": [1e999]}}', 422, 'invalid_input'),
    ('{"brand": {"content_text": [1, 2, 3]}}', 422, 'invalid_input'),
    ('{"brand": {"content_text": ["a"]}}', 422, 'invalid_input'),
    ('{"brand": {"file": "/etc/passwd"}}', 422, 'invalid_input'),
    ('{"brand": {}}', 422, 'invalid_input'),
    ('{"brand": 3}', 422, 'invalid_input'),
    ('[]', 422, 'invalid_input'),
  ],
)
def test_brands_that_are_none(ask, body, status, code):
  answer = ask.post(
    f'{API}/brands:rank',
    content=body,
    headers={'content-type': 'application/json'},
  )
  clients.failure(answer, status, code)


def test_who_is_removed_is_gone_at_once(ask, catalogue, brand, excluded_file):
  def seen(name):
    pages = [
      ask.get(
        f'{API}/recommendations',
        params={'brand': brand, 'k': 200, 'include_cooperating': True},
      ),
      ask.get(f'{API}/influencers', params={'limit': 200, 'search': name}),
      ask.get(
        f'{API}/similar', params={'influencer': 'creator_0002', 'k': 200}
      ),
      ask.get(f'{API}/influencer', params={'influencer': name}),
      ask.get('/ranking', params={'brand': brand}),
      ask.get(f'{API}/export', params={'brand': brand, 'k': 200}),
    ]
    return [name in page.text for page in pages]

  first = recommend.recommend(
    catalogue, brand, 1, filters_lib.Filters(include_cooperating=False)
  )[0].account_id
  alike = look_alikes.similar(catalogue, 'creator_0002', None, 1)[0].account_id
  before = seen(first)
  assert before[0] and before[1] and before[3] and before[4] and before[5]
  excluded_file.write_text(f'{first}\n{alike}\n')
  try:
    after = seen(first)
    # Nowhere, but in the words that there is none of that name.
    assert after == [False, False, False, True, False, False]
    answer = ask.get(f'{API}/influencer', params={'influencer': first})
    clients.failure(answer, 404, 'unknown_influencer')
    answer = ask.get(f'{API}/similar', params={'influencer': 'creator_0002'})
    assert alike not in answer.text
    answer = ask.get(f'{API}/model').json()
    assert answer['influencers'] == len(catalogue.influencers) - len(
      {first, alike}
    )
  finally:
    excluded_file.write_text('')
  assert seen(first) == before


def test_precedents_do_not_name_who_is_removed(
  ask, engine, catalogue, brand, excluded_file
):
  parameters = {'brand': brand, 'k': 40, 'reasons': True}
  url = f'{API}/recommendations'
  rows = ask.get(url, params=parameters).json()['recommendations']
  named = [
    r['precedent']['influencer_id']
    for r in rows
    if r['precedent'] and not r['precedent']['is_own']
  ]
  excluded_file.write_text(named[0])
  try:
    assert named[0] not in ask.get(url, params=parameters).text
  finally:
    excluded_file.write_text('')


def test_checks_and_counters(ask, brand):
  assert ask.get('/health/live').json() == {'status': 'live'}
  assert ask.get('/health/ready').json() == {'status': 'ready'}
  ask.get(f'{API}/recommendations', params={'brand': brand})
  text = ask.get('/metrics').text
  assert 'morning_requests_total{method="GET"' in text
  assert 'route="/api/v1/recommendations"' in text
  assert brand not in text


def test_many_at_once_get_what_each_gets_alone(engine, catalogue):
  from concurrent import futures

  brands = [
    catalogue.account_at(accounts_lib.BRAND, row)
    for row in range(len(catalogue.brands))
  ]
  filters = filters_lib.Filters(include_cooperating=True)
  with futures.ThreadPoolExecutor(8) as pool:
    found = list(
      pool.map(lambda b: engine.rank(b, 20, filters).found, brands * 3)
    )
  for account, ranking in zip(brands * 3, found, strict=True):
    wanted = recommend.recommend(catalogue, account, 20, filters)
    assert [x.row for x in ranking] == [x.row for x in wanted]


def test_scores_of_a_large_catalogue_are_kept_within_bounds(catalogue):
  from morning_jax.serving import scores as scores_lib

  rng = np.random.default_rng(0)
  score_N = rng.integers(0, 300, 5000).astype(np.float32)  # with ties
  scores = scores_lib.Scores(score_N)
  order = np.argsort(-score_N, kind='stable')
  for mask_N in (None, rng.random(5000) < 0.5, rng.random(5000) < 0.01):
    wanted = [r for r in order if mask_N is None or mask_N[r]][:40]
    assert scores.best(mask_N, 40) == wanted
  rows = order[[0, 10, 999, 1000, 4999]].tolist()
  assert scores.places(rows) == [
    int((score_N >= score_N[row]).sum()) for row in rows
  ]
  cache = scores_lib.ScoreCache(catalogue, 3 * 4 * len(catalogue.influencers))
  for row in range(6):
    cache.of(catalogue.account_at(accounts_lib.BRAND, row))
  kept = [cache.get((accounts_lib.BRAND, row)) is not None for row in range(6)]
  assert kept == [False] * 3 + [True] * 3


def test_the_description_is_whole(ask):
  description = ask.get(f'{API}/openapi.json').json()
  for path in (
    'model',
    'brands',
    'recommendations',
    'pair',
    'influencers',
    'similar',
    'brands:rank',
    'shortlists:select',
    'export',
  ):
    assert f'{API}/{path}' in description['paths']
  assert conftest.FOLDER not in json.dumps(description)
