"""The types that flow through the house, and the legend of dimension letters.

The names of arrays end in their shapes, one letter a dimension (`text_AxF`):

  A  accounts, rows of `accounts.csv`: brands and influencers in one table
  B  brands of a batch or of a split
  M  influencers of a batch, or the candidates of a split
  P  positives: (brand, influencer) pairs that cooperated
  N  negatives drawn for each positive or brand
  Q  influencers that a batch reads: the P of its positives and their negatives
  R  rows of a batch that are on one device
  C  columns of a block of scores: influencers, where its rows are brands
  F  features of one modality, before encoding
  T  topics of a text
  K  a few of a kind: latent interests, aspects, the longest list of positives
  D  one perspective's representation; 3D after the perspectives are joined
  S  steps of one dispatch
  V  attributes, the nodes of the attribute graph
  E  edges of the attribute graph
  G  groups of results: the folds of all repetitions
  W  resamples of a statistic; of a text, a word's vector; of topics, the words
     of the vocabulary
  L  places of a document that is padded to a length
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any, NewType, Protocol, TypeAlias

import flax.struct
import jax
import numpy as np

# An array of a pytree that may lie on the host or on device.
Array: TypeAlias = Any
# Two ways to name an account, both whole numbers, told apart by the type
# checker: its row among all accounts of a data set, and its index among the
# brands, or the candidates, of one split.
AccountRows = NewType('AccountRows', np.ndarray)
BrandIndices = NewType('BrandIndices', np.ndarray)
CandidateIndices = NewType('CandidateIndices', np.ndarray)

BRAND = 0
INFLUENCER = 1
ROLES = ('brand', 'influencer')
SPLITS = ('train', 'valid', 'test')

# Perspective -> modality -> feature. A feature's file in a bundle is
# `<feature>.npy`. A perspective's representation is the Hadamard product of its
# modalities' representations (SPEC section 4). `core.perspectives` adds to it.
PERSPECTIVES: dict[str, dict[str, str]] = {
  'content': {'image': 'content_image', 'text': 'content_text'},
  'audience': {'image': 'audience_image', 'text': 'audience_text'},
  'attribute': {'embedding': 'attribute_embedding'},
}
FEATURES: tuple[str, ...] = tuple(
  f for m in PERSPECTIVES.values() for f in m.values()
)
# Account-level attribute embeddings, computed elsewhere.
ATTRIBUTE_EMBEDDING = 'attribute_embedding'
# The attribute perspective's other input: which attributes an account has.
ATTRIBUTE_LIST = 'attribute_list'
# Topic distributions: a negative weight is an error.
TOPIC_FEATURES: tuple[str, ...] = ('content_text', 'audience_text')


@dataclasses.dataclass(frozen=True)
class Accounts:
  """Who the rows of a data set are. All arrays have length A.

  Attributes:
    ids: account names as str; unique per role, not across roles.
    roles: int8, `BRAND` or `INFLUENCER`.
    categories: str; '' where unknown.
    splits: str, one of `SPLITS` for brands, '' for influencers and for brands
      that are used for nothing.
    found_under: str, the category under which an influencer was found; None
      where the data set has no such column. Evaluation only.
    followers: int64, -1 where unknown; None where there is no such column.
    biographies: str; None where there is no such column.
  """

  ids: np.ndarray
  roles: np.ndarray
  categories: np.ndarray
  splits: np.ndarray
  found_under: np.ndarray | None = None
  followers: np.ndarray | None = None
  biographies: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.ids)

  def rows_of(self, role: int) -> AccountRows:
    """Returns the table rows of one role, int64, ascending."""
    return AccountRows(np.flatnonzero(self.roles == role))


@dataclasses.dataclass(frozen=True)
class Attributes:
  """Which of the V attributes each account has, and the stored graph, if any.

  Attributes:
    names_V: attribute names.
    ids_V: attribute ids as the files have them; row i of `names_V`.
    holder: int64 [n], account row of the n-th (account, attribute) pair.
    held: int64 [n], attribute index in 0..V-1 of that pair.
    edges_Ex2: int64 attribute indices (source, target), as the file lists
      them: the graph is undirected, yet the authors' file lists many edges in
      both directions, with a weight for each. No (source, target) is listed
      twice, and no edge leads to its source. None where the data set has no
      `attribute_graph.csv`.
    weight_E: float32, positive and finite.
  """

  names_V: np.ndarray
  ids_V: np.ndarray
  holder: np.ndarray
  held: np.ndarray
  edges_Ex2: np.ndarray | None = None
  weight_E: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class AudienceMembers:
  """Followers of accounts, by the hashes of their ids.

  Attributes:
    hashes_N: the N followers' hashes, str, ascending.
    holder: int64 [n], account row of the n-th (account, follower) pair;
      ascending. An account that is not among them has no known follower.
    member: int64 [n], index into `hashes_N` of that pair; ascending within an
      account, none twice.
  """

  hashes_N: np.ndarray
  holder: np.ndarray
  member: np.ndarray


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A data set: what a bundle holds (SPEC section 9).

  All of it is in memory but, of data that is larger, the features.

  Attributes:
    name: where it came from, for messages.
    accounts: who the A rows are.
    features: feature name -> float32 [A, F]; a row of NaN = the account lacks
      it. Absent features are absent from the mapping. Arrays, or
      `feature_rows.Stored`.
    positives_Px2: int64 account rows (brand, influencer), no duplicates, in
      the order of the file.
    attributes: the attribute lists and graph, where there are any.
    feature_names: feature -> the names of its F numbers; '' where one has none.
      Features without any are absent. `family: name` puts a number in a family.
    audience: who follows whom, where that is known.
    planted: float32 [A, K] or None: in a synthetic world, vectors whose inner
      products are the planted preference. Never an input.
    notes: what a reader did that the user should know, one line each.
  """

  name: str
  accounts: Accounts
  features: Mapping[str, Any]
  positives_Px2: np.ndarray
  attributes: Attributes | None = None
  feature_names: Mapping[str, tuple[str, ...]] = dataclasses.field(
    default_factory=dict
  )
  audience: AudienceMembers | None = None
  planted: Any = None
  notes: tuple[str, ...] = ()

  @property
  def feature_sizes(self) -> dict[str, int]:
    """Feature name -> F, in the order of `FEATURES`."""
    return {
      f: int(self.features[f].shape[1]) for f in FEATURES if f in self.features
    }

  @property
  def attribute_names(self) -> list[str]:
    """Names of the V attributes; empty where no account lists any."""
    if self.attributes is None or not len(self.attributes.holder):
      return []
    names: list[str] = self.attributes.names_V.tolist()
    return names


