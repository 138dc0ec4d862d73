"""An answer as plain values: what tables, files and pages are made of."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime
from typing import Any, TypeAlias

from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import look_alikes
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend as recommend_lib

Row: TypeAlias = dict[str, Any]  # column -> text, number, truth or None


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


def to_json(
  source: Source, advice: Sequence[advice_lib.Advice]
) -> dict[str, Any]:
  """Returns an answer as plain JSON values.

  Args:
    source: where it comes from.
    advice: the ranking, explained.
  """
  return {
    **dataclasses.asdict(source),
    'recommendations': [_entry(a) for a in advice],
  }


def _entry(advice: advice_lib.Advice) -> dict[str, Any]:
  found, band, precedent = advice.found, advice.band, advice.precedent
  entry: dict[str, Any] = {
    'rank': found.rank,
    'place': found.place,
    'influencer_id': found.account_id,
    'followers': advice.followers,
    'category': advice.category or None,
    'score': found.score,
    'typical_score': found.typical,
    'parts': [dataclasses.asdict(p) for p in found.parts],
    'cooperates_already': found.cooperates,
    'lacks': list(found.lacks),
    'band': {**dataclasses.asdict(band), 'words': band.words},
    'precedent': precedent
    and {**dataclasses.asdict(precedent), 'words': precedent.words},
  }
  if advice.reasons is not None:
    entry['speaks_for'] = [_reason(r) for r in advice.reasons.speaks_for()]
    entry['speaks_against'] = [
      _reason(r) for r in advice.reasons.speaks_against()
    ]
  return entry


def _reason(reason: reasons_lib.Reason) -> dict[str, Any]:
  item = reason.removed
  return {
    'words': reason.words,
    'drop': reason.drop,
    'perspective': item.perspective,
    'kind': item.kind,
    'name': item.name,
    'share': item.share,
  }


def to_columns(
  source: Source, advice: Sequence[advice_lib.Advice]
) -> list[Row]:
  """Returns an answer as the rows of a spreadsheet.

  Args:
    source: where it comes from; in every row, since rows are copied.
    advice: the ranking, explained; one at least.
  """
  rows = []
  for a in advice:
    found, lines = a.found, words_of(a)
    row: Row = {
      'rank': found.rank,
      'influencer': found.account_id,
      'followers': a.followers,
      'category': a.category or None,
      **_scores(found),
      'speaks for': lines.get('for'),
      'speaks against': lines.get('against'),
      'precedent': lines.get('precedent'),
      'how sure': a.band.words,
      'works with the brand': 'yes' if found.cooperates else 'no',
      'lacks': ', '.join(found.lacks) or None,
    }
    rows.append(with_source(row, source))
  return rows


def with_source(row: Row, source: Source) -> Row:
  """Returns a row that says where it comes from."""
  return row | {
    'asked for': source.brand,
    'model step': source.step,
    'bundle': source.bundle,
    'bundle fingerprint': source.bundle_fingerprint,
    'date': source.date,
  }


def _scores(found: recommend_lib.Recommendation) -> Row:
  return {
    'score': round(found.score, 4),
    'above typical': round(found.score - found.typical, 4),
    **{
      f'{part.perspective} {part.modality}': round(part.value, 4)
      for part in found.parts
    },
  }


def rows_of_brands(
  catalogue: catalogue_lib.Catalogue,
  found: Sequence[recommend_lib.Recommendation],
) -> list[Row]:
  """Returns a ranking of brands as rows."""
  rows = catalogue.brands.account_row_N
  return [
    {
      'rank': b.rank,
      'brand': b.account_id,
      'category': catalogue.facts.category_of(int(rows[b.row])) or None,
      **_scores(b),
      'works with it': 'yes' if b.cooperates else 'no',
    }
    for b in found
  ]


def rows_of_similar(
  catalogue: catalogue_lib.Catalogue, found: Sequence[look_alikes.Similar]
) -> list[Row]:
  """Returns look-alikes of an influencer as rows."""
  rows = catalogue.influencers.account_row_N
  return [
    {
      'rank': m.rank,
      'influencer': m.account_id,
      'followers': catalogue.facts.followers_of(int(rows[m.row])),
      'category': catalogue.facts.category_of(int(rows[m.row])) or None,
      'similarity': round(m.similarity, 4),
    }
    for m in found
  ]


def words_of(advice: advice_lib.Advice) -> dict[str, str]:
  """Returns what is said of a recommendation: heading -> words.

  Reasons come with what the score loses without them.
  """
  lines = {}
  if advice.reasons is not None:
    for heading, reasons in (
      ('for', advice.reasons.speaks_for()),
      ('against', advice.reasons.speaks_against()),
    ):
      told = [
        f'{r.words} {r.drop:+.2f}' for r in reasons if abs(r.drop) >= 0.005
      ]
      if told:
        lines[heading] = '; '.join(told)
  if advice.precedent is not None:
    lines['precedent'] = advice.precedent.words
  lines['how sure'] = advice.band.words
  if advice.found.lacks:
    lines['lacks'] = ', '.join(advice.found.lacks)
  return lines
