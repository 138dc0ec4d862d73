"""Flags that say which influencers are candidates of a brand."""

from __future__ import annotations

from absl import flags

from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import lists

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
INCLUDE_COOPERATING = flags.DEFINE_bool(
  'include_cooperating', False, 'Show who works with the brand already, too.'
)
_CANDIDATES = flags.DEFINE_string(
  'candidates', None, 'A file of influencers, one a line: none but these.'
)
EXCLUDE = flags.DEFINE_string(
  'exclude', None, 'A file of influencers, one a line, to be left out.'
)
# Those that have no meaning where influencers are not ranked for a brand.
OF_A_BRAND = (
  *(_FOLLOWERS_FROM, _FOLLOWERS_TO, _CATEGORY, _ATTRIBUTE, _FOUND_UNDER),
  *(_NEEDS, _CANDIDATES),
)


def filters() -> filters_lib.Filters:
  """Returns what the flags say.

  Raises:
    UserError: a file of names can't be read.
  """
  candidates = None
  if _CANDIDATES.value:
    candidates = tuple(sorted(lists.read_ids(_CANDIDATES.value)))
  return filters_lib.Filters(
    followers_from=_FOLLOWERS_FROM.value,
    followers_to=_FOLLOWERS_TO.value,
    category=tuple(_CATEGORY.value),
    attribute=tuple(_ATTRIBUTE.value),
    found_under=tuple(_FOUND_UNDER.value),
    include_cooperating=INCLUDE_COOPERATING.value,
    candidates=candidates,
    exclude=lists.read_ids(EXCLUDE.value) if EXCLUDE.value else frozenset(),
    needs=tuple(_NEEDS.value),
  )
