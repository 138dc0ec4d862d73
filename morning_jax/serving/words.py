"""What the model says, in words for people who never heard of one."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import confidence
from morning_jax.recommend import precedents
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend as recommend_lib

PERSPECTIVES = {
  'content': 'What they post',
  'audience': 'Who follows them',
  'attribute': 'What they are into',
}
_MODALITIES = {
  ('content', 'image'): 'Their pictures',
  ('content', 'text'): 'Their words',
  ('audience', 'image'): 'Followers’ pictures',
  ('audience', 'text'): 'Followers’ words',
}
_SLIGHT, _STRONG = 0.25, 0.6  # shares of the largest reason of a page


@dataclasses.dataclass(frozen=True)
class Said:
  """A reason in words.

  Attributes:
    text: what it is.
    strength: 'strong', 'clear' or 'slight'.
    drop: what the fit loses without it.
  """

  text: str
  strength: str
  drop: float


def modality(part: recommend_lib.Part) -> str:
  """Returns what a part of a score is about."""
  name = PERSPECTIVES.get(part.perspective, part.perspective)
  return _MODALITIES.get((part.perspective, part.modality), name)


def reason(item: reasons_lib.Reason) -> str:
  """Returns a reason as half a sentence that follows the influencer's name."""
  removed = item.removed
  name = removed.name
  if removed.kind == 'attribute':
    return f'is into “{name}”' if name.isdigit() else f'is a “{name}”'
  numbered = name.isdigit()
  own = removed.perspective != 'audience'
  if removed.kind == 'topic':
    what = f'topic number {name}' if numbered else f'“{name}”'
    return f'writes about {what}' if own else f'followers write about {what}'
  what = f'kind number {name}' if numbered else f'“{name}”'
  return f'posts pictures of {what}' if own else f'followers post {what}'


def reasons(found: Sequence[reasons_lib.Reason], largest: float) -> list[Said]:
  """Returns reasons in words, without those that change nothing.

  Args:
    found: reasons.
    largest: the largest drop that strengths are compared with.
  """
  said = []
  for r in found:
    share = abs(r.drop) / largest if largest else 0.0
    if abs(r.drop) < 0.005:
      continue
    strength = (
      'strong'
      if share >= _STRONG
      else 'clear'
      if share >= _SLIGHT
      else 'slight'
    )
    said.append(Said(reason(r), strength, r.drop))
  return said


def band(found: confidence.Band) -> tuple[str, str]:
  """Returns how sure a recommendation is: a few words, and a sentence."""
  if found.name == confidence.UNKNOWN:
    return 'not known', f'How sure? That is not known: {found.note}.'
  where = (
    f'at place {found.first:,}'
    if found.first == found.last
    else f'at places {found.first:,} to {found.last:,}'
  )
  short = f'{found.cooperated:,} of {found.pairs:,} this high came true'
  text = (
    f'We asked the model about {found.brands:,} brands it had never seen. Of'
    f' the {found.pairs:,} influencers it put {where}, {found.cooperated:,} had'
    ' really worked with the brand.'
  )
  if found.all_cooperated:
    odds = found.all_pairs / found.all_cooperated
    text += f' Picked at random, it would be 1 in {odds:,.0f}.'
  if found.note:
    text += f' Mind: {found.note}.'
  return short, text


def precedent(found: precedents.Precedent) -> str:
  """Returns a precedent as a sentence."""
  shared = ', '.join(map(_shared, found.shared))
  like = f' ({shared})' if shared else ''
  if found.is_own:
    return f'Has worked with {found.brand_id}, a brand like this one{like}.'
  return (
    f'{found.influencer_id}, the most similar person who has, worked with'
    f' {found.brand_id}, a brand like this one{like}.'
  )


def _shared(text: str) -> str:
  """Returns something that two brands share, without the model's terms."""
  kind, _, name = text.partition(': ')
  if not name:
    return text
  if kind == 'category':
    return f'same field, {name}'
  if kind.startswith('audience'):
    return f'followers who write about “{name}”'
  return f'“{name}”'


def lacks(perspectives: Sequence[str]) -> str:
  """Says what is not known of an account; '' where all is."""
  what = {
    'content': 'what they post',
    'audience': 'who follows them',
    'attribute': 'what they are into',
  }
  names = [what.get(p, p) for p in perspectives]
  return f'Nothing is known of {" and ".join(names)}.' if names else ''


def largest_drop(advice: Sequence[advice_lib.Advice]) -> float:
  """Returns the largest reason of some recommendations."""
  return max(
    (
      abs(r.drop)
      for a in advice
      if a.reasons is not None
      for r in (*a.reasons.speaks_for(1), *a.reasons.speaks_against(1))
    ),
    default=0.0,
  )
