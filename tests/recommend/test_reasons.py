"""A reason's drop is that of encoding again from scratch.

The second way shares nothing with the first but the model: the data set is
written anew with the feature removed by hand, transformed and encoded whole.
"""

import dataclasses

import jax
import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.data import preprocessing
from morning_jax.model import morning
from morning_jax.recommend import profiles as profiles_lib
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend
from morning_jax.recommend import removal
from tests import runs
from tests.recommend import models

BRAND_ID = 'drink_02'


def scorer(catalogue):
  """F of two rows of an account table, by the model itself."""
  trained = catalogue.trained
  graph = preprocessing.graph_of(trained.fitted)

  @jax.jit
  def pair(brand, influencer):
    both = trained.model.apply(
      {'params': trained.params}, brand, influencer, graph=graph
    )
    return morning.scores_of_pairs(*both)

  def score(data, brand_row, influencer_row) -> float:
    table = preprocessing.account_table(trained.spec, trained.fitted, data)
    parts = pair(
      table[np.array([brand_row])], table[np.array([influencer_row])]
    )
    return float(sum(np.asarray(v, np.float64)[0] for v in parts.values()))

  return score


def by_hand(data, row, item, objects) -> accounts_lib.Dataset:
  """The data set in which an account lacks something, written out plainly."""
  if item.feature == accounts_lib.ATTRIBUTE_LIST:
    s = data.attributes
    kept = ~((s.holder == row) & (s.held == item.indices[0]))
    lists = dataclasses.replace(s, holder=s.holder[kept], held=s.held[kept])
    return dataclasses.replace(data, attributes=lists)
  array = np.array(data.features[item.feature])
  blocks = [(0, array.shape[1])]
  if item.feature.endswith('image'):
    blocks = [(0, objects), (objects, array.shape[1])]
  for start, end in blocks:
    values = array[row, start:end].astype(np.float64)
    gone = [i - start for i in item.indices if start <= i < end]
    total = values.sum()
    values[gone] = 0
    if values.sum():
      values *= total / values.sum()
    array[row, start:end] = values
  return dataclasses.replace(
    data, features={**data.features, item.feature: array}
  )


@pytest.mark.parametrize(
  ('recipe', 'named'),
  [
    ('default', True),
    ('default', False),
    ('lookup', True),
    ('paper', True),
    ('gcn', False),
    ('gat', True),
  ],
)
def test_a_drop_is_that_of_encoding_again(catalogues, recipe, named):
  catalogue = catalogues(recipe)
  data = catalogue.dataset
  if not named:
    data = dataclasses.replace(data, feature_names={})
    catalogue = dataclasses.replace(catalogue, dataset=data)
  brand = catalogue.brand(BRAND_ID)
  best = recommend.recommend(catalogue, brand, 2)
  score_of = scorer(catalogue)
  influencers = [catalogue.account_at(1, r.row) for r in best]
  found = reasons_lib.reasons(catalogue, brand, influencers)
  brand_row = int(catalogue.brands.account_row_N[brand.row])
  rng = np.random.default_rng(0)
  kinds = set()
  for r, influencer, reasons in zip(best, influencers, found, strict=True):
    row = int(catalogue.influencers.account_row_N[influencer.row])
    assert reasons.score == pytest.approx(r.score, abs=1e-4)
    drops = [x.drop for x in reasons.ordered]
    assert drops == sorted(drops, reverse=True) and len(drops) > 20
    some = [reasons.ordered[i] for i in rng.permutation(len(drops))[:6]]
    for reason in [reasons.ordered[0], reasons.ordered[-1], *some]:
      kinds.add(reason.removed.kind)
      without = by_hand(data, row, reason.removed, objects=60)
      left = score_of(without, brand_row, row)
      assert reason.drop == pytest.approx(r.score - left, abs=2e-4)
  assert max(abs(x.drop) for x in found[0].ordered) > 0.02
  assert ('image family' if named else 'image class') in kinds


def test_reasons_of_many_are_those_of_each(catalogues):
  catalogue = catalogues('lookup')
  brand = catalogue.brand(BRAND_ID)
  influencers = [catalogue.account_at(1, row) for row in (0, 7, 300)]
  together = reasons_lib.reasons(catalogue, brand, influencers)
  for one, whole in zip(influencers, together, strict=True):
    (alone,) = reasons_lib.reasons(catalogue, brand, [one])
    assert [r.removed for r in alone.ordered] == [
      r.removed for r in whole.ordered
    ]
    np.testing.assert_allclose(
      [r.drop for r in alone.ordered],
      [r.drop for r in whole.ordered],
      atol=1e-4,
    )


