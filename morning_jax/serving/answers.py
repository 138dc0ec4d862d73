"""Answers of the engine as the plain values that JSON and files are made of."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import json
import math
from typing import Any

import pydantic_core

from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import answer
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import confidence
from morning_jax.recommend import recommend as recommend_lib
from morning_jax.recommend import shortlist as shortlist_lib
from morning_jax.recommend import spreadsheet
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import parts
from morning_jax.serving import rankings

Json = dict[str, Any]


def source(engine: engine_lib.Engine) -> Json:
  """Says where an answer comes from, without a path."""
  catalogue = engine.catalogue
  return {
    'model_step': catalogue.step,
    'bundle': engine.bundle_name,
    'bundle_fingerprint': catalogue.bundle_fingerprint,
  }


def file_source(
  engine: engine_lib.Engine, account: catalogue_lib.Account
) -> answer.Source:
  """Returns what a file says of where it comes from, without a path."""
  found = answer.source_of(engine.catalogue, account)
  return dataclasses.replace(found, bundle=engine.bundle_name)


def recommendations(
  engine: engine_lib.Engine,
  brand: catalogue_lib.Account,
  ranking: rankings.Ranking,
  advice: Sequence[advice_lib.Advice],
) -> Json:
  """Returns a ranking with precedents, and reasons where they were measured.

  Args:
    engine: who answers.
    brand: who asked.
    ranking: whom it found.
    advice: on each of them.
  """
  return {
    **_about(engine, brand, ranking.passed, ranking.total),
    'recommendations': entries(engine, brand, advice),
  }


def short_recommendations(
  engine: engine_lib.Engine,
  brand: catalogue_lib.Account,
  order: rankings.Order,
) -> bytes:
  """Returns a ranking as JSON: scores, their parts and bands alone.

  Args:
    engine: who answers.
    brand: who asked, a brand of the bundle.
    order: whom it found.
  """
  assert brand.row is not None

  def make(rows: Sequence[int]) -> list[bytes]:
    found = parts.describe(engine.catalogue, brand, rows, order.scores)
    return [_short(engine, brand, x) for x in found]

  texts = engine.entries.of(brand.row, order.rows, make)
  about = pydantic_core.to_json(
    _about(engine, brand, order.passed, order.total)
  )
  ranked = [b'{"rank":%d,%b' % (i, t[1:]) for i, t in enumerate(texts, start=1)]
  return b'%b,"recommendations":[%b]}' % (about[:-1], b','.join(ranked))


def _about(
  engine: engine_lib.Engine,
  brand: catalogue_lib.Account,
  passed: int,
  total: int,
) -> Json:
  return {
    'brand': brand.account_id,
    'passed': passed,
    'total': total,
    'source': source(engine),
  }


def entries(
  engine: engine_lib.Engine,
  brand: catalogue_lib.Account,
  advice: Sequence[advice_lib.Advice],
) -> list[Json]:
  """Returns recommendations with all that is said of them."""
  found = answer.to_json(file_source(engine, brand), advice)
  rows: list[Json] = found['recommendations']
  return rows


def as_file(
  engine: engine_lib.Engine,
  brand: catalogue_lib.Account,
  advice: Sequence[advice_lib.Advice],
  form: str,
) -> bytes:
  """Returns a ranking as a file: 'csv', 'xlsx' or 'json'."""
  about = file_source(engine, brand)
  if form == 'json':
    return json.dumps(answer.to_json(about, advice), indent=2).encode()
  rows = answer.to_columns(about, advice)
  if form == 'csv':
    return spreadsheet.to_csv(rows)
  return spreadsheet.to_xlsx(rows, dataclasses.asdict(about))


def _short(
  engine: engine_lib.Engine,
  brand: catalogue_lib.Account,
  found: recommend_lib.Recommendation,
) -> bytes:
  """Returns what is said of an influencer, whatever its rank, as JSON.

  Raises:
    ValueError: a part of the score is not finite, and so no JSON.
  """
  catalogue = engine.catalogue
  if not math.isfinite(found.score - found.typical):
    raise ValueError(f'the score of {found.account_id} is {found.score}')
  row = int(catalogue.influencers.account_row_N[found.row])
  band = engine.adviser.bands.of(brand, found.place, found.lacks)
  return pydantic_core.to_json(
    {
      'place': found.place,
      'influencer_id': found.account_id,
      'followers': catalogue.facts.followers_of(row),
      'category': catalogue.facts.category_of(row) or None,
      'score': found.score,
      'typical_score': found.typical,
      'parts': [p.__dict__ for p in found.parts],
      'cooperates_already': found.cooperates,
      'lacks': found.lacks,
      'band': _band(band),
    }
  )


@functools.lru_cache(maxsize=64)
def _band(band: confidence.Band) -> Json:
  return {**band.__dict__, 'words': band.words}


def brand(engine: engine_lib.Engine, row: int) -> Json:
  """Returns a brand by its row."""
  catalogue = engine.catalogue
  table_row = int(catalogue.brands.account_row_N[row])
  return {
    'brand_id': str(catalogue.brands.ids_N[row]),
    'category': str(catalogue.dataset.accounts.categories[table_row]) or None,
    'known_cooperations': len(catalogue.partners.get(row, ())),
  }


def influencer(engine: engine_lib.Engine, row: int) -> Json:
  """Returns an influencer by its row, in short."""
  catalogue = engine.catalogue
  table_row = int(catalogue.influencers.account_row_N[row])
  return {
    'influencer_id': str(catalogue.influencers.ids_N[row]),
    'followers': catalogue.facts.followers_of(table_row),
    'category': catalogue.facts.category_of(table_row) or None,
  }


def influencer_in_full(
  engine: engine_lib.Engine, account: catalogue_lib.Account
) -> Json:
  """Returns all that the bundle says of an influencer in words."""
  assert account.row is not None
  catalogue = engine.catalogue
  table_row = int(catalogue.influencers.account_row_N[account.row])
  biographies = catalogue.dataset.accounts.biographies
  names = catalogue.dataset.attribute_names
  return {
    **influencer(engine, account.row),
    'biography': (
      None if biographies is None else str(biographies[table_row]) or None
    ),
    'attributes': [names[v] for v in account.profile.attributes.tolist()],
    'lacks': list(account.lacks),
  }


def similar(
  engine: engine_lib.Engine, found: Sequence[recommend_lib.Similar]
) -> list[Json]:
  """Returns look-alikes."""
  return [
    {
      'rank': m.rank,
      **influencer(engine, m.row),
      'similarity': m.similarity,
    }
    for m in found
  ]


def brands_for(
  engine: engine_lib.Engine, found: Sequence[recommend_lib.Recommendation]
) -> list[Json]:
  """Returns brands that suit an influencer."""
  return [
    {
      'rank': x.rank,
      'brand_id': x.account_id,
      'category': brand(engine, x.row)['category'],
      'score': x.score,
      'typical_score': x.typical,
      'parts': [p.__dict__ for p in x.parts],
      'cooperates_already': x.cooperates,
    }
    for x in found
  ]


def shortlist(
  engine: engine_lib.Engine,
  brand_id: str,
  found: shortlist_lib.Shortlist,
) -> Json:
  """Returns a shortlist."""
  choices = []
  for choice in found.choices:
    value = dataclasses.asdict(choice)
    value['influencer_id'] = value.pop('account_id')
    del value['row']
    choices.append(value)
  return {
    'brand': brand_id,
    'source': source(engine),
    'choices': choices,
    'value': found.value,
    'spent': found.spent,
    'reached': found.reached,
    'unit': found.unit,
  }


def model(engine: engine_lib.Engine, metrics: Json) -> Json:
  """Returns what is served, and how well it ranked what was held out."""
  catalogue = engine.catalogue
  return {
    **source(engine),
    'is_own_data': catalogue.is_own_data,
    'brands': len(catalogue.brands),
    'influencers': len(catalogue.influencers) - engine.count_excluded(),
    'perspectives': list(catalogue.perspectives),
    'features': dict(catalogue.trained.spec.feature_sizes),
    'attributes': len(catalogue.dataset.attribute_names),
    'metrics': metrics,
    'notes': list(catalogue.notes),
  }


def search(
  engine: engine_lib.Engine, role: int, text: str, *, skip: int, most: int
) -> tuple[int, list[int]]:
  """Finds accounts by a part of their name or category.

  Args:
    engine: who answers.
    role: `BRAND` or `INFLUENCER`.
    text: what the name or the category contains, in any case; '' for all.
    skip: how many are left out at the beginning.
    most: how many are returned.

  Returns:
    How many there are, and rows in the order of the bundle.
  """
  rows = engine.matching(role, ' '.join(text.casefold().split()))
  return len(rows), rows[skip : skip + most]
