"""From a data set to what a model reads: fitted, transformed, collected.

What is fitted (whitening, the attribute graph and its node2vec vectors) sees
the training accounts and their pairs alone, and is stored with a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import sys
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import feature_rows
from morning_jax.core import input_spec
from morning_jax.data import lazy_table
from morning_jax.data import splits
from morning_jax.data import transforms
from morning_jax.graph import account_attributes
from morning_jax.graph import attribute_graph
from morning_jax.graph import node2vec
from morning_jax.graph import padded_arrays
from morning_jax.graph import skip_gram

# What was fitted: feature, or `GRAPH`, -> arrays by name.
Fitted = dict[str, dict[str, np.ndarray]]

GRAPH = 'attribute_graph'


def fit(
  spec: input_spec.InputSpec,
  dataset: accounts_lib.Dataset,
  split: splits.Split,
  *,
  whitening: float,
  seed: int,
) -> Fitted:
  """Fits to the training accounts what training does not change.

  Args:
    spec: what takes part.
    dataset: the data set; its splits say what is training.
    split: the training split.
    whitening: strength of the whitening, 0 to 1.
    seed: of node2vec.

  Returns:
    Feature -> what its transform was fitted to, where it is fitted to anything;
    `GRAPH` -> the padded attribute graph.

  Raises:
    GraphError: the attribute graph has no edge.
  """
  fitted: Fitted = {}
  for feature, kind in spec.transforms.items():
    arrays = transforms.fit(
      kind,
      dataset.features[feature],
      brand_rows=split.brand_row_B,
      influencer_rows=split.candidate_row_M,
      strength=whitening,
    )
    if arrays:
      fitted[feature] = arrays
  if spec.takes_attribute_lists:
    fitted[GRAPH] = _fit_graph(spec, dataset, seed=seed)
  return fitted


def _fit_graph(
  spec: input_spec.InputSpec, dataset: accounts_lib.Dataset, *, seed: int
) -> dict[str, np.ndarray]:
  """Builds the attribute graph, with node2vec vectors where they are wanted."""
  if spec.attribute_encoder == 'lookup':
    return padded_arrays.to_arrays(
      padded_arrays.without_edges(spec.num_attributes)
    )
  graph = attribute_graph.build_graph(dataset)
  if spec.node_vector_size:
    options = node2vec.Node2Vec(
      skip_gram=skip_gram.SkipGram(dimensions=spec.node_vector_size)
    )
    vectors = node2vec.node2vec(
      graph, options=options, seed=seed, progress=sys.stderr.isatty()
    )
    graph = dataclasses.replace(graph, vectors_VxD=vectors)
  return padded_arrays.to_arrays(graph.to_jraph())


def graph_of(fitted: Mapping[str, Mapping]) -> Any:
  """Returns the attribute graph (`GraphsTuple`) of what was fitted, or None."""
  if GRAPH not in fitted:
    return None
  return padded_arrays.from_arrays(fitted[GRAPH])


def account_rows(
  spec: input_spec.InputSpec,
  fitted: Mapping[str, Mapping[str, np.ndarray]],
  dataset: accounts_lib.Dataset,
) -> Callable[[slice | np.ndarray], accounts_lib.AccountTable]:
  """Prepares to collect transformed features some rows at a time.

  The data's attributes are matched to the model's by name; those that the model
  does not know are left out (see `check_fits`).

  Args:
    spec: what takes part.
    fitted: what `fit` returned.
    dataset: the data set, of the spec's features and sizes.

  Returns:
    A function from a slice or the rows of accounts to their rows of the table,
    NumPy arrays; zeros where an account lacks a feature.
  """
  lists = None
  if spec.takes_attribute_lists:
    assert dataset.attributes is not None
    matched, _ = account_attributes.match_by_name(
      dataset.attributes, np.array(spec.attribute_names)
    )
    lists = account_attributes.account_attributes(
      matched, len(dataset.accounts)
    )

  def rows_of(rows: slice | np.ndarray) -> accounts_lib.AccountTable:
    values, present = {}, {}
    raw = feature_rows.read(dataset.features, list(spec.transforms), rows)
    for feature, kind in spec.transforms.items():
      x_AxF = transforms.apply(kind, raw.pop(feature), fitted.get(feature, {}))
      # A row is NaN as a whole or not at all; the reader made sure.
      has_A = ~np.isnan(x_AxF[:, 0])
      values[feature] = (
        x_AxF if has_A.all() else np.where(has_A[:, None], x_AxF, np.float32(0))
      )
      present[feature] = has_A
    return accounts_lib.AccountTable(
      features=values,
      present=present,
      held=None if lists is None else lists[rows],
    )

  return rows_of


def presence(
  spec: input_spec.InputSpec, dataset: accounts_lib.Dataset
) -> dict[str, np.ndarray]:
  """Tells who has a perspective of a data set whose features are stored.

  One of its modalities, or an attribute that the model knows; nothing is read.

  Args:
    spec: what takes part.
    dataset: the data set.

  Returns:
    Perspective -> bool [A].
  """
  stored = dataset.features
  assert isinstance(stored, feature_rows.Stored)
  found = {}
  for perspective, modalities in spec.perspectives.items():
    has_A = np.zeros(len(dataset.accounts), bool)
    for feature in modalities.values():
      has_A |= stored.present(feature)
    if not modalities and dataset.attributes is not None:
      attributes, _ = account_attributes.match_by_name(
        dataset.attributes, np.array(spec.attribute_names)
      )
      has_A[attributes.holder] = True
    found[perspective] = has_A
  return found


def account_table(
  spec: input_spec.InputSpec,
  fitted: Mapping[str, Mapping[str, np.ndarray]],
  dataset: accounts_lib.Dataset,
) -> accounts_lib.AccountTable:
  """Collects transformed features of all accounts; see `account_rows`."""
  return account_rows(spec, fitted, dataset)(slice(None))


def account_source(
  spec: input_spec.InputSpec,
  fitted: Mapping[str, Mapping[str, np.ndarray]],
  dataset: accounts_lib.Dataset,
) -> accounts_lib.Rows:
  """Returns the transformed features of all accounts, in memory or not.

  Args:
    spec: what takes part.
    fitted: what `fit` returned.
    dataset: the data set, of the spec's features and sizes.

  Returns:
    An AccountTable; a LazyTable where the features are not in memory.
  """
  if not isinstance(dataset.features, feature_rows.Stored):
    return account_table(spec, fitted, dataset)
  return lazy_table.LazyTable(
    account_rows(spec, fitted, dataset), len(dataset.accounts)
  )


def check_fits(
  spec: input_spec.InputSpec, dataset: accounts_lib.Dataset
) -> list[str]:
  """Checks that a data set has what a model takes.

  Args:
    spec: what the model takes.
    dataset: any data set.

  Returns:
    A note where the model doesn't know all of the data's attributes.

  Raises:
    UserError: lists every feature that is absent or of another size.
  """
  have = dataset.feature_sizes
  wrong = []
  for perspective, modalities in spec.perspectives.items():
    for feature in modalities.values():
      size = spec.feature_sizes[feature]
      if feature not in have:
        wrong.append(f'it has no {feature}, which {perspective} needs')
      elif have[feature] != size:
        wrong.append(
          f'its {feature} has {have[feature]} features, the model was trained'
          f' on {size}'
        )
  names = dataset.attribute_names
  if spec.takes_attribute_lists and not names:
    wrong.append('it has no attribute lists, which attribute needs')
  if wrong:
    raise errors.UserError(
      f'{dataset.name} does not fit the checkpoint: ' + '; '.join(wrong)
    )
  unknown = len(set(names) - set(spec.attribute_names))
  if not (spec.takes_attribute_lists and unknown):
    return []
  return [
    f'{dataset.name}: {unknown:,} of {len(names):,} attributes are unknown to'
    ' the model and left out'
  ]
