"""What several tests of the comparison start from."""

import dataclasses

import numpy as np

from configs import morning as config_lib
from morning_jax.comparison import compare
from morning_jax.comparison import folds as folds_lib
from morning_jax.data import splits

FOLD = folds_lib.FoldSpec(seed=3, index=1, count=3)


OPTIONS = compare.Options(
  methods=('random', 'popularity', 'similarity', 'morning'),
  folds=2,
  seeds=1,
  jobs=0,
  resamples=200,
)


FAST = dataclasses.replace(OPTIONS, methods=('random', 'similarity'))


def recipes(epochs=2, encoder='embedding', perspectives=None):
  """The recipes, short and narrow; with these perspectives, or their own."""
  found = {v: config_lib.get_config(v) for v in ('', 'paper', 'release')}
  for config in found.values():
    config.train.epochs = epochs
    config.model.attribute.encoder = encoder
    config.model.modalities = ('text',)  # compiles faster
    config.model.image_widths = (16, 8)
    config.model.text_widths = (8, 8)
    config.model.attribute_widths = (16, 8)
    if perspectives:
      config.model.perspectives = perspectives
  found[''].train.batch_size = 64
  return found


def with_other_held_out_pairs(dataset, spec):
  """Gives each held-out brand the influencers of another one.

  And each influencer the category under which another was found.
  """
  split = folds_lib.held_out(dataset, spec)
  rows = split.brand_row_B
  brand, influencer = dataset.positives_Px2.T.copy()
  new = dict(zip(rows.tolist(), np.roll(rows, 1).tolist(), strict=True))
  brand = np.array([new.get(b, b) for b in brand.tolist()])
  found = dataset.accounts.found_under.copy()
  influencers = np.flatnonzero(found != '')
  found[influencers] = np.roll(found[influencers], 7)
  return dataclasses.replace(
    dataset,
    accounts=dataclasses.replace(dataset.accounts, found_under=found),
    positives_Px2=np.stack([brand, influencer], axis=1),
  )


def first_brands(dataset, count):
  """Keeps the first training brands."""
  keep = splits.select(dataset, 'train').brand_row_B[:count]
  known = np.isin(dataset.positives_Px2[:, 0], keep)
  return dataclasses.replace(
    dataset, positives_Px2=dataset.positives_Px2[known]
  )


def files_in(folder):
  return {
    p.relative_to(folder).as_posix(): p.read_bytes()
    for p in folder.rglob('*')
    if p.is_file()
  }
