"""A ranking as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
import textwrap

import tabulate

from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import answer
from morning_jax.recommend import shortlist as shortlist_lib

_WIDTH = 88
_INDENT = 15
_HEADINGS = {
  'for': 'speaks for',
  'against': 'against',
  'precedent': 'precedent',
  'how sure': 'how sure',
  'lacks': 'shows no',
}


def _shown(text: str) -> str:
  """Returns text of strangers without control characters."""
  return ''.join(c if c.isprintable() else ' ' for c in text)


def _count(number: float | None) -> str:
  return '-' if number is None else f'{number:,.0f}'


def source_lines(source: answer.Source, category: str) -> list[str]:
  """Says what is asked and of which model."""
  about = f'{_shown(source.brand)}' + (
    f' ({_shown(category)})' if category else ''
  )
  return [
    about,
    f'model of step {source.step:,}, bundle {source.bundle}'
    f' ({source.bundle_fingerprint[:12]}), {source.date[:10]}',
  ]


def ranking(advice: Sequence[advice_lib.Advice]) -> str:
  """Formats a ranking as a table, with its reasons below.

  Args:
    advice: the ranking, explained; one at least.

  Returns:
    Lines of text. Parts are beyond what a typical influencer gets.
  """
  parts = [f'{p.perspective}\n{p.modality}' for p in advice[0].found.parts]
  known = any(a.followers is not None for a in advice)
  rows = [
    [
      a.found.rank,
      _shown(a.found.account_id),
      *([_count(a.followers)] if known else []),
      _shown(a.category) or '-',
      f'{a.found.score:.2f}',
      f'{a.found.score - a.found.typical:+.2f}',
      *(f'{p.value:+.2f}' for p in a.found.parts),
      a.band.name,
    ]
    for a in advice
  ]
  table = tabulate.tabulate(
    rows,
    headers=[
      '',
      'influencer',
      *(['followers'] if known else []),
      'category',
      'score',
      'above\ntypical',
      *parts,
      'band',
    ],
    disable_numparse=True,
    colalign=(
      'right',
      'left',
      *(['right'] if known else []),
      'left',
      'right',
      *['right'] * (1 + len(parts)),
      'left',
    ),
  )
  table += (
    '\nabove typical: than a typical influencer scores with this brand; the'
    ' columns to its right add up to it'
  )
  explained = [a for a in advice if a.reasons is not None]
  return '\n'.join([table, *(_explained(a) for a in explained)])


def _explained(advice: advice_lib.Advice) -> str:
  lines = ['', f'{advice.found.rank}  {_shown(advice.found.account_id)}']
  for heading, words in answer.words_of(advice).items():
    lines += textwrap.wrap(
      _shown(words),
      _WIDTH,
      initial_indent=f'   {_HEADINGS[heading]:<{_INDENT - 3}}',
      subsequent_indent=' ' * _INDENT,
    )
  return '\n'.join(lines)


def shortlist(found: shortlist_lib.Shortlist) -> str:
  """Formats a shortlist as a table, with what each choice added."""
  with_reach = found.unit is not None
  rows = []
  for c in found.choices:
    like = f'{c.like} ({c.like_similarity:.2f})' if c.like else '-'
    rows.append(
      [
        c.order,
        _shown(c.account_id),
        f'{c.score:.2f}',
        _count(c.cost),
        f'{c.gain:+.3f}',
        f'{c.from_score:+.3f}',
        f'{c.from_diversity:+.3f}',
        *([f'{c.from_reach:+.3f}', f'{c.new:,.4g}'] if with_reach else []),
        _shown(like),
      ]
    )
  headers = [
    '',
    'influencer',
    'score',
    found.cost_unit or 'cost',
    'gain',
    'for score',
    'for being\nunlike',
  ]
  if with_reach:
    headers += ['for reach', f'new {found.unit}']
  table = tabulate.tabulate(
    rows,
    headers=[*headers, 'most like'],
    disable_numparse=True,
    colalign=('right', 'left', *['right'] * (len(headers) - 2), 'left'),
  )
  lines = [table]
  if found.spent is not None:
    lines.append(f'{found.cost_unit} in all: {found.spent:,.0f}')
  if found.reached is not None:
    lines.append(f'reached in all: {found.reached:,.4g} ({found.unit})')
  return '\n'.join(lines)


def plain(rows: Sequence[answer.Row]) -> str:
  """Formats rows as a table; signed numbers but the score and similarity.

  Args:
    rows: of the same columns; one at least.
  """
  cells = [[_cell(column, x) for column, x in row.items()] for row in rows]
  return tabulate.tabulate(
    cells,
    headers=list(rows[0]),
    disable_numparse=True,
    colalign=[
      'left' if isinstance(x, str) else 'right' for x in rows[0].values()
    ],
  )


def _cell(column: str, value: object) -> str:
  if value is None:
    return '-'
  if isinstance(value, float):
    sign = '' if column in ('score', 'similarity') else '+'
    return f'{value:{sign}.2f}'
  if isinstance(value, int):
    return f'{value:,}'
  return _shown(str(value))
