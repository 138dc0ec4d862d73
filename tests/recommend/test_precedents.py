"""Precedents are cooperations of training brands, and the nearest ones."""

import dataclasses

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import precedents as precedents_lib
from morning_jax.recommend import recommend
from tests.recommend import models


def ask(catalogue, brand_ids, count=60):
  """Brand -> influencer -> precedent."""
  precedents = precedents_lib.Precedents(catalogue)
  influencers = [catalogue.account_at(1, row) for row in range(count)]
  return {b: precedents.of(catalogue.brand(b), influencers) for b in brand_ids}


@pytest.fixture(scope='module')
def catalogue(catalogues):
  return catalogues('lookup')


def split_of(catalogue, brand_id):
  row = catalogue.brands.account_row_N[catalogue.brands.row_of[brand_id]]
  return str(catalogue.dataset.accounts.splits[row])


def some_brands(catalogue, *splits):
  ids = catalogue.brands.ids_N.tolist()
  return [b for b in ids if split_of(catalogue, b) in splits][::4]


def test_only_training_cooperations_are_precedents(catalogue):
  pairs = {
    (catalogue.brands.ids_N[b], catalogue.influencers.ids_N[m])
    for b, m in catalogue.positives_Px2.tolist()
  }
  kinds = set()
  for brand, found in ask(
    catalogue, some_brands(catalogue, 'train', 'valid', 'test')
  ).items():
    for row, p in enumerate(found):
      assert (p.brand_id, p.influencer_id) in pairs
      assert split_of(catalogue, p.brand_id) == 'train'
      assert p.brand_id != brand
      itself = p.influencer_id == catalogue.influencers.ids_N[row]
      assert p.is_own == itself
      kinds.add(p.is_own)
  assert kinds == {True, False}


def test_held_out_cooperations_change_nothing(catalogue):
  data = catalogue.dataset
  split_P = data.accounts.splits[data.positives_Px2[:, 0]]
  assert (split_P != 'train').any()
  without = dataclasses.replace(
    catalogue,
    dataset=dataclasses.replace(
      data, positives_Px2=data.positives_Px2[split_P == 'train']
    ),
  )
  brands = some_brands(catalogue, 'train', 'test')
  assert ask(catalogue, brands) == ask(without, brands)


def test_who_is_left_out_is_no_precedent(catalogue):
  brand = catalogue.brand(some_brands(catalogue, 'test')[0])
  influencers = [catalogue.account_at(1, row) for row in range(60)]
  precedents = precedents_lib.Precedents(catalogue)
  first = {p.influencer_id for p in precedents.of(brand, influencers)}
  exclude = frozenset(sorted(first)[: len(first) // 2])
  found = precedents.of(brand, influencers, exclude=exclude)
  named = {p.influencer_id for p in found}
  assert exclude and named and not named & exclude
  everybody = frozenset(catalogue.influencers.ids_N.tolist())
  none = precedents.of(brand, influencers, exclude=everybody)
  assert none == [None] * 60


def test_the_nearest_is_named(catalogue):
  """Of those who worked with a brand like it, none is more similar."""
  brand = catalogue.brand(some_brands(catalogue, 'test')[0])
  to_brand = recommend.similarities(catalogue, brand)
  train = [
    row
    for row in catalogue.partners
    if split_of(catalogue, catalogue.brands.ids_N[row]) == 'train'
  ]
  like = sorted(train, key=lambda row: -to_brand[row])
  like = [row for row in like[: -(-len(train) // 10)] if to_brand[row] > 0]
  who = {m: b for b in like[::-1] for m in catalogue.partners[b].tolist()}
  found = ask(catalogue, [brand.account_id])[brand.account_id]
  for row, p in enumerate(found):
    account = catalogue.account_at(accounts_lib.INFLUENCER, row)
    similarity = recommend.similarities(catalogue, account)
    if row in who:
      assert p.is_own and p.influencer_similarity == 1
      assert p.brand_id == catalogue.brands.ids_N[who[row]]
    else:
      nearest = max(who, key=lambda m: similarity[m])
      assert p.influencer_id == catalogue.influencers.ids_N[nearest]
      assert p.influencer_similarity == pytest.approx(
        similarity[nearest], abs=1e-4
      )
    assert p.brand_similarity == pytest.approx(
      to_brand[catalogue.brands.row_of[p.brand_id]]
    )


def test_what_is_shared_is_shared(catalogue):
  names = catalogue.dataset.attribute_names
  seen = set()
  for brand, found in ask(
    catalogue, some_brands(catalogue, 'test', 'train')
  ).items():
    one = catalogue.brand(brand)
    for p in found:
      other = catalogue.brand(p.brand_id)
      for word in p.shared:
        kind, _, name = word.partition(': ')
        seen.add(kind)
        if kind == 'category':
          assert one.category == other.category == name
        elif kind == 'attribute':
          held = names.index(name)
          assert held in one.profile.attributes
          assert held in other.profile.attributes
        else:
          feature = (
            'audience_text' if kind == 'audience topic' else 'content_text'
          )
          topic = catalogue.dataset.feature_names[feature].index(name)
          mean = np.nanmean(catalogue.dataset.features[feature][:48, topic])
          for account in (one, other):
            assert account.profile.features[feature][topic] > mean
  assert seen == {'category', 'attribute', 'topic', 'audience topic'}


def test_words(catalogue):
  own = precedents_lib.Precedent('acme', 0.8, ('topic: tea',), 'ann', True, 1.0)
  assert own.words == 'has worked with acme, which is like yours (topic: tea)'
  other = dataclasses.replace(own, is_own=False, influencer_similarity=0.53)
  assert 'ann, the most similar who has (similarity 0.53)' in other.words


def test_no_training_brand_no_precedent(catalogue):
  splits = np.where(catalogue.dataset.accounts.splits == 'train', 'test', '')
  bare = dataclasses.replace(
    catalogue, dataset=models.change(catalogue.dataset, splits=splits)
  )
  assert set(ask(bare, ['shoes_01'])['shoes_01']) == {None}
