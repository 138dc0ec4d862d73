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
  python -m launch.recommend --workdir=runs/mine --all_brands --top_k=50 \
    --format=csv --output=everybody.csv

The parts of a score are beyond what a typical influencer gets from the brand.
"""

from __future__ import annotations

import dataclasses

from absl import flags

from launch import candidates
from launch import command_line
from launch import distributed
from launch import output
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import answer
from morning_jax.recommend import batch
from morning_jax.recommend import brand_file
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import lists
from morning_jax.recommend import look_alikes
from morning_jax.recommend import printing
from morning_jax.recommend import recommend
from morning_jax.recommend import shortlist
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
_ALL_BRANDS = flags.DEFINE_bool(
  'all_brands',
  False,
  'Rank influencers for every brand of the bundle, into --output=FILE. It goes'
  ' on where it was stopped, and takes all devices and processes.',
)
_TOP_K = flags.DEFINE_integer(
  'top_k', None, 'How many; 10 if unset, or as many as there are.'
)
_REASONS = flags.DEFINE_integer(
  'reasons',
  3,
  'For how many of them the reasons are measured; files have all.',
  lower_bound=0,
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


def _check_flags() -> None:
  asked = [
    f.name
    for f in (_BRAND, _BRAND_FILE, _INFLUENCER, _SIMILAR_TO, _ALL_BRANDS)
    if f.value not in (None, False)
  ]
  if len(asked) != 1:
    given = f', not {" and ".join(f"--{a}" for a in asked)}' if asked else ''
    raise errors.UserError(
      'name one of --brand, --brand_file, --all_brands, --influencer,'
      f' --similar_to{given}'
    )
  if asked[0] == 'all_brands':
    if output.FORMAT.value == 'table' or not output.OUTPUT.value:
      raise errors.UserError(
        '--all_brands writes a file: --output=FILE with'
        f' --format={", ".join(batch.FORMATS)}'
      )
    command_line.refuse(
      [_SHORTLIST, *_OF_A_SHORTLIST],
      'of an answer to --all_brands; it is for the shortlist of one brand',
    )
  elif asked[0] in ('influencer', 'similar_to'):
    command_line.refuse(
      (*candidates.OF_A_BRAND, _SHORTLIST, *_OF_A_SHORTLIST),
      f'of an answer to --{asked[0]}; it is for the ranking of a brand',
    )
  if _SHORTLIST.value is None:
    command_line.refuse(_OF_A_SHORTLIST, 'without --shortlist=COUNT')
  if _SIMILAR_TO.value is None:
    command_line.refuse([_PERSPECTIVE], 'without --similar_to=INFLUENCER')
  output.check()


_OF_A_SHORTLIST = (_BUDGET, _COSTS, _DIVERSITY, _REACH)


def _top_k(count: int) -> int:
  """Returns how many to list of so many that there are."""
  return min(10, max(count, 1)) if _TOP_K.value is None else _TOP_K.value


def _asked_of(exclude: frozenset[str]) -> list[tuple[int, str]]:
  """Returns roles and names of the accounts of the bundle asked of."""
  found = []
  for role, flag in (
    (accounts_lib.BRAND, _BRAND),
    (accounts_lib.INFLUENCER, _INFLUENCER),
    (accounts_lib.INFLUENCER, _SIMILAR_TO),
  ):
    if flag.value is None:
      continue
    if role == accounts_lib.INFLUENCER and flag.value in exclude:
      raise errors.UserError(
        f'influencer {errors.quoted(flag.value)} is left out, as'
        f' --exclude={candidates.EXCLUDE.value} says'
      )
    found.append((role, flag.value))
  return found


def main(argv: list[str]) -> None:
  """Answers the question that the flags ask."""
  del argv
  distributed.join()
  _check_flags()
  filters = candidates.filters()
  costs = lists.read_costs(_COSTS.value) if _COSTS.value else None
  catalogue = catalogue_lib.open_catalogue(
    _WORKDIR.value, _BUNDLE.value, asked_of=_asked_of(filters.exclude)
  )
  console.notes(catalogue.notes)
  console.notes(filters_lib.notes_on_exclusions(catalogue, filters.exclude))
  if _ALL_BRANDS.value:
    _rank_all(catalogue, filters)
  elif _INFLUENCER.value is not None:
    account = catalogue.influencer(_INFLUENCER.value)
    brands = recommend.brands_for(
      catalogue,
      account,
      _top_k(len(catalogue.brands)),
      include_cooperating=candidates.INCLUDE_COOPERATING.value,
    )
    _tell(catalogue, account, answer.rows_of_brands(catalogue, brands))
  elif _SIMILAR_TO.value is not None:
    account = catalogue.influencer(_SIMILAR_TO.value)
    similar = look_alikes.similar(
      catalogue,
      account,
      _PERSPECTIVE.value,
      _top_k(len(catalogue.influencers) - 1),
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
  top_k = _top_k(len(catalogue.influencers))
  found = recommend.recommend(catalogue, brand, top_k, filters)
  if len(found) < top_k:
    console.note(f'the filters leave {len(found):,} influencers')
  in_words = output.FORMAT.value == 'table'
  advice = advice_lib.Adviser(catalogue).explain(
    brand,
    found,
    reasons_for=_REASONS.value if in_words else None,
    exclude=filters.exclude,
  )
  source = answer.source_of(catalogue, brand)
  output.write(
    source,
    brand.category,
    text=lambda: printing.ranking(advice),
    value=lambda: answer.to_json(source, advice),
    rows=lambda: answer.to_columns(source, advice),
  )


def _rank_all(
  catalogue: catalogue_lib.Catalogue, filters: filters_lib.Filters
) -> None:
  done = batch.run(
    catalogue,
    output.OUTPUT.value or '',
    top_k=_top_k(len(catalogue.influencers)),
    filters=filters,
    kind=output.FORMAT.value,
  )
  if done.resumed:
    console.note(f'{done.resumed:,} brands were done before')
  if done.without:
    console.note(f'for {done.without:,} brands the filters leave nobody')
  console.say(
    f'written to {output.OUTPUT.value}: {done.rows:,} rows of'
    f' {done.brands:,} brands'
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
  output.write(
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
  output.write(
    source,
    account.category,
    text=lambda: printing.plain(rows),
    value=lambda: dataclasses.asdict(source) | {'found': rows},
    rows=lambda: [answer.with_source(row, source) for row in rows],
  )


if __name__ == '__main__':
  command_line.run(main)
