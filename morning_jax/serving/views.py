"""What pages show, prepared: a template only puts it in its place."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import Any

from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.serving import bars
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import feedback
from morning_jax.serving import words

_CHOICES = 200  # of an attribute filter


@dataclasses.dataclass(frozen=True)
class Card:
  """One influencer of a ranking, as a page shows it.

  Attributes:
    rank: on this page's list.
    name: the influencer.
    followers: None where unknown.
    category: '' where unknown.
    fit: F less that of a typical influencer.
    place: among all of the catalogue.
    bars: by perspective.
    speaks_for: reasons.
    speaks_against: reasons.
    precedent: a sentence, or ''.
    sure: how sure it is, in a few words.
    sure_text: in a sentence.
    lacks: a sentence, or ''.
    cooperates: whether the two have worked together.
    moved: what the visitor's feedback did, or ''.
    direction: 'up', 'down' or ''.
  """

  rank: int
  name: str
  followers: int | None
  category: str
  fit: float
  place: int
  bars: list[bars.Bar]
  speaks_for: list[words.Said]
  speaks_against: list[words.Said]
  precedent: str
  sure: str
  sure_text: str
  lacks: str
  cooperates: bool
  moved: str = ''
  direction: str = ''


def cards(advice: Sequence[advice_lib.Advice], *, first: int = 1) -> list[Card]:
  """Returns recommendations as cards.

  Args:
    advice: explained.
    first: rank of the first of them.
  """
  full = bars.scale([a.found for a in advice])
  largest = words.largest_drop(advice)
  found = []
  for rank, a in enumerate(advice, first):
    sure, sure_text = words.band(a.band)
    found.append(
      Card(
        rank=rank,
        name=a.found.account_id,
        followers=a.followers,
        category=a.category,
        fit=a.found.score - a.found.typical,
        place=a.found.place,
        bars=bars.by_perspective(a.found, full),
        speaks_for=words.reasons(
          a.reasons.speaks_for() if a.reasons else [], largest
        ),
        speaks_against=words.reasons(
          a.reasons.speaks_against(2) if a.reasons else [], largest
        ),
        precedent=words.precedent(a.precedent) if a.precedent else '',
        sure=sure,
        sure_text=sure_text,
        lacks=words.lacks(a.found.lacks),
        cooperates=a.found.cooperates,
      )
    )
  return found


def moved_cards(
  found: Sequence[Card], moved: Sequence[feedback.Moved]
) -> list[Card]:
  """Returns cards that say what the visitor's feedback did to them."""
  changed = []
  for card, m in zip(found, moved, strict=True):
    steps = m.before - card.rank
    if not steps:
      changed.append(dataclasses.replace(card, moved='same place as before'))
      continue
    direction = 'up' if steps > 0 else 'down'
    why = f'like {m.nearest}, whom you {"liked" if m.liked else "disliked"}'
    if m.liked != (steps > 0):
      why = f'less like {m.nearest}, whom you'
      why += ' liked' if m.liked else ' disliked'
    if m.nearest == card.name:
      why = 'you liked this one'
    changed.append(
      dataclasses.replace(
        card,
        moved=(
          f'{direction} {abs(steps):,} place{"s" if abs(steps) > 1 else ""},'
          f' from {m.before:,}: {why}'
        ),
        direction=direction,
      )
    )
  return changed


def filter_choices(engine: engine_lib.Engine) -> dict[str, Any]:
  """Returns what the filters of a ranking offer."""
  dataset = engine.catalogue.dataset
  rows = engine.catalogue.influencers.account_row_N
  accounts = dataset.accounts

  def kinds(values: Any) -> list[str]:
    if values is None:
      return []
    return sorted({v for v in values[rows].tolist() if v})

  attributes = sorted(dict.fromkeys(dataset.attribute_names))
  return {
    'categories': kinds(accounts.categories),
    'found_under': kinds(accounts.found_under),
    'attributes': attributes,
    'few_attributes': len(attributes) <= _CHOICES,
    'followers': accounts.followers is not None,
    'needs': {
      p: words.PERSPECTIVES.get(p, p)
      for p in engine.catalogue.perspectives
      if not engine.catalogue.influencers.present[p].all()
    },
  }


def topics(
  engine: engine_lib.Engine, account: catalogue_lib.Account, feature: str
) -> list[tuple[str, float]]:
  """Returns what an account writes about most: name and share."""
  row = account.profile.features.get(feature)
  if row is None or not row.sum() > 0:
    return []
  names = engine.catalogue.dataset.feature_names.get(feature, ())
  share = row / row.sum()
  order = (-share).argsort(kind='stable')[:5].tolist()
  return [
    (names[t] if names and names[t] else f'topic number {t}', float(share[t]))
    for t in order
    if share[t] >= 0.02
  ]
