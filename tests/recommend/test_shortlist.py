"""Shortlists against the best that brute force finds."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import reach as reach_lib
from morning_jax.recommend import recommend
from morning_jax.recommend import shortlist
from tests import runs
from tests.recommend import models

Wishes = shortlist.Wishes
BRAND_ID = 'drink_02'


def with_members(data: accounts_lib.Dataset, seed: int) -> accounts_lib.Dataset:
  """Followers out of a few groups, so that audiences overlap."""
  rng = np.random.default_rng(seed)
  pairs = set()
  for row in data.accounts.rows_of(accounts_lib.INFLUENCER).tolist():
    group = int(rng.integers(6))
    for _ in range(int(rng.integers(2, 14))):
      pairs.add((row, 20 * group + int(rng.integers(20))))
  holder, member = np.array(sorted(pairs)).T
  return dataclasses.replace(
    data,
    audience=accounts_lib.AudienceMembers(
      hashes_N=np.array([f'{i:08x}' for i in range(120)]),
      holder=holder,
      member=member,
    ),
  )


@pytest.fixture(scope='module')
def catalogue(catalogues):
  return catalogues('lookup')


@pytest.fixture(scope='module')
def peopled(catalogue):
  return dataclasses.replace(
    catalogue, dataset=with_members(catalogue.dataset, 0)
  )


def some_pool(catalogue, count, seed=0):
  rng = np.random.default_rng(seed)
  ids = rng.choice(catalogue.influencers.ids_N, count, replace=False)
  return filters_lib.Filters(
    candidates=tuple(ids.tolist()), include_cooperating=True
  )


def value_of(catalogue, rows, pool_rows, wishes):
  """The value of a set without regard to likeness, written out plainly."""
  score = recommend.scores(catalogue, catalogue.brand(BRAND_ID)).astype(float)
  low, high = score[pool_rows].min(), score[pool_rows].max()
  total = sum((score[r] - low) / (high - low) for r in rows)
  members = catalogue.dataset.audience
  table = catalogue.influencers.account_row_N

  def reached(some):
    return len(set(members.member[np.isin(members.holder, table[some])]))

  most = max(reached([r]) for r in pool_rows)
  return total + wishes.reach * reached(list(rows)) / most


@pytest.mark.parametrize('seed', range(4))
def test_greedy_keeps_its_bound_for_a_number(peopled, seed):
  filters = some_pool(peopled, 9, seed)
  wishes = Wishes(count=3, diversity=0.0, reach=4.0)
  found = shortlist.choose(peopled, BRAND_ID, wishes, filters=filters)
  pool = [peopled.influencers.row_of[i] for i in filters.candidates]
  chosen = [c.row for c in found.choices]
  assert found.value == pytest.approx(value_of(peopled, chosen, pool, wishes))
  best = max(
    value_of(peopled, s, pool, wishes) for s in itertools.combinations(pool, 3)
  )
  assert (1 - 1 / math.e) * best <= found.value <= best + 1e-9
  assert found.unit == 'followers'
  # It is not the three of highest score: reach counts.
  assert found.reached == sum(c.new for c in found.choices)


@pytest.mark.parametrize('seed', range(4))
def test_greedy_keeps_its_bound_for_a_budget(peopled, seed):
  filters = some_pool(peopled, 9, seed)
  rng = np.random.default_rng(seed)
  costs = {i: float(rng.integers(1, 30)) for i in filters.candidates}
  wishes = Wishes(count=9, budget=40, diversity=0.0, reach=4.0)
  found = shortlist.choose(
    peopled, BRAND_ID, wishes, filters=filters, costs=costs
  )
  assert found.spent == sum(costs[c.account_id] for c in found.choices) <= 40
  pool = [peopled.influencers.row_of[i] for i in filters.candidates]
  price = dict(zip(pool, costs.values(), strict=True))
  best = max(
    value_of(peopled, s, pool, wishes)
    for n in range(1, 10)
    for s in itertools.combinations(pool, n)
    if sum(price[r] for r in s) <= 40
  )
  assert (1 - 1 / math.e) / 2 * best <= found.value <= best + 1e-9


def test_a_cheap_few_beat_one_that_takes_the_budget(peopled):
  """Greedy by gain alone would take the dear one and stop."""
  filters = some_pool(peopled, 8)
  best = recommend.recommend(peopled, BRAND_ID, 8, filters)
  costs = {r.account_id: 1.0 for r in best}
  costs[best[0].account_id] = 8.0
  wishes = Wishes(count=8, budget=8, diversity=0.0)
  found = shortlist.choose(
    peopled, BRAND_ID, wishes, filters=filters, costs=costs
  )
  assert best[0].account_id not in [c.account_id for c in found.choices]
  # The last of the pool adds nothing, and is in nobody's way.
  assert len(found.choices) >= 6


def test_score_alone_gives_the_ranking(catalogue):
  found = shortlist.choose(catalogue, BRAND_ID, Wishes(count=6, diversity=0.0))
  want = recommend.recommend(catalogue, BRAND_ID, 6)
  assert [c.account_id for c in found.choices] == [r.account_id for r in want]
  for c, r in zip(found.choices, want, strict=True):
    assert c.score == pytest.approx(r.score, abs=1e-4)
  assert found.spent is None and found.reached is None


def test_gains_are_those_of_the_formula(catalogue):
  """Each choice has the largest gain of all that are left."""
  wishes = Wishes(count=5, diversity=0.4, pool=40)
  found = shortlist.choose(catalogue, BRAND_ID, wishes)
  pool = recommend.recommend(catalogue, BRAND_ID, 40)
  rows = [r.row for r in pool]
  side = catalogue.influencers
  x = side.vector_NxD - side.vector_NxD.mean(axis=0)
  x /= np.linalg.norm(x, axis=1, keepdims=True)
  score = {r.row: r.score for r in pool}
  low, high = min(score.values()), max(score.values())
  chosen: list[int] = []
  for c in found.choices:

    def gain(row, chosen=tuple(chosen)):
      nearest = max((float(x[row] @ x[j]) for j in chosen), default=0.0)
      scaled = (score[row] - low) / (high - low)
      return 0.6 * scaled - 0.4 * max(0.0, nearest)

    assert c.gain == pytest.approx(gain(c.row), abs=1e-4)
    assert c.gain >= max(gain(r) for r in rows if r not in chosen) - 1e-4
    assert c.gain == pytest.approx(
      c.from_score + c.from_diversity + c.from_reach
    )
    if chosen:
      like = side.row_of[c.like]
      assert c.like_similarity == pytest.approx(
        float(x[c.row] @ x[like]), abs=1e-4
      )
      assert like in chosen
    chosen.append(c.row)


def mean_likeness(catalogue, found):
  side = catalogue.influencers
  x = side.vector_NxD - side.vector_NxD.mean(axis=0)
  x /= np.linalg.norm(x, axis=1, keepdims=True)
  x = x[[c.row for c in found.choices]]
  return ((x @ x.T).sum() - len(x)) / (len(x) * (len(x) - 1))


def test_diversity_makes_a_list_less_alike(catalogue):
  lists = [
    shortlist.choose(catalogue, BRAND_ID, Wishes(count=8, diversity=d))
    for d in (0.0, 0.6, 0.9)
  ]
  likeness = [mean_likeness(catalogue, x) for x in lists]
  assert likeness[0] > likeness[1] + 0.01 > likeness[2] + 0.02
  score = [sum(c.score for c in x.choices) for x in lists]
  assert score[0] > score[1] > score[2]


def test_followers_are_counted_once(peopled):
  wishes = Wishes(count=4, diversity=0.0, reach=2.0)
  found = shortlist.choose(peopled, BRAND_ID, wishes)
  members = peopled.dataset.audience
  table = peopled.influencers.account_row_N
  seen: set[int] = set()
  for c in found.choices:
    mine = set(members.member[members.holder == table[c.row]].tolist())
    assert c.new == len(mine - seen)
    seen |= mine
  assert found.reached == len(seen)


def test_without_followers_reach_is_called_audience_similarity(catalogue):
  plain = shortlist.choose(catalogue, BRAND_ID, Wishes(count=4, reach=3.0))
  assert plain.unit == 'audience similarity'
  rows = np.array(
    [r.row for r in recommend.recommend(catalogue, BRAND_ID, 200)]
  )
  where = catalogue.slices['audience']
  x = catalogue.influencers.vector_NxD[:, where]
  x = x - x.mean(axis=0)
  x /= np.linalg.norm(x, axis=1, keepdims=True)
  chosen = [c.row for c in plain.choices]
  nearest = np.maximum(x[rows] @ x[chosen].T, 0).max(axis=1)
  assert plain.reached == pytest.approx(nearest.sum(), rel=1e-3)


def test_reach_is_monotone_and_submodular(peopled, catalogue):
  rows = np.arange(12)
  rng = np.random.default_rng(0)
  for some in (peopled, catalogue):
    reach = reach_lib.of_pool(some, rows)
    for _ in range(40):
      order = rng.permutation(12)
      small, large = reach.start(), reach.start()
      for i in order[:2]:
        small, large = reach.cover(small, i), reach.cover(large, i)
      for i in order[2:6]:
        large = reach.cover(large, i)
      assert (reach.new(large) >= 0).all()
      assert (reach.new(small) >= reach.new(large) - 1e-9).all()
      assert reach.new(large)[order[:6]] == pytest.approx(0, abs=1e-6)


def test_followers_are_the_cost_where_none_is_given(catalogue):
  found = shortlist.choose(catalogue, BRAND_ID, Wishes(count=5, budget=60_000))
  followers = catalogue.dataset.accounts.followers
  rows = catalogue.influencers.account_row_N
  for c in found.choices:
    assert c.cost == followers[rows[c.row]]
  assert found.spent == sum(c.cost for c in found.choices) <= 60_000


def test_who_has_no_cost_is_not_chosen(catalogue):
  one, other = recommend.recommend(catalogue, BRAND_ID, 2)
  costs = {one.account_id: 5.0, other.account_id: 7.0}
  found = shortlist.choose(catalogue, BRAND_ID, Wishes(count=4), costs=costs)
  assert {c.account_id for c in found.choices} == set(costs)
  assert found.spent == 12


@pytest.mark.parametrize(
  ('wishes', 'costs', 'message'),
  [
    ({'count': 0}, None, 'one at least'),
    ({'count': 481}, None, 'there are 480'),
    ({'count': 9, 'pool': 8}, None, 'at least the 9'),
    ({'diversity': 1.5}, None, 'not in 0..1'),
    ({'diversity': float('nan')}, None, 'not in 0..1'),
    ({'reach': -1.0}, None, 'a weight from 0'),
    ({'budget': 0.0}, None, 'more than 0'),
    ({'budget': float('nan')}, None, 'more than 0'),
    ({'budget': 3.0}, None, 'nobody else has a known cost'),
    ({}, {'creator_1': 4.0}, 'near: creator_'),
  ],
)
def test_wishes_that_make_no_sense(catalogue, wishes, costs, message):
  with pytest.raises(errors.UserError) as e:
    shortlist.choose(catalogue, BRAND_ID, Wishes(**wishes), costs=costs)
  assert message in str(e.value)
  assert str(e.value).isprintable() and len(str(e.value)) <= 300


def test_what_reach_and_budget_need(catalogues):
  alone = catalogues('text alone')
  with pytest.raises(errors.UserError, match='no audience_members'):
    shortlist.choose(alone, BRAND_ID, Wishes(reach=1.0))
  data = models.change(runs.small_world(), followers=None)
  bare = dataclasses.replace(alone, dataset=data)
  with pytest.raises(errors.UserError, match='no column followers'):
    shortlist.choose(bare, BRAND_ID, Wishes(budget=1.0))
