"""Counts which attributes occur together in cooperations (eq. 13-17)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors

# Products of two entries that one block of rows may cost; its result has at
# most as many entries, so this bounds the working memory of the last product.
_BLOCK_PRODUCTS = 1 << 24
_POSITIVES_AT_A_TIME = 1 << 20


def co_occurrence(
  positives_Px2: np.ndarray,
  attributes: accounts_lib.Attributes,
  num_accounts: int,
  *,
  products_at_a_time: int = _BLOCK_PRODUCTS,
) -> sparse.csr_array:
  """Counts, for each pair of attributes, how often positives join them.

  A positive (b, m) scores for the unordered pair of distinct attributes i, j

    [i, j in S_b] + [i, j in S_m] + [i in S_b, j in S_m or j in S_b, i in S_m]

  (eq. 13-16), where the last bracket is 1 at most. With the 0/1 matrix H
  [A, V] of who holds what, W [A, A] of the positives and g [A] of the positives
  of each account, the sum over the positives is

    H' (diag(g) + W + W') H  -  X' X,   X[p] = H[b_p] * H[m_p]

  where X' X takes back what the last bracket would score twice: the pairs of
  which both accounts hold both.

  Args:
    positives_Px2: account rows (brand, influencer). Pass those of the training
      brands alone: the function counts whatever it is given.
    attributes: which account row holds which attribute.
    num_accounts: A.
    products_at_a_time: bounds the working memory.

  Returns:
    Counts [V, V], integers above the diagonal only: pair (i, j) is at
    i < j. Rows are sorted.

  Raises:
    errors.UserError: an account row or an attribute index is out of range.
  """
  num_attributes = len(attributes.names_V)
  _check_range('account row', positives_Px2, num_accounts)
  _check_range('account row', attributes.holder, num_accounts)
  _check_range('attribute', attributes.held, num_attributes)
  num_positives = len(positives_Px2)
  # No pair scores more than 3 for a positive; the diagonal is dropped.
  dtype = np.int32 if 3 * num_positives < 2**31 else np.int64
  holds_AxV = sparse.csr_array(
    (
      np.ones(len(attributes.held), dtype),
      (attributes.holder, attributes.held),
    ),
    shape=(num_accounts, num_attributes),
  )
  holds_AxV.data[:] = 1  # a pair that is listed twice is one pair

  brand_P, influencer_P = positives_Px2[:, 0], positives_Px2[:, 1]
  worked = sparse.coo_array(
    (np.ones(num_positives, dtype), (brand_P, influencer_P)),
    shape=(num_accounts, num_accounts),
  ).tocsr()
  degree_A = np.bincount(positives_Px2.ravel(), minlength=num_accounts)
  joined = worked + worked.T + sparse.diags_array(degree_A, dtype=dtype)
  met_AxV = (joined.tocsr() @ holds_AxV).tocsr()
  del worked, joined  # at ten million positives every copy counts
  both_PxV = _held_by_both(positives_Px2, holds_AxV)
  holders_VxA, both_VxP = holds_AxV.T.tocsr(), both_PxV.T.tocsr()

  cost_V = holders_VxA.astype(np.int64) @ np.diff(met_AxV.indptr)
  cost_V = cost_V + both_VxP.astype(np.int64) @ np.diff(both_PxV.indptr)
  blocks = [sparse.csr_array((0, num_attributes), dtype=dtype)]
  for start, end in _blocks(cost_V, products_at_a_time):
    block = holders_VxA[start:end] @ met_AxV
    block = sparse.triu(block, k=start + 1, format='csr')
    again = both_VxP[start:end] @ both_PxV
    block = block - sparse.triu(again, k=start + 1, format='csr')
    block.sort_indices()
    blocks.append(block)
  del met_AxV, both_PxV, both_VxP
  return sparse.vstack(blocks, format='csr')


def edges_of(
  counts_VxV: sparse.csr_array, *, eta: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
  """Turns counts into edges of weight sqrt(count / eta) (eq. 17).

  Args:
    counts_VxV: as `co_occurrence` returns them.
    eta: what a count is divided by; 2 in the paper (one co-occurrence: 0.71).

  Returns:
    edges_Ex2 int32 (i < j, sorted) and weight_E float32.
  """
  # Filled in place: a large graph has hundreds of millions of edges.
  edges_Ex2 = np.empty((counts_VxV.nnz, 2), np.int32)
  edges_Ex2[:, 0] = np.repeat(
    np.arange(counts_VxV.shape[0], dtype=np.int32), np.diff(counts_VxV.indptr)
  )
  edges_Ex2[:, 1] = counts_VxV.indices
  weight_E = counts_VxV.data.astype(np.float32)
  weight_E /= np.float32(eta)
  np.sqrt(weight_E, out=weight_E)
  return edges_Ex2, weight_E


def _check_range(what: str, index: np.ndarray, size: int) -> None:
  if index.size and not 0 <= index.min() <= index.max() < size:
    bad = index.min() if index.min() < 0 else index.max()
    raise errors.UserError(
      f'co-occurrence: {what} {bad} is out of range; there are {size:,}, the'
      ' first is 0'
    )


def _held_by_both(
  positives_Px2: np.ndarray, holds_AxV: sparse.csr_array
) -> sparse.csr_array:
  """Returns, for each positive with two or more, the attributes of both."""
  parts = [sparse.csr_array((0, holds_AxV.shape[1]), dtype=holds_AxV.dtype)]
  for start in range(0, len(positives_Px2), _POSITIVES_AT_A_TIME):
    pairs = positives_Px2[start : start + _POSITIVES_AT_A_TIME]
    both = holds_AxV[pairs[:, 0]].multiply(holds_AxV[pairs[:, 1]]).tocsr()
    parts.append(both[np.flatnonzero(np.diff(both.indptr) > 1)])
  return sparse.vstack(parts, format='csr')


def _blocks(cost_V: np.ndarray, limit: int) -> Iterator[tuple[int, int]]:
  """Cuts the rows into runs whose cost is under the limit, or a single row."""
  total_V = np.cumsum(cost_V)
  start = 0
  while start < len(cost_V):
    before = total_V[start] - cost_V[start]
    end = int(np.searchsorted(total_V, before + limit, side='right'))
    end = max(end, start + 1)
    yield start, end
    start = end
