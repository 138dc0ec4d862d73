"""The best of many scores, and how many may be asked for."""

from __future__ import annotations

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors


def best_rows(score_N: np.ndarray, mask_N: np.ndarray, top_k: int) -> list[int]:
  """Returns the rows with the highest scores among some, best first.

  Args:
    score_N: scores.
    mask_N: which rows take part.
    top_k: how many rows, at most.

  Returns:
    Rows; of equal scores the lower one first.
  """
  rows = np.flatnonzero(mask_N)
  if top_k < len(rows):
    score = score_N[rows]
    least = np.partition(score, len(rows) - top_k)[len(rows) - top_k]
    rows = rows[score >= least]
  order = np.argsort(-score_N[rows], kind='stable')
  found: list[int] = rows[order[:top_k]].tolist()
  return found


def check_count(top_k: int, there: int, role: int) -> None:
  """Checks how many accounts are asked for.

  Args:
    top_k: how many.
    there: how many there are.
    role: of the accounts.

  Raises:
    UserError: none are asked for, or more than there are.
  """
  if top_k < 1:
    raise errors.UserError(f'top_k={top_k}: ask for one at least')
  if top_k > there:
    raise errors.UserError(
      f'top_k={top_k:,}: there are {there:,} {accounts_lib.ROLES[role]}s in the'
      ' bundle'
    )
