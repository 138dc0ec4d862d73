"""A catalogue of random vectors, to search and to serve."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import input_spec
from morning_jax.evaluation import trained_model
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import encoded

_PERSPECTIVES = ('content', 'audience', 'attribute')
_BLOCK = 1 << 14


def make(
  brands: int, influencers: int, width: int, *, partners: int = 0
) -> catalogue_lib.Catalogue:
  """Makes a catalogue of random vectors; nothing of it can be encoded again.

  Args:
    brands: how many.
    influencers: how many.
    width: of a vector, in all three perspectives.
    partners: influencers that each brand has worked with.
  """
  nothing = cast(Any, None)
  counts = (brands, influencers)
  ids = [f'b{i}' for i in range(brands)]
  ids += [f'm{i}' for i in range(influencers)]
  total = len(ids)
  rng = np.random.default_rng(0)
  accounts = accounts_lib.Accounts(
    ids=np.array(ids),
    roles=np.repeat(np.arange(2, dtype=np.int8), counts),
    categories=np.full(total, ''),
    splits=np.full(total, ''),
    followers=rng.integers(1000, 100_000, total),
  )
  sides = []
  for role, count in enumerate(counts):
    vectors = np.empty((count, width), np.float32)
    for start in range(0, count, _BLOCK):
      part = vectors[start : start + _BLOCK]
      rng.standard_normal(out=part, dtype=np.float32)
    rows = accounts.rows_of(role)
    sides.append(
      encoded.Encoded(
        role=role,
        account_row_N=rows,
        ids_N=accounts.ids[rows],
        vector_NxD=vectors,
        present={k: np.ones(count, bool) for k in _PERSPECTIVES},
      )
    )
  positives_Px2 = np.zeros((brands * partners, 2), np.int64)
  positives_Px2[:, 0] = np.repeat(np.arange(brands), partners)
  for i in range(brands if partners else 0):
    chosen = rng.choice(influencers, partners, replace=False)
    positives_Px2[i * partners : (i + 1) * partners, 1] = brands + chosen
  ends = [round(width * i / 3) for i in range(4)]
  slices = {k: slice(ends[i], ends[i + 1]) for i, k in enumerate(_PERSPECTIVES)}
  return catalogue_lib.Catalogue(
    trained=trained_model.Trained(
      config=nothing,
      spec=input_spec.InputSpec({}, {}, {}),
      model=nothing,
      params=nothing,
      fitted={},
      step=0,
      mesh=nothing,
      data_fingerprint='',
    ),
    dataset=accounts_lib.Dataset(
      name='random',
      accounts=accounts,
      features={},
      positives_Px2=positives_Px2,
    ),
    is_own_data=True,
    bundle_fingerprint='random',
    brands=sides[0],
    influencers=sides[1],
    slices=slices,
    pieces=tuple(encoded.Coordinates(k, 'all', slices[k]) for k in slices),
    encoder=nothing,
  )
