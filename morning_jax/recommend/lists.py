"""Lists that a user brings: influencers to take or leave out, and costs."""

from __future__ import annotations

import math
import os
import pathlib

from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.data.bundle import tables


def read_ids(path: str | os.PathLike[str]) -> frozenset[str]:
  """Reads names of influencers, one a line; blank lines count for nothing.

  Args:
    path: a text file.

  Returns:
    The names, without white space around them.

  Raises:
    UserError: the file can't be read.
  """
  lines = user_files.text_lines(pathlib.Path(path), error=errors.UserError)
  return frozenset(line.strip() for _, line in lines if line.strip())


def read_costs(path: str | os.PathLike[str]) -> dict[str, float]:
  """Reads what influencers cost.

  Args:
    path: a CSV file with the columns `account_id` and `cost`.

  Returns:
    Influencer -> cost, above 0.

  Raises:
    UserError: the file can't be read, or a cost is no number above 0.
  """
  costs: dict[str, float] = {}
  for row in tables.rows(pathlib.Path(path), ('account_id', 'cost')):
    try:
      cost = float(row['cost'])
    except ValueError:
      cost = math.nan
    if not 0 < cost < math.inf:
      row.fail(
        f'cost {errors.quoted(row["cost"], limit=40)} is no number above 0'
      )
    if row['account_id'] in costs:
      row.fail(f'{errors.quoted(row["account_id"], limit=40)} is there twice')
    costs[row['account_id']] = cost
  return costs
