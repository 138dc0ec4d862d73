"""Options of a comparison, and their ranges."""

import dataclasses

import pytest

from morning_jax.comparison import options
from morning_jax.core import errors


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'seeds': 0}, '--seeds=0: takes 1 to 10,000'),
    ({'seeds': 99999999999}, '--seeds=99999999999: takes 1 to 10,000'),
    ({'costly_seeds': 0}, '--costly_seeds=0: takes 1 to 10,000'),
    ({'costly_seeds': 10**30}, '--costly_seeds=10000000000'),
    ({'folds': 1}, '--folds=1: takes 2 to 10,000'),
    ({'folds': 10**12}, '--folds=1000000000000: takes 2 to'),
    ({'jobs': -1}, '--jobs=-1: takes 0 to 256'),
    ({'jobs': 257}, '--jobs=257: takes 0 to 256'),
    ({'split': 'valid'}, "--split='valid': takes train or test"),
    ({'resamples': 0}, '--resamples=0: takes 1 to 1,000,000'),
    ({'resamples': 10**9}, '--resamples=1000000000: takes'),
    ({'curves': ('epoch',)}, "--curves='epoch': there are the curves epochs"),
    ({'curves': ('x' * 999,)}, r"^--curves='x{75}\.\.\.': there are"),
  ],
)
def test_options_out_of_range_end_in_one_line(change, message):
  with pytest.raises(errors.UserError, match=message) as raised:
    options.Options(**change)
  assert '\n' not in str(raised.value) and len(str(raised.value)) < 300


def test_the_ends_of_the_ranges_are_allowed():
  least = options.Options(folds=2, seeds=1, costly_seeds=1, jobs=0, resamples=1)
  assert dataclasses.replace(least, jobs=None).jobs is None
  options.Options(folds=10_000, seeds=10_000, costly_seeds=10_000, jobs=256)