def test_what_speaks_for_and_against(catalogues):
  catalogue = catalogues('lookup')
  brand = catalogue.brand(BRAND_ID)
  (found,) = reasons_lib.reasons(
    catalogue, brand, [catalogue.account_at(1, 11)]
  )
  first, against = found.speaks_for(4), found.speaks_against(4)
  drops = [r.drop for r in found.ordered]
  assert [r.drop for r in first] == sorted(drops)[::-1][:4]
  assert [r.drop for r in against] == sorted(drops)[:4]
  assert all(r.drop > 0 for r in first) and all(r.drop < 0 for r in against)


def test_reasons_read(catalogues):
  catalogue = catalogues('lookup')
  items = catalogue.removals.of(catalogue.account_at(1, 0).profile)
  words = {
    (i.perspective, i.kind): reasons_lib.Reason(i, 1.0).words for i in items
  }
  name = catalogue.dataset.feature_names['content_text']
  assert words['content', 'topic'].removeprefix('topic: ') in name
  assert words['audience', 'topic'].startswith('audience topic: ')
  assert words['content', 'image family'].startswith('pictures: ')
  assert words['attribute', 'attribute'].startswith('attribute: ')
  nameless = removal.Removals(
    catalogue.trained.spec,
    dataclasses.replace(catalogue.dataset, feature_names={}),
  )
  item = nameless.of(catalogue.account_at(1, 0).profile)[-30]
  assert reasons_lib.Reason(item, 1.0).words.split()[-1] == str(item.indices[0])


def test_shares_tell_how_much_of_a_feature_is_removed(catalogues):
  catalogue = catalogues('lookup')
  account = catalogue.account_at(1, 0)
  shares: dict[str, float] = {}
  for item in catalogue.removals.of(account.profile):
    shares[item.feature] = shares.get(item.feature, 0) + item.share
  for feature in ('content_text', 'content_image', 'audience_image'):
    assert shares[feature] == pytest.approx(1, abs=1e-5)
  assert shares[accounts_lib.ATTRIBUTE_LIST] == pytest.approx(1)


def test_removing_all_of_a_feature_leaves_an_account_without_it(catalogues):
  catalogue = catalogues('lookup')
  account = catalogue.account_at(1, 0)
  items = catalogue.removals.of(account.profile)
  bare = catalogue.removals.without(account.profile, items)
  assert bare.features == {} and not len(bare.attributes)
  _, present = catalogue.encoder.encode([bare], role=1)
  assert not any(has[0] for has in present.values())


def test_an_attribute_the_model_does_not_know_is_no_reason(catalogues):
  catalogue = catalogues('lookup')
  data = catalogue.dataset
  renamed = data.attributes.names_V.copy()
  account = catalogue.account_at(1, 0)
  gone = int(account.profile.attributes[0])
  renamed[gone] = 'something new'
  removals = removal.Removals(
    catalogue.trained.spec,
    dataclasses.replace(
      data, attributes=dataclasses.replace(data.attributes, names_V=renamed)
    ),
  )
  kinds = [i for i in removals.of(account.profile) if i.kind == 'attribute']
  assert len(kinds) == len(account.profile.attributes) - 1
  assert all(i.indices != (gone,) for i in kinds)


def test_the_parts_of_an_image_are_found():
  world = runs.small_world()
  parts = removal.parts_of_sum(world.features['content_image'])
  # Classes that nobody shows may be of either part.
  shown = np.nansum(world.features['content_image'], axis=0) > 0
  assert parts[0].stop <= 60 and not shown[parts[0].stop : 60].any()
  assert parts[1] == slice(parts[0].stop, 84)
  assert removal.parts_of_sum(world.features['content_text']) == (slice(0, 12),)
  assert removal.parts_of_sum(np.full((3, 4), np.nan)) == (slice(0, 4),)


def test_families_are_taken_from_names():
  names = ('dogs: pug', '', 'cats: manx', 'dogs: poodle')
  found = {k: v.tolist() for k, v in removal.families(names)}
  assert found == {'dogs': [0, 3], 'cats': [2]}
  assert removal.families(('pug', 'poodle', 'cats: manx', '')) == []


def test_accounts_without_anything_have_no_reason(catalogues):
  catalogue = catalogues('paper')
  nothing = profiles_lib.Profile(features={}, attributes=np.zeros(0, np.int64))
  account = catalogue.new_account(nothing, role=accounts_lib.INFLUENCER)
  assert account.lacks == catalogue.perspectives
  brand = catalogue.brand(BRAND_ID)
  (found,) = reasons_lib.reasons(catalogue, brand, [account])
  assert found.ordered == ()


def test_the_encoder_is_that_of_training(catalogues):
  """A catalogue's own rows, encoded as profiles, are themselves."""
  for recipe in models.RECIPES:
    catalogue = catalogues(recipe)
    for role in (0, 1):
      account = catalogue.account_at(role, 4)
      again = catalogue.new_account(account.profile, role=role)
      np.testing.assert_allclose(again.vector_D, account.vector_D, atol=1e-5)
      assert again.lacks == account.lacks