@flax.struct.dataclass
class AccountTable:
  """The accounts' features as a pytree, gathered by row.

  Attributes:
    features: feature name -> float32 [A, F]; zeros where an account lacks it.
    present: feature name -> bool [A].
    held: the accounts' attributes, rows of arrays too (HeldAttributes); None
      where the model does not take them.
  """

  features: Mapping[str, Array]
  present: Mapping[str, Array]
  held: Any = None

  def __getitem__(self, rows: Array) -> AccountTable:
    """Gathers rows (or a slice of rows) of every array."""
    return jax.tree.map(lambda x: x[rows], self)


class Rows(Protocol):
  """Accounts whose rows can be gathered: an AccountTable, or one on disk."""

  def __getitem__(self, rows: Array, /) -> AccountTable:
    """Gathers rows of every array."""


class StoredRows(Rows, Protocol):
  """Accounts that are not in memory; several threads may read them."""

  @property
  def row_bytes(self) -> int:
    """Length of a row."""

  def __len__(self) -> int:
    """Returns how many accounts there are."""

  def read(self, rows: np.ndarray, /) -> AccountTable:
    """Reads distinct, ascending rows."""


@flax.struct.dataclass
class Batch:
  """What a training step reads; with one more axis in front, several steps.

  Attributes:
    brand_P: int32 [P], brand of each positive.
    candidate_P: int32 [P], influencer of each positive.
    brands: features of the positives' brands, P rows.
    influencers: features of the positives' influencers and, behind them, of
      the negatives, positive by positive: P rows, or P + P * N.
  """

  brand_P: Array
  candidate_P: Array
  brands: AccountTable
  influencers: AccountTable
