"""Models of every recipe that nobody has trained, and their catalogues."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from configs import morning as config_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.data import splits
from morning_jax.evaluation import trained_model
from morning_jax.model import factory
from morning_jax.recommend import catalogue as catalogue_lib
from tests import parameters
from tests import runs

_PAPER = {
  'model__encoder': 'paper',
  'model__transforms__image': 'none',
  'model__transforms__text': 'none',
  'model__transforms__embedding': 'none',
  'model__image_widths': (24, 16),
  'model__text_widths': (12, 16),
  'model__attribute_widths': (24, 16),
  'model__init_scale': 0.2,
}
_LEARNED = {
  'model__attribute__start': 'learned',
  'model__attribute__dimensions': 16,
}
# As the command trains them, but for the widths.
_NARROW = {
  'model__image_widths': (24, 20, 20, 12),
  'model__text_widths': (16, 12),
  'model__attribute_widths': (24, 12),
}
RECIPES: dict[str, dict[str, Any]] = {
  'default': {'model__attribute__encoder': 'embedding'},
  'projected': {
    'model__attribute__encoder': 'embedding',
    'model__projection': 'learned',
    'model__projection_width': 10,
    'model__image_widths': (12, 8),
    'model__text_widths': (12, 8),
    'model__attribute_widths': (12, 8),
  },
  'lookup': {'model__attribute__encoder': 'lookup'},
  'paper': {
    **_PAPER,
    'model__co_attention': 'paper',
    'model__attribute__encoder': 'node2vec',
    'model__attribute__dimensions': 8,
  },
  'release': {
    **_PAPER,
    'model__co_attention': 'release',
    'model__attribute__encoder': 'embedding',
  },
  'variant paper': {'variant': 'paper', **_NARROW},
  'variant release': {'variant': 'release', **_NARROW},
  'gcn': {'model__attribute__encoder': 'gcn', **_LEARNED},
  'gat': {'model__attribute__encoder': 'gat', **_LEARNED},
  'text alone': {
    'model__perspectives': ('content',),
    'model__modalities': ('text',),
  },
}


def untrained(
  dataset: accounts_lib.Dataset, recipe: str
) -> trained_model.Trained:
  """A model that nobody has trained."""
  changes = dict(RECIPES[recipe])
  c = config_lib.get_config(changes.pop('variant', 'smoke'))
  with c.unlocked():
    c.update_from_flattened_dict(
      {k.replace('__', '.'): v for k, v in changes.items()}
    )
  spec, _ = dataset_lib.resolve_inputs(dataset, c.model)
  split = splits.select(dataset, 'train')
  assert split is not None
  fitted = preprocessing.fit(
    spec, dataset, split, whitening=c.model.whitening, seed=0
  )
  model = factory.build(c.model, spec)
  table = factory.example_table(spec)
  params = parameters.draw(
    model, table, table, graph=preprocessing.graph_of(fitted)
  )
  return trained_model.Trained(
    config=c,
    spec=spec,
    model=model,
    params=params,
    fitted=fitted,
    step=7,
    mesh=sharding.make_mesh(devices=jax.devices()[:1]),
    data_fingerprint=dataset_lib.fingerprint(dataset),
  )


def catalogue(
  recipe: str, dataset: accounts_lib.Dataset | None = None
) -> catalogue_lib.Catalogue:
  """The small world, or another data set, encoded by such a model."""
  dataset = dataset or runs.small_world()
  return catalogue_lib.encode_dataset(
    untrained(dataset, recipe),
    dataset,
    is_own_data=True,
    bundle_fingerprint=dataset_lib.fingerprint(dataset),
  )


def change(
  dataset: accounts_lib.Dataset, **accounts: Any
) -> accounts_lib.Dataset:
  """A data set with other columns of the account table."""
  return dataclasses.replace(
    dataset, accounts=dataclasses.replace(dataset.accounts, **accounts)
  )
