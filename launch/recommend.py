r"""Recommends influencers to a brand, and says why.

Examples:
  python -m launch.recommend --workdir=runs/mine --brand=nike
  python -m launch.recommend --workdir=runs/mine --brand=nike --top_k=50 \
    --followers_from=10000 --attribute='sneaker fan' \
    --format=xlsx --output=nike.xlsx
  python -m launch.recommend --workdir=runs/mine --brand_file=acme.json
  python -m launch.recommend --workdir=runs/mine --brand=nike --shortlist=5 \
    --costs=prices.csv --budget=4000
  python -m launch.recommend --workdir=runs/mine --influencer=ann
  python -m launch.recommend --workdir=runs/mine --similar_to=ann

The parts of a score are beyond what a typical influencer gets from the brand.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import json
from typing import Any, BinaryIO

from absl import flags

from launch import command_line
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import answer
from morning_jax.recommend import brand_file
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import lists
from morning_jax.recommend import look_alikes
from morning_jax.recommend import printing
from morning_jax.recommend import recommend
from morning_jax.recommend import shortlist
from morning_jax.recommend import spreadsheet
from morning_jax.reporting import console

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'The folder that launch.train printed.', required=True
)
_BUNDLE = flags.DEFINE_string(
  'bundle', None, 'Choose from this bundle instead of the data trained on.'
)
_BRAND = flags.DEFINE_string(
  'brand', None, 'Rank influencers for this brand. Example: --brand=nike'
)
_BRAND_FILE = flags.DEFINE_string(
  'brand_file',
  None,
  'Rank influencers for a brand that the bundle does not have: a JSON file with'
  ' its features (docs/recommend.md). Example: --brand_file=acme.json',
)
_INFLUENCER = flags.DEFINE_string(
  'influencer', None, 'Rank brands for this influencer instead.'
)
_SIMILAR_TO = flags.DEFINE_string(
  'similar_to', None, 'List influencers who are like this one instead.'
)
_PERSPECTIVE = flags.DEFINE_string(
  'perspective',
  None,
  'Of --similar_to: compare by this perspective alone. Example:'
  ' --perspective=content',
)
_TOP_K = flags.DEFINE_integer('top_k', 10, 'How many.')
_REASONS = flags.DEFINE_integer(
  'reasons',
  3,
  'For how many of them the reasons are measured; files have all.',
  lower_bound=0,
)
_FOLLOWERS_FROM = flags.DEFINE_integer(
  'followers_from', None, 'At least so many followers.', lower_bound=0
)
_FOLLOWERS_TO = flags.DEFINE_integer(
  'followers_to', None, 'At most so many followers.', lower_bound=0
)
_CATEGORY = flags.DEFINE_list('category', [], 'Of one of these categories.')
_ATTRIBUTE = flags.DEFINE_list(
  'attribute',
  [],
  "With one of these attributes. Example: --attribute='coffee fan,wine pro'",
)
_FOUND_UNDER = flags.DEFINE_list(
  'found_under', [], 'Found under one of these categories.'
)
_NEEDS = flags.DEFINE_list(
  'needs',
  [],
  'Only who shows something of these perspectives. Example: --needs=audience',
)
_INCLUDE_COOPERATING = flags.DEFINE_bool(
  'include_cooperating', False, 'Show who works with the brand already, too.'
)
_CANDIDATES = flags.DEFINE_string(
  'candidates', None, 'A file of influencers, one a line: none but these.'
)
_EXCLUDE = flags.DEFINE_string(
  'exclude', None, 'A file of influencers, one a line, to be left out.'
)
_SHORTLIST = flags.DEFINE_integer(
  'shortlist', None, 'Choose so many together: good, and unlike each other.'
)
_BUDGET = flags.DEFINE_float(
  'budget',
  None,
  'Of --shortlist: what they may cost together; without --costs, the followers'
  ' that they may have together.',
)
_COSTS = flags.DEFINE_string(
  'costs', None, 'Of --shortlist: a CSV file, account_id,cost.'
)
_DIVERSITY = flags.DEFINE_float(
  'diversity',
  shortlist.DIVERSITY,
  'Of --shortlist: 0 chooses by score alone, 1 by being unlike alone.',
)
_REACH = flags.DEFINE_float(
  'reach', 0.0, 'Of --shortlist: weight of whom they reach together.'
)
_FORMAT = flags.DEFINE_enum(
  'format', 'table', ['table', 'json', 'csv', 'xlsx'], 'What to write.'
)
_OUTPUT = flags.DEFINE_string(
  'output', None, 'Write to this file instead of the terminal.'
)


def _check_flags() -> None:
  asked = [
    f.name
    for f in (_BRAND, _BRAND_FILE, _INFLUENCER, _SIMILAR_TO)
    if f.value is not None
  ]
  if len(asked) != 1:
    given = f', not {" and ".join(f"--{a}" for a in asked)}' if asked else ''
    raise errors.UserError(
      f'name one of --brand, --brand_file, --influencer, --similar_to{given}'
    )
  if _FORMAT.value == 'xlsx':
    if not _OUTPUT.value:
      raise errors.UserError('--format=xlsx needs --output=FILE')
    spreadsheet.check_installed()
  command_line.check_output_files(output=_OUTPUT.value)
  if asked[0] in ('influencer', 'similar_to'):
    for flag in _OF_A_BRAND:
      if flag.value not in (flag.default, []):
        raise errors.UserError(
          f'--{flag.name} says nothing of an answer to --{asked[0]}; it is for'
          ' the ranking of a brand'
        )


# Flags that have no meaning where influencers are not ranked for a brand.
_OF_A_BRAND = (
  *(_FOLLOWERS_FROM, _FOLLOWERS_TO, _CATEGORY, _ATTRIBUTE, _FOUND_UNDER),
  *(_NEEDS, _CANDIDATES, _SHORTLIST, _BUDGET, _COSTS),
)


def _named(
  catalogue: catalogue_lib.Catalogue, name: str, exclude: frozenset[str]
) -> catalogue_lib.Account:
  if name in exclude:
    raise errors.UserError(
      f'influencer {errors.quoted(name)} is left out, as'
      f' --exclude={_EXCLUDE.value} says'
    )
  return catalogue.influencer(name)


def _filters() -> filters_lib.Filters:
  candidates = None
  if _CANDIDATES.value:
    candidates = tuple(sorted(lists.read_ids(_CANDIDATES.value)))
  return filters_lib.Filters(
    followers_from=_FOLLOWERS_FROM.value,
    followers_to=_FOLLOWERS_TO.value,
    category=tuple(_CATEGORY.value),
    attribute=tuple(_ATTRIBUTE.value),
    found_under=tuple(_FOUND_UNDER.value),
    include_cooperating=_INCLUDE_COOPERATING.value,
    candidates=candidates,
    exclude=lists.read_ids(_EXCLUDE.value) if _EXCLUDE.value else frozenset(),
    needs=tuple(_NEEDS.value),
  )


def main(argv: list[str]) -> None:
  """Answers the question that the flags ask."""
  del argv
  _check_flags()
  filters = _filters()
  costs = lists.read_costs(_COSTS.value) if _COSTS.value else None
  catalogue = catalogue_lib.open_catalogue(_WORKDIR.value, _BUNDLE.value)
  console.notes(catalogue.notes)
  if _INFLUENCER.value is not None:
    account = _named(catalogue, _INFLUENCER.value, filters.exclude)
    brands = recommend.brands_for(
      catalogue,
      account,
      _TOP_K.value,
      include_cooperating=_INCLUDE_COOPERATING.value,
    )
    _tell(catalogue, account, answer.rows_of_brands(catalogue, brands))
  elif _SIMILAR_TO.value is not None:
    account = _named(catalogue, _SIMILAR_TO.value, filters.exclude)
    similar = look_alikes.similar(
      catalogue,
      account,
      _PERSPECTIVE.value,
      _TOP_K.value,
      exclude=filters.exclude,
    )
    _tell(catalogue, account, answer.rows_of_similar(catalogue, similar))
  else:
    if _BRAND_FILE.value is not None:
      brand = brand_file.read_brand(_BRAND_FILE.value, catalogue)
    else:
      brand = catalogue.brand(_BRAND.value or '')
    if _SHORTLIST.value is not None:
      _choose(catalogue, brand, filters, costs)
    else:
      _rank(catalogue, brand, filters)


def _rank(
  catalogue: catalogue_lib.Catalogue,
  brand: catalogue_lib.Account,
  filters: filters_lib.Filters,
) -> None:
  found = recommend.recommend(catalogue, brand, _TOP_K.value, filters)
  if len(found) < _TOP_K.value:
    console.note(f'the filters leave {len(found):,} influencers')
  in_words = _FORMAT.value == 'table'
  advice = advice_lib.Adviser(catalogue).explain(
    brand,
    found,
    reasons_for=_REASONS.value if in_words else None,
    exclude=filters.exclude,
  )
  source = answer.source_of(catalogue, brand)
  _write(
    source,
    brand.category,
    text=lambda: printing.ranking(advice),
    value=lambda: answer.to_json(source, advice),
    rows=lambda: answer.to_columns(source, advice),
  )


def _choose(
  catalogue: catalogue_lib.Catalogue,
  brand: catalogue_lib.Account,
  filters: filters_lib.Filters,
  costs: dict[str, float] | None,
) -> None:
  found = shortlist.choose(
    catalogue,
    brand,
    shortlist.Wishes(
      count=_SHORTLIST.value or 0,
      budget=_BUDGET.value,
      diversity=_DIVERSITY.value,
      reach=_REACH.value,
    ),
    costs=costs,
    filters=filters,
  )
  source = answer.source_of(catalogue, brand)
  _write(
    source,
    brand.category,
    text=lambda: printing.shortlist(found),
    value=lambda: dataclasses.asdict(source) | dataclasses.asdict(found),
    rows=lambda: [
      answer.with_source(dataclasses.asdict(c), source) for c in found.choices
    ],
  )


def _tell(
  catalogue: catalogue_lib.Catalogue,
  account: catalogue_lib.Account,
  rows: list[answer.Row],
) -> None:
  """Writes rows that need no words."""
  source = answer.source_of(catalogue, account)
  _write(
    source,
    account.category,
    text=lambda: printing.plain(rows),
    value=lambda: dataclasses.asdict(source) | {'found': rows},
    rows=lambda: [answer.with_source(row, source) for row in rows],
  )


def _write(
  source: answer.Source,
  category: str,
  *,
  text: Callable[[], str],
  value: Callable[[], dict[str, Any]],
  rows: Callable[[], list[answer.Row]],
) -> None:
  """Writes an answer in the form and to the place that were asked for."""
  if _FORMAT.value == 'table':
    lines = [*printing.source_lines(source, category), '', text(), '']
    content = '\n'.join(lines).encode()
  elif _FORMAT.value == 'json':
    content = (json.dumps(value(), indent=2) + '\n').encode()
  elif _FORMAT.value == 'csv':
    content = spreadsheet.to_csv(rows())
  else:
    content = spreadsheet.to_xlsx(rows(), dataclasses.asdict(source))
  if _OUTPUT.value:
    files.write_whole(_OUTPUT.value, lambda file: _put(file, content))
    console.say(f'written to {_OUTPUT.value}')
  else:
    console.say(content.decode('utf-8-sig').rstrip('\r\n'))


def _put(file: BinaryIO, content: bytes) -> None:
  file.write(content)


if __name__ == '__main__':
  command_line.run(main)
