"""The embedded world: sizes, determinism, ceiling, and what it is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.bundle import bundle
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib

PERSPECTIVES = ('content', 'audience', 'attribute')


@pytest.fixture(scope='module')
def world() -> world_options.World:
  return world_options.World()


@pytest.fixture(scope='module')
def dataset(world) -> accounts_lib.Dataset:
  return world_lib.generate(world)


def assert_same(a, b, path: str = 'dataset') -> None:
  """Asserts equality bit for bit, NaN included, and of types."""
  assert type(a) is type(b), path
  if dataclasses.is_dataclass(a):
    for field in dataclasses.fields(a):
      assert_same(
        getattr(a, field.name), getattr(b, field.name), f'{path}.{field.name}'
      )
  elif isinstance(a, dict):
    assert list(a) == list(b), path
    for key in a:
      assert_same(a[key], b[key], f'{path}[{key}]')
  elif isinstance(a, np.ndarray):
    assert (a.dtype, a.shape) == (b.dtype, b.shape), path
    assert a.tobytes() == b.tobytes(), path
  else:
    assert a == b, path


def slow_auc(dataset: accounts_lib.Dataset, vectors, split: str) -> float:
  """Compares every positive with every negative of its brand, by hand."""
  pairs = [
    (b, m)
    for b, m in dataset.positives_Px2.tolist()
    if dataset.accounts.splits[b] == split
  ]
  candidates = sorted({m for _, m in pairs})
  right, total = 0.0, 0
  for brand in sorted({b for b, _ in pairs}):
    own = {m for b, m in pairs if b == brand}
    score = {m: float(vectors[brand] @ vectors[m]) for m in candidates}
    negatives = np.array([score[m] for m in candidates if m not in own])
    for m in own:
      right += np.sum(score[m] > negatives) + 0.5 * np.sum(
        score[m] == negatives
      )
      total += len(negatives)
  return right / total


def planted_parts(world: world_options.World) -> dict[str, slice]:
  ends = np.cumsum(
    [0, *(getattr(world, f'{p}_interests') for p in PERSPECTIVES)]
  )
  return {p: slice(ends[i], ends[i + 1]) for i, p in enumerate(PERSPECTIVES)}


def cosine_vectors(dataset: accounts_lib.Dataset) -> np.ndarray:
  blocks = []
  for x in dataset.features.values():
    x = np.nan_to_num(x)
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    blocks.append(x / np.maximum(norm, 1e-9))
  return np.concatenate(blocks, axis=1)


def test_has_the_published_sizes(dataset):
  a, pairs = dataset.accounts, dataset.positives_Px2
  brands = a.rows_of(accounts_lib.BRAND)
  assert (len(brands), len(a)) == (360, 360 + 3748)
  counts = {s: int((a.splits == s).sum()) for s in accounts_lib.SPLITS}
  assert counts == {'train': 250, 'valid': 36, 'test': 74}
  for category in world_lib.CATEGORIES:
    own = a.splits[a.categories == category]
    extra = category in world_lib.CATEGORIES[-2:]
    assert (own == 'test').sum() == 6 + extra
    assert (own == 'valid').sum() == 3
    assert len(own) == 30
  assert dataset.feature_sizes == {
    'content_image': 1365,
    'content_text': 22,
    'audience_image': 1365,
    'audience_text': 21,
    'attribute_embedding': 128,
  }
  assert len(dataset.attributes.names_V) == 572
  assert len(set(dataset.attributes.names_V)) == 572
  per_brand = np.bincount(pairs[:, 0], minlength=360)
  assert 10.5 < per_brand.mean() < 12.5
  assert per_brand.min() >= 1
  assert per_brand.max() > 2 * per_brand.mean()
  per_influencer = np.bincount(pairs[:, 1], minlength=len(a))[360:]
  assert per_influencer.min() == 1
  assert 0.88 < (per_influencer == 1).mean() < 0.95
  assert per_influencer.max() >= 4


def test_accounts_are_well_formed(dataset):
  a, pairs = dataset.accounts, dataset.positives_Px2
  influencer = a.roles == accounts_lib.INFLUENCER
  assert np.all(a.roles[pairs[:, 0]] == accounts_lib.BRAND)
  assert np.all(influencer[pairs[:, 1]])
  assert len(np.unique(pairs, axis=0)) == len(pairs)
  for role in (accounts_lib.BRAND, accounts_lib.INFLUENCER):
    assert len(set(a.ids[a.roles == role])) == np.sum(a.roles == role)
  # Some name stands in both roles: the key is (role, account_id).
  assert len(set(a.ids[influencer]) & set(a.ids[~influencer])) == 8
  assert np.all(a.followers[influencer] >= 5_000)
  assert np.all(a.followers[influencer] <= 100_000)
  employers = {int(m): set() for m in np.flatnonzero(influencer)}
  for b, m in pairs.tolist():
    employers[m].add(a.categories[b])
  for m, categories in employers.items():
    assert a.found_under[m] in categories
    assert a.categories[m] == a.splits[m] == ''


@pytest.mark.parametrize('feature', ['content_image', 'audience_image'])
def test_images_are_sparse_simplices(dataset, world, feature):
  x = dataset.features[feature]
  lacking = np.isnan(x).all(axis=1)
  assert np.isnan(x).any(axis=1).sum() == lacking.sum()
  assert 0.003 < lacking.mean() < 0.02
  x = x[~lacking]
  assert x.min() == 0
  assert 0.02 < (x > 0).mean() < 0.3
  for part in (x[:, : world.objects], x[:, world.objects :]):
    np.testing.assert_allclose(part.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize('feature', accounts_lib.TOPIC_FEATURES)
def test_topics_are_simplices(dataset, feature):
  x = dataset.features[feature]
  lacking = np.isnan(x).all(axis=1)
  assert 0.003 < lacking.mean() < 0.02
  np.testing.assert_allclose(x[~lacking].sum(axis=1), 1, atol=1e-5)
  assert x[~lacking].min() > 0


def test_no_account_words_one_concept_twice_and_some_words_are_rare(dataset):
  s = dataset.attributes
  concept = np.array([n.split(' ')[0] for n in s.names_V])
  pairs = list(zip(s.holder.tolist(), concept[s.held], strict=True))
  assert len(set(pairs)) == len(pairs)
  times = np.bincount(s.held, minlength=len(s.names_V))
  assert times.min() < 10 < np.median(times)
  order = np.lexsort((s.held, s.holder))
  np.testing.assert_array_equal(order, np.arange(len(order)))
  lacking = np.isnan(dataset.features['attribute_embedding']).all(axis=1)
  without = np.bincount(s.holder, minlength=len(dataset.accounts)) == 0
  np.testing.assert_array_equal(lacking, without)
  assert without.any()


def test_wordings_of_a_concept_share_their_neighbours(dataset):
  """Wordings never meet in one account, yet pairs give them like neighbours."""
  s, num = dataset.attributes, len(dataset.accounts)
  has = np.zeros((num, len(s.names_V)), np.float64)
  has[s.holder, s.held] = 1
  train = dataset.accounts.splits[dataset.positives_Px2[:, 0]] == 'train'
  brand, influencer = has[dataset.positives_Px2[train].T]
  count = brand.T @ brand + influencer.T @ influencer
  count += brand.T @ influencer + influencer.T @ brand
  np.fill_diagonal(count, 0)
  count /= np.linalg.norm(count, axis=1, keepdims=True)
  alike = count @ count.T
  concept = np.array([n.split(' ')[0] for n in s.names_V])
  same = (concept[:, None] == concept) & ~np.eye(len(concept), dtype=bool)
  other = concept[:, None] != concept
  assert alike[same].mean() > 1.7 * alike[other].mean()
  together = (has.T @ has)[same]
  assert together.max() == 0


def test_ceiling_and_what_falls_short_of_it(dataset, world):
  auc = lambda vectors: slow_auc(dataset, vectors, 'test')  # noqa: E731
  ceiling = auc(dataset.planted)
  assert 0.93 < ceiling < 0.97
  parts = planted_parts(world)
  single = {p: auc(dataset.planted[:, parts[p]]) for p in PERSPECTIVES}
  assert single['content'] > single['attribute'] > single['audience'] > 0.7
  for left_out in PERSPECTIVES:
    kept = [dataset.planted[:, v] for p, v in parts.items() if p != left_out]
    two = auc(np.concatenate(kept, axis=1))
    assert max(v for p, v in single.items() if p != left_out) < two
    assert two < ceiling - 0.015
  assert 0.6 < auc(cosine_vectors(dataset)) < 0.92 * ceiling


def readable(x: np.ndarray) -> np.ndarray:
  x = np.nan_to_num(x)
  return np.sign(x) * np.sqrt(np.abs(x))


def test_interests_can_be_read_from_features(dataset, world):
  """A linear reading of unseen accounts finds most of every interest."""
  parts = planted_parts(world)
  fit = np.arange(len(dataset.accounts)) % 4 > 0
  for perspective, modalities in accounts_lib.PERSPECTIVES.items():
    x = np.concatenate(
      [readable(dataset.features[f]) for f in modalities.values()],
      axis=1,
    )
    x = x - x[fit].mean(axis=0)
    y = dataset.planted[:, parts[perspective]]
    weight = np.linalg.solve(
      x[fit].T @ x[fit] + 3 * np.eye(x.shape[1]), x[fit].T @ y[fit]
    )
    rest = y[~fit] - y[fit].mean(axis=0) - x[~fit] @ weight
    assert 1 - np.mean(rest**2) / np.var(y[~fit]) > 0.7, perspective


def test_same_seed_same_bits_other_seed_other_world():
  first, again = (world_lib.generate(world_options.small()) for _ in range(2))
  assert_same(first, again)
  other = world_lib.generate(world_options.small(seed=1))
  for feature, x in first.features.items():
    assert not np.array_equal(x, other.features[feature], equal_nan=True)
  assert not np.array_equal(first.positives_Px2, other.positives_Px2)


def test_pairs_enter_no_feature():
  """Other draws of who works for whom leave every feature as it was."""
  world = world_options.small()
  first = world_lib.generate(world)
  busier = dataclasses.replace(world, brands_per_influencer=(1, 1, 1))
  other = world_lib.generate(busier)
  assert len(other.positives_Px2) > 1.5 * len(first.positives_Px2)
  assert_same(first.features, other.features)
  assert_same(first.attributes, other.attributes)
  assert_same(first.planted, other.planted)


def test_survives_a_bundle(tmp_path):
  dataset = world_lib.generate(world_options.small())
  bundle.write_bundle(dataset, tmp_path / 'world')
  back = bundle.read_bundle(tmp_path / 'world')
  assert_same(dataclasses.replace(dataset, name=back.name), back)


@pytest.mark.parametrize('seed', range(6))
def test_tiny_worlds_generate(seed):
  world = dataclasses.replace(
    world_options.small(seed),
    categories=1 + seed % 3,
    brands_per_category=5,
    valid_per_category=1,
    influencers=30,
    objects=5 + seed,
    scenes=3,
    posts=1,
    attributes=7 + seed,
    shared_names=0,
  )
  dataset = world_lib.generate(world)
  for f, x in dataset.features.items():
    assert not np.isinf(x).any(), f
    assert (np.isnan(x).any(axis=1) == np.isnan(x).all(axis=1)).all()
  split_P = dataset.accounts.splits[dataset.positives_Px2[:, 0]]
  assert set(split_P) == set(accounts_lib.SPLITS)


def test_contradictory_sizes_are_refused():
  with pytest.raises(ValueError, match='no training brands'):
    world_lib.generate(
      dataclasses.replace(world_options.small(), test_per_category=10)
    )
  with pytest.raises(ValueError, match='there are words for'):
    world_lib.generate(
      dataclasses.replace(world_options.small(), attributes=9999)
    )
