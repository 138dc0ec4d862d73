"""Releases of feature files for tests, made of worlds that are known."""

from __future__ import annotations

import csv
import dataclasses
import pathlib

import numpy as np
import openpyxl
import pytest

from morning_jax.core import errors
from morning_jax.data.released import features as released_features

SIZES = {
  'content_image': 9,
  'content_text': 5,
  'audience_image': 7,
  'audience_text': 4,
  'attribute_embedding': 6,
}
ROLES = ('brand', 'in')


def file_of(feature: str, role: int, part: str) -> str:
  """The authors' path of a file, spelt out apart from the importer's table."""
  split = 'train' if part == 'train' else 'test'
  kind = feature.split('_')[1]
  if feature == 'attribute_embedding':
    new = '_new' if role == 0 else ''
    name = f'{ROLES[role]}_attribute_{part}_n2v{new}.npy'
    return f'attribute_{split}set_n2v/{name}'
  folder = f'{split}set'
  if feature.startswith('audience'):
    folder = 'audience_' + folder
  return f'{folder}/{ROLES[role]}_{kind}_{part}.npy'


@dataclasses.dataclass
class World:
  """Known accounts and pairs.

  `features[role]` has one row per account. Brands 0..5 are trained, 6..9 are
  tested; influencers 0..19 are trained, 14..29 are tested: 14..19 are both.
  """

  features: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
  names: tuple[list[str], list[str]]
  triplets: np.ndarray  # [n, 3]
  pairs: np.ndarray  # [n, 2], test pairs
  labels: list[int]

  @property
  def train_positives(self) -> set[tuple[int, int]]:
    return {(int(b), int(m)) for b, m in self.triplets[:, :2]}

  @property
  def test_positives(self) -> set[tuple[int, int]]:
    return {
      (int(b), int(m))
      for (b, m), y in zip(self.pairs, self.labels, strict=True)
      if y
    }


def make_world(seed: int = 0) -> World:
  rng = np.random.default_rng(seed)
  features = tuple(
    {f: rng.random((n, k), np.float32) for f, k in SIZES.items()}
    for n in (10, 30)
  )
  triplets = []
  for b in range(6):
    good = rng.choice(20, 4, replace=False)
    # Each of them once, so that every trained influencer is in a triplet.
    bad = np.setdiff1d(np.arange(20), good)
    for i, m in enumerate(good):
      triplets += [(b, m, bad[4 * i + j]) for j in range(4)]
  triplets = np.array(triplets)[rng.permutation(len(triplets))]
  pairs = np.array([(b, m) for b in range(6, 10) for m in range(14, 30)])
  labels = [int((b + m) % 4 == 2) for b, m in pairs]
  return World(
    features,
    ([f'brand {i}' for i in range(10)], [f'in_{i}' for i in range(30)]),
    triplets,
    pairs,
    labels,
  )


def pair_rows(world: World, part: str) -> list[np.ndarray]:
  """Account of each array row, for brands and influencers."""
  if part == 'train':
    b, m, n = world.triplets.T
    return [np.repeat(b, 2), np.stack([m, n], 1).ravel()]
  b, m = world.pairs.T
  # The odd rows are filler: another influencer.
  return [np.repeat(b, 2), np.stack([m, np.roll(m, 1)], 1).ravel()]


def write_arrays(
  root: pathlib.Path,
  world: World,
  part: str,
  names=tuple(SIZES),
  dtype=np.float32,
) -> None:
  for role, rows in enumerate(pair_rows(world, part)):
    for feature in names:
      path = root / file_of(feature, role, part)
      path.parent.mkdir(parents=True, exist_ok=True)
      np.save(path, world.features[role][feature][rows].astype(dtype))


def sheet_rows(world: World) -> list[list]:
  return [
    [world.names[0][b], world.names[1][m], y]
    for (b, m), y in zip(world.pairs, world.labels, strict=True)
  ]


def write_sheet(path: pathlib.Path, rows: list[list]) -> None:
  if path.suffix == '.csv':
    with path.open('w', encoding='utf-8', newline='') as f:
      csv.writer(f).writerows(rows)
    return
  book = openpyxl.Workbook()
  for row in rows:
    book.active.append(row)
  book.save(path)


def write_release(
  root: pathlib.Path,
  world: World,
  *,
  names=tuple(SIZES),
  dtype=np.float32,
  sheet: str = 'testset_r.csv',
) -> pathlib.Path:
  root.mkdir(exist_ok=True)
  write_arrays(root, world, 'train', names, dtype)
  write_arrays(root, world, 'test_2', names, dtype)
  write_sheet(root / sheet, sheet_rows(world))
  return root


def account_rows(dataset, world: World, feature: str) -> tuple[dict, dict]:
  """Known account -> table row, for the trained and tested, by features."""
  found = []
  for role in (0, 1):
    rows = dataset.accounts.rows_of(role)
    table = {dataset.features[feature][r].tobytes(): int(r) for r in rows}
    assert len(table) == len(rows)
    known = [x.tobytes() for x in world.features[role][feature]]
    found.append({i: table[k] for i, k in enumerate(known) if k in table})
  return found[0], found[1]


def check_recovered(dataset, world: World, names=tuple(SIZES)) -> None:
  """Compares a data set with the world it was made of, account by account."""
  a = dataset.accounts
  rows = account_rows(dataset, world, names[0])
  assert [len(r) for r in rows] == [10, 30]
  assert list(a.roles) == [0] * 10 + [1] * 30
  assert list(dataset.features) == [f for f in SIZES if f in names]
  for role in (0, 1):
    for account, row in rows[role].items():
      for feature in names:
        np.testing.assert_array_equal(
          dataset.features[feature][row], world.features[role][feature][account]
        )
        assert dataset.features[feature].dtype == np.float32
      tested = account >= (6, 14)[role]
      if tested:
        assert a.ids[row] == world.names[role][account]
      else:
        assert a.ids[row].startswith(
          ('train_brand_0', 'train_influencer_0')[role]
        )
      if role == 0:
        assert a.splits[row] == ('test' if tested else 'train')
      else:
        assert a.splits[row] == ''
  positives = [tuple(p) for p in dataset.positives_Px2.tolist()]
  assert len(set(positives)) == len(positives)
  assert set(positives) == {
    (rows[0][b], rows[1][m])
    for b, m in world.train_positives | world.test_positives
  }


def fails(root: pathlib.Path, *words: str, **options) -> str:
  """Checks that the import ends in one line that holds all the words."""
  before = sorted(root.rglob('*'))
  with pytest.raises(errors.UserError) as e:
    released_features.import_features(root, **options)
  message = str(e.value)
  assert '\n' not in message
  for word in words:
    assert word in message, message
  assert sorted(root.rglob('*')) == before
  return message


def change(root: pathlib.Path, feature: str, role: int, part: str, edit) -> str:
  """Rewrites one array; `edit` changes it in place or returns a new one."""
  path = root / file_of(feature, role, part)
  array = np.load(path)
  out = edit(array)
  np.save(path, array if out is None else out)
  return str(path)
