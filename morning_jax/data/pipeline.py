"""From a configuration to arrays on their way to the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import hashlib
import sys

import jax
import ml_collections
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import splits
from morning_jax.data import transforms
from morning_jax.data.bundle import bundle
from morning_jax.data.tfds import loader
from morning_jax.graph import account_attributes
from morning_jax.graph import attribute_graph
from morning_jax.graph import node2vec
from morning_jax.graph import skip_gram


def load(config: ml_collections.ConfigDict) -> accounts_lib.Dataset:
  """Loads the data set that the `data` part of a configuration names.

  Args:
    config: `bundle` (a folder) or else `builder` (a TFDS name), `data_dir`.

  Returns:
    The data set as it is stored, before any brand is lent or dealt.

  Raises:
    UserError: it can't be read.
  """
  if config.bundle:
    return bundle.read_bundle(config.bundle)
  return loader.load(config.builder, data_dir=config.data_dir)


def assign_splits(
  dataset: accounts_lib.Dataset, config: ml_collections.ConfigDict
) -> accounts_lib.Dataset:
  """Deals the brands out as the configuration says: fold, then lent `valid`.

  Args:
    dataset: the data set as it is stored.
    config: the whole configuration (`seed` and `data`).

  Returns:
    The data set with the splits that a run with this configuration uses.

  Raises:
    UserError: folds or shares that the data can't give.
  """
  data = config.data
  if data.folds:
    if not 0 <= data.fold < data.folds:
      raise errors.UserError(
        f'config.data.fold={data.fold} is not in 0..{data.folds - 1}'
      )
    dataset = splits.fold(
      dataset, index=data.fold, count=data.folds, seed=config.seed
    )
  return splits.lend_valid(dataset, share=data.valid_share, seed=config.seed)


def fingerprint(dataset: accounts_lib.Dataset) -> str:
  """Returns a SHA-256 of all that training sees: accounts, features, pairs."""
  digest = hashlib.sha256()

  def add(name: str, array: np.ndarray | None) -> None:
    if array is None:
      return
    if array.dtype.kind == 'U':
      # Fixed-width strings depend on the longest one; join them instead.
      array = np.frombuffer('\0'.join(array.tolist()).encode(), np.uint8)
    digest.update(f'{name} {array.dtype.kind} {array.shape}\n'.encode())
    digest.update(np.ascontiguousarray(array).data)

  for field in dataclasses.fields(dataset.accounts):
    add(field.name, getattr(dataset.accounts, field.name))
  for feature in dataset.feature_sizes:
    add(feature, dataset.features[feature])
  add('positives', dataset.positives_Px2)
  if dataset.attributes is not None:
    for field in dataclasses.fields(dataset.attributes):
      add(field.name, getattr(dataset.attributes, field.name))
  return digest.hexdigest()


def available(dataset: accounts_lib.Dataset) -> dict[str, int]:
  """Returns what a model can take: feature -> size.

  Attribute lists count as a feature, whose size is the number of attributes.
  """
  sizes = dataset.feature_sizes
  if dataset.attributes is not None and len(dataset.attributes.holder):
    sizes[accounts_lib.ATTRIBUTE_LIST] = len(dataset.attributes.names_V)
  return sizes


def fit_graph(
  config: ml_collections.ConfigDict,
  dataset: accounts_lib.Dataset,
  *,
  kind: str,
  seed: int,
  stored: bool,
) -> transforms.Fitted:
  """Builds the attribute graph from the training positives.

  Args:
    config: the `model.attribute` part of the configuration.
    dataset: with attribute lists; the splits say what is training.
    kind: of encoder: 'embedding' (no edges), 'node2vec', 'gcn' or 'gat'.
    seed: of node2vec.
    stored: whether a graph that the data set brings is taken instead.

  Returns:
    The padded graph's arrays, with node2vec vectors where they are wanted.

  Raises:
    GraphError: there is no edge.
  """
  assert dataset.attributes is not None
  if kind == 'embedding':
    graph = attribute_graph.without_edges(len(dataset.attributes.names_V))
    return attribute_graph.to_arrays(graph)
  built = attribute_graph.build_graph(dataset, stored=stored)
  if 'node2vec' in (kind, config.start):
    options = node2vec.Node2Vec(
      skip_gram=skip_gram.SkipGram(dimensions=config.dimensions)
    )
    vectors = node2vec.node2vec(
      built, options=options, seed=seed, progress=sys.stderr.isatty()
    )
    built = dataclasses.replace(built, vectors_VxD=vectors)
  return attribute_graph.to_arrays(built.to_jraph())


def fit_transforms(
  kinds: Mapping[str, str],
  dataset: accounts_lib.Dataset,
  split: splits.Split,
  *,
  strength: float,
) -> dict[str, transforms.Fitted]:
  """Fits the features' transforms to the training split's accounts alone.

  Args:
    kinds: feature -> kind of transform.
    dataset: the data set.
    split: the training split.
    strength: of the whitening.

  Returns:
    Feature -> fitted arrays, for those that need any.
  """
  fitted = {
    feature: transforms.fit(
      kind,
      dataset.features[feature],
      brand_rows=split.brand_row_B,
      influencer_rows=split.candidate_row_M,
      strength=strength,
    )
    for feature, kind in kinds.items()
    if kind != 'none'
  }
  return {feature: arrays for feature, arrays in fitted.items() if arrays}


def account_table(
  dataset: accounts_lib.Dataset,
  kinds: Mapping[str, str],
  fitted: Mapping[str, transforms.Fitted],
  *,
  attribute_names: Sequence[str] = (),
) -> accounts_lib.AccountTable:
  """Collects transformed features, with zeros where an account lacks one.

  Args:
    dataset: the data set.
    kinds: feature -> kind of transform, of the features to collect.
    fitted: what `fit_transforms` returned.
    attribute_names: of the model's attributes, in order. The data's are
      matched to them by name (see `unknown_attributes`).

  Returns:
    The table on the host, as NumPy arrays.
  """
  rows_of = account_rows(
    dataset, kinds, fitted, attribute_names=attribute_names
  )
  return rows_of(slice(None))


def account_rows(
  dataset: accounts_lib.Dataset,
  kinds: Mapping[str, str],
  fitted: Mapping[str, transforms.Fitted],
  *,
  attribute_names: Sequence[str] = (),
) -> Callable[[slice], accounts_lib.AccountTable]:
  """Prepares to collect transformed features some rows at a time.

  Args:
    dataset: the data set.
    kinds: feature -> kind of transform, of the features to collect.
    fitted: what `fit_transforms` returned.
    attribute_names: of the model's attributes, in order.

  Returns:
    A function from a slice of the accounts to their rows of the table.
  """
  lists = None
  if accounts_lib.ATTRIBUTE_LIST in kinds:
    assert dataset.attributes is not None
    matched, _ = account_attributes.match_by_name(
      dataset.attributes, np.array(attribute_names)
    )
    lists = account_attributes.account_attributes(
      matched, len(dataset.accounts)
    )

  def rows_of(rows: slice) -> accounts_lib.AccountTable:
    values, present = {}, {}
    for feature, kind in kinds.items():
      if feature == accounts_lib.ATTRIBUTE_LIST:
        continue
      x_AxF = transforms.apply(
        kind, dataset.features[feature][rows], fitted.get(feature, {})
      )
      # A row is NaN as a whole or not at all; the reader made sure.
      has_A = ~np.isnan(x_AxF[:, 0])
      values[feature] = (
        x_AxF if has_A.all() else np.where(has_A[:, None], x_AxF, np.float32(0))
      )
      present[feature] = has_A
    return accounts_lib.AccountTable(
      features=values,
      present=present,
      held=None if lists is None else jax.device_get(lists[rows]),
    )

  return rows_of


def unknown_attributes(
  dataset: accounts_lib.Dataset, attribute_names: Sequence[str]
) -> list[str]:
  """Returns a note where a model doesn't know all of the data's attributes."""
  assert dataset.attributes is not None
  names = dataset.attributes.names_V.tolist()
  unknown = len(set(names) - set(attribute_names))
  if not unknown:
    return []
  return [
    f'{dataset.name}: {unknown:,} of {len(names):,} attributes are unknown to'
    ' the model and left out'
  ]


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
