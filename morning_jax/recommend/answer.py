"""A ranking as plain rows: what tables, files and pages are made of."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import recommend as recommend_lib


@dataclasses.dataclass(frozen=True)
class Source:
  """Where an answer comes from; every file carries it.

  Attributes:
    brand: who was asked for.
    step: training step of the model.
    bundle: name of the bundle.
    bundle_fingerprint: SHA-256 of the bundle.
    date: when, in UTC, to the second.
  """

  brand: str
  step: int
  bundle: str
  bundle_fingerprint: str
  date: str


def source_of(
  catalogue: catalogue_lib.Catalogue, account: catalogue_lib.Account
) -> Source:
  """Describes where an answer about an account comes from, now."""
  now = datetime.datetime.now(datetime.UTC)
  return Source(
    brand=account.account_id,
    step=catalogue.step,
    bundle=catalogue.dataset.name,
    bundle_fingerprint=catalogue.bundle_fingerprint,
    date=now.isoformat(timespec='seconds'),
  )


def row_of(
  catalogue: catalogue_lib.Catalogue,
  role: int,
  found: recommend_lib.Recommendation,
) -> dict[str, Any]:
  """Returns one account of a ranking as plain values.

  Args:
    catalogue: who there is.
    role: of the account.
    found: the account of the ranking.

  Returns:
    Column -> value; `followers` None where unknown.
  """
  accounts = catalogue.dataset.accounts
  row = int(catalogue.side(role).account_row_N[found.row])
  followers = None
  if accounts.followers is not None and accounts.followers[row] >= 0:
    followers = int(accounts.followers[row])
  category = str(accounts.categories[row])
  if not category and accounts.found_under is not None:
    category = str(accounts.found_under[row])
  return {
    'rank': found.rank,
    'account_id': found.account_id,
    'followers': followers,
    'category': category,
    'score': found.score,
    'typical': found.typical,
    'parts': {f'{p.perspective} {p.modality}': p.value for p in found.parts},
    'cooperates': found.cooperates,
    'lacks': list(found.lacks),
  }
