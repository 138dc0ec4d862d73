"""What a bundle says of its accounts, looked up quickly."""

from __future__ import annotations

import functools

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import feature_rows

_BLOCK = 4096  # accounts that are summed at a time
_SAMPLE = 1 << 16  # accounts of a role that are summed where all are on disk


class Facts:
  """Attribute lists by account, and what is common in a bundle."""

  def __init__(self, dataset: accounts_lib.Dataset):
    """Prepares; everything is computed when it is first asked for.

    Args:
      dataset: the bundle.
    """
    self.dataset = dataset

  def followers_of(self, table_row: int) -> int | None:
    """Returns how many followers an account has; None where unknown."""
    followers = self.dataset.accounts.followers
    if followers is None or followers[table_row] < 0:
      return None
    return int(followers[table_row])

  def category_of(self, table_row: int) -> str:
    """Returns an account's category, or else the one it was found under."""
    accounts = self.dataset.accounts
    category = str(accounts.categories[table_row])
    if not category and accounts.found_under is not None:
      category = str(accounts.found_under[table_row])
    return category

  @functools.cached_property
  def _lists(self) -> tuple[np.ndarray, np.ndarray]:
    """Where each account's attributes begin, [A + 1], and the attributes."""
    count = len(self.dataset.accounts)
    attributes = self.dataset.attributes
    if attributes is None:
      return np.zeros(count + 1, np.int64), np.zeros(0, np.int64)
    order = np.argsort(attributes.holder, kind='stable')
    start = np.searchsorted(attributes.holder[order], np.arange(count + 1))
    return start, attributes.held[order]

  def attributes_of(self, table_row: int) -> np.ndarray:
    """Returns the attributes of an account by its row in the account table."""
    start, held = self._lists
    return held[start[table_row] : start[table_row + 1]]

  @functools.cached_property
  def holders_V(self) -> np.ndarray:
    """How many accounts have each attribute, int64 [V]."""
    return np.bincount(
      self._lists[1], minlength=len(self.dataset.attribute_names)
    )

  @functools.cached_property
  def _topic_means(self) -> dict[tuple[str, int], np.ndarray]:
    """(Feature, role) -> the mean over accounts that have the feature, [F]."""
    means = {}
    for feature in accounts_lib.TOPIC_FEATURES:
      if feature not in self.dataset.features:
        continue
      array = self.dataset.features[feature]
      for role in (accounts_lib.BRAND, accounts_lib.INFLUENCER):
        rows = self.dataset.accounts.rows_of(role)
        if isinstance(self.dataset.features, feature_rows.Stored):
          step = -(-len(rows) // _SAMPLE) or 1
          rows = accounts_lib.AccountRows(rows[::step])
        total, count = np.zeros(array.shape[1]), 0
        for start in range(0, len(rows), _BLOCK):
          x = array[rows[start : start + _BLOCK]]
          x = x[~np.isnan(x[:, 0])]
          total += x.sum(0, np.float64)
          count += len(x)
        means[feature, role] = total / max(count, 1)
    return means

  def topic_mean(self, feature: str, role: int) -> np.ndarray:
    """Returns the mean topic distribution of a role, float64 [F]."""
    return self._topic_means[feature, role]
