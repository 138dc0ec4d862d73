"""What accounts show, before a model's transforms, and their encoding.

Everything that is encoded to recommend goes through `ProfileEncoder`, by the
same transforms and the same program as in training and evaluation: accounts of
a bundle, a brand that is new, and an account from which a feature was removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import input_spec
from morning_jax.core import multihost
from morning_jax.data import preprocessing
from morning_jax.evaluation import encode as encode_lib
from morning_jax.evaluation import trained_model

_FEW = 64  # rows of a block where few accounts are encoded
_LIST_SLICE = 16  # lists are padded to a multiple, so that programs are shared


@dataclasses.dataclass(frozen=True)
class Profile:
  """What one account shows, as a bundle has it.

  Attributes:
    features: feature -> float32 [F]; a feature that the account lacks is
      absent.
    attributes: int64, indices into the attribute names of the bundle.
  """

  features: Mapping[str, np.ndarray]
  attributes: np.ndarray


def present_in(
  spec: input_spec.InputSpec, table: accounts_lib.AccountTable
) -> dict[str, np.ndarray]:
  """Tells who has a perspective: one of its modalities, or an attribute.

  Args:
    spec: what the model takes.
    table: transformed features of n accounts, on the host.

  Returns:
    Perspective -> bool [n].
  """
  found = {}
  for perspective, modalities in spec.perspectives.items():
    if modalities:
      has = [np.asarray(table.present[f]) for f in modalities.values()]
      found[perspective] = np.logical_or.reduce(has)
    else:
      found[perspective] = np.asarray(table.held.weight).sum(axis=1) > 0
  return found


def joined(
  representations: Mapping[str, np.ndarray], slices: Mapping[str, slice]
) -> np.ndarray:
  """Puts the perspectives' representations side by side, [n, D in all]."""
  return np.concatenate([representations[k] for k in slices], axis=1)


class ProfileEncoder:
  """Encodes profiles by a restored model."""

  def __init__(
    self, trained: trained_model.Trained, attribute_names: Sequence[str]
  ):
    """Prepares to encode.

    Args:
      trained: the model.
      attribute_names: of the bundle's attributes.
    """
    self._trained = trained
    self._names_V = np.array(list(attribute_names), dtype=np.str_)
    encode = encode_lib.make_encode(trained.model)
    graph = preprocessing.graph_of(trained.fitted)
    if graph is not None:
      # Once, and not once for every block.
      graph = jax.jit(
        functools.partial(trained.model.apply, method='node_vectors')
      )({'params': trained.params}, graph)
    self._few, self._many = (
      encode_lib.TableEncoder(
        trained.model,
        trained.mesh,
        batch_size=size,
        graph=graph,
        encode=encode,
      )
      for size in (_FEW, trained.config.evaluation.batch_size)
    )

  def encode_table(
    self, table: accounts_lib.AccountTable, count: int, *, role: int
  ) -> dict[str, np.ndarray]:
    """Encodes a table of some accounts: perspective -> float32 [count, D]."""
    large = self._trained.config.evaluation.batch_size
    encoder = self._many if count > large // 2 else self._few
    encoded: Any = encoder.encode(
      self._trained.params,
      _padded_lists(table),
      np.arange(count),
      role=accounts_lib.ROLES[role],
    )
    found: dict[str, np.ndarray] = multihost.fetch(encoded)
    return found

  def encode(
    self, profiles: Sequence[Profile], *, role: int
  ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Encodes accounts of one role from what they show.

    Args:
      profiles: of n accounts, one at least.
      role: `BRAND` or `INFLUENCER`.

    Returns:
      Perspective -> float32 [n, D], and perspective -> bool [n], who has it.
    """
    table = preprocessing.account_table(
      self._trained.spec, self._trained.fitted, self._dataset(profiles)
    )
    encoded = self.encode_table(table, len(profiles), role=role)
    return encoded, present_in(self._trained.spec, table)

  def _dataset(self, profiles: Sequence[Profile]) -> accounts_lib.Dataset:
    """Collects profiles in the form that the transforms read."""
    count = len(profiles)
    features = {}
    for feature, size in self._trained.spec.feature_sizes.items():
      rows = np.full((count, size), np.nan, np.float32)
      for row, profile in zip(rows, profiles, strict=True):
        if feature in profile.features:
          row[:] = profile.features[feature]
      features[feature] = rows
    lists = [p.attributes for p in profiles]
    nobody = np.full(count, '')
    return accounts_lib.Dataset(
      name='profiles',
      accounts=accounts_lib.Accounts(
        ids=nobody,
        roles=np.zeros(count, np.int8),
        categories=nobody,
        splits=nobody,
      ),
      features=features,
      positives_Px2=np.zeros((0, 2), np.int64),
      attributes=accounts_lib.Attributes(
        names_V=self._names_V,
        ids_V=self._names_V,
        holder=np.repeat(np.arange(count), [len(x) for x in lists]),
        held=np.concatenate(lists).astype(np.int64),
      ),
    )


def _padded_lists(
  table: accounts_lib.AccountTable,
) -> accounts_lib.AccountTable:
  if table.held is None:
    return table
  short = -table.held.index.shape[1] % _LIST_SLICE
  pad = ((0, 0), (0, short))
  held = dataclasses.replace(
    table.held,
    index=np.pad(table.held.index, pad),
    weight=np.pad(table.held.weight, pad),
  )
  return dataclasses.replace(table, held=held)
