"""From a configuration to a data set: loaded, split and fingerprinted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
import functools
from typing import Any

import ml_collections
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import digests
from morning_jax.core import errors
from morning_jax.core import feature_rows
from morning_jax.core import files
from morning_jax.core import input_spec
from morning_jax.data import splits
from morning_jax.data.bundle import bundle


def load(config: ml_collections.ConfigDict) -> accounts_lib.Dataset:
  """Loads the data set that the `data` part of a configuration names.

  Args:
    config: `bundle` (a folder) or else `builder` (a TFDS name), `data_dir`.

  Returns:
    The data set as it is stored, before any brand is moved to another split.

  Raises:
    UserError: it can't be read.
  """
  if config.bundle:
    return bundle.read_bundle(config.bundle)
  # TFDS takes a second to import.
  from morning_jax.data.tfds import loader

  return loader.load(config.builder, data_dir=config.data_dir)


def assign_splits(
  dataset: accounts_lib.Dataset, config: ml_collections.ConfigDict
) -> accounts_lib.Dataset:
  """Splits the brands as the configuration says: fold, then validation.

  A stored attribute graph may know the pairs of every brand that was a training
  brand when it was made. Where one of them is held out here, the graph is
  dropped, to be built from the pairs of those that remain.

  Args:
    dataset: the data set as it is stored.
    config: the whole configuration (`seed` and `data`).

  Returns:
    The data set with the splits that a run with this configuration uses.

  Raises:
    UserError: folds or shares that the data can't give.
  """
  data = config.data
  stored = dataset
  if data.folds:
    if not 0 <= data.fold < data.folds:
      raise errors.UserError(
        f'config.data.fold={data.fold} is not in 0..{data.folds - 1}'
      )
    dataset = splits.fold(
      dataset, index=data.fold, count=data.folds, seed=config.seed
    )
  dataset = splits.hold_out_valid(
    dataset, share=data.valid_share, seed=config.seed
  )
  attributes = dataset.attributes
  if dataset is stored or attributes is None or attributes.edges_Ex2 is None:
    return dataset
  return dataclasses.replace(
    dataset,
    attributes=dataclasses.replace(attributes, edges_Ex2=None, weight_E=None),
    notes=(
      *dataset.notes,
      'the stored attribute graph may know pairs of brands that are held out'
      ' here; one is built from the training pairs instead',
    ),
  )


def fingerprint(dataset: accounts_lib.Dataset) -> str:
  """Returns a SHA-256 of all that training sees: accounts, features, pairs.

  Of the same data it is the same in every form. Features that are stored are
  not read for it: it was computed when they were written.
  """
  before, after = _tables(dataset)
  features = dataset.features
  if isinstance(features, feature_rows.Stored):
    return features.fingerprint(files.digest(*before, *after))
  return files.digest(*before, *_feature_parts(dataset), *after)


def fingerprint_of_tables(dataset: accounts_lib.Dataset) -> str:
  """Returns a SHA-256 of what `fingerprint` sees beside features."""
  before, after = _tables(dataset)
  return files.digest(*before, *after)


def _tables(
  dataset: accounts_lib.Dataset,
) -> tuple[list[object], list[object]]:
  """Lists what a fingerprint sees before, and behind, the features."""
  before: list[object] = []
  for field in dataclasses.fields(dataset.accounts):
    before += [field.name, getattr(dataset.accounts, field.name)]
  after: list[object] = ['positives', dataset.positives_Px2]
  if dataset.attributes is not None:
    for field in dataclasses.fields(dataset.attributes):
      after += [field.name, getattr(dataset.attributes, field.name)]
  return before, after


def _feature_parts(dataset: accounts_lib.Dataset) -> list[object]:
  parts: list[object] = []
  for feature in dataset.feature_sizes:
    column = dataset.features[feature]
    parts += [
      feature,
      digests.Blocks(
        dtype=column.dtype,
        shape=tuple(column.shape),
        blocks=functools.partial(_blocks_of, dataset.features, feature),
      ),
    ]
  return parts


def _blocks_of(features: Mapping[str, Any], name: str) -> Iterator[np.ndarray]:
  return (b[name] for b in feature_rows.blocks(features, [name]))


def resolve_inputs(
  dataset: accounts_lib.Dataset, config: ml_collections.ConfigDict
) -> tuple[input_spec.InputSpec, list[str]]:
  """Chooses what of a data set takes part in a model; see `input_spec.resolve`.

  Args:
    dataset: the data set.
    config: the `model` part of a checked configuration.
  """
  return input_spec.resolve(
    config, dataset.feature_sizes, dataset.attribute_names
  )


def training_split(
  dataset: accounts_lib.Dataset,
) -> tuple[splits.Split, list[str]]:
  """Selects what is trained on.

  Args:
    dataset: the data set.

  Returns:
    The training split, less brands that have no negative, and notes.

  Raises:
    UserError: nothing is left to train on.
  """
  split = splits.select(dataset, 'train')
  if split is None:
    raise errors.UserError(
      f'{dataset.name}: no brand of split "train" has a positive'
    )
  notes = []
  full = splits.without_negatives(split)
  if len(full):
    notes.append(
      f'{len(full)} training brands have every candidate as a positive and are'
      ' left out'
    )
    split = splits.drop_brands(split, full)
    if not len(split.brand_row_B):
      raise errors.UserError(
        f'{dataset.name}: every training brand has every candidate as a'
        ' positive; there is nothing to rank below'
      )
  return split, notes
