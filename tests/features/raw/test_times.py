"""Points in time, sensible and not."""

import datetime
import math

import pytest

from morning_jax.features.raw import times

_MAY = 1_714_557_600 * 1_000_000  # 2024-05-01, 10 o'clock


@pytest.mark.parametrize(
  'value',
  [
    1_714_557_600,
    1_714_557_600.0,
    '1714557600',
    '2024-05-01T10:00:00Z',
    '2024-05-01T10:00:00.000Z',
    '2024-05-01T10:00:00+0000',
    '2024-05-01T12:00:00+02:00',
    ' 2024-05-01 10:00:00 ',
    datetime.datetime(2024, 5, 1, 10),
    datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.UTC),
  ],
)
def test_one_moment_however_it_is_written(value):
  assert times.parse(value) == _MAY


def test_parts_of_seconds_count():
  assert times.parse('2024-05-01T10:00:00.25Z') == _MAY + 250_000
  assert times.parse(1_714_557_600.25) == _MAY + 250_000


@pytest.mark.parametrize(
  ('value', 'problem'),
  [
    (None, 'is no time'),
    (True, 'is no time'),
    ([2024], 'is no time'),
    ('', 'neither ISO 8601'),
    ('yesterday', 'neither ISO 8601'),
    ('20240501', 'neither ISO 8601'),
    ('2024-13-01', 'neither ISO 8601'),
    ('2024-02-30T00:00:00Z', 'neither ISO 8601'),
    ('0001-01-01T00:00:00+14:00', 'neither ISO 8601'),
    ('9' * 10_000, 'neither ISO 8601'),
    ('2' + '0' * 100, 'neither ISO 8601'),
    ('1969-12-31', '1970..2099'),
    ('2100-01-01', '1970..2099'),
    (-1, '1970..2099'),
    (math.nan, '1970..2099'),
    (math.inf, '1970..2099'),
    (1e300, '1970..2099'),
    (10**400, '1970..2099'),
    (1_714_557_600_000, 'are these milliseconds'),
    ('1714557600000', 'are these milliseconds'),
    (datetime.datetime(1, 1, 1), '1970..2099'),
  ],
)
def test_nonsense_is_named(value, problem):
  with pytest.raises(ValueError, match=problem) as raised:
    times.parse(value)
  assert len(str(raised.value)) < 250


def test_the_ends_of_what_is_read():
  end = 4_102_444_800  # 2100-01-01, in seconds
  assert times.parse(0) == times.parse('1970-01-01') == 0
  assert times.parse(end - 1) == (end - 1) * 1_000_000
  assert times.parse('2099-12-31T23:59:59Z') == (end - 1) * 1_000_000
  for value, is_hinted in ((end, True), (1000 * end, False)):
    with pytest.raises(ValueError, match=r'1970\.\.2099') as raised:
      times.parse(value)
    assert ('milliseconds' in str(raised.value)) == is_hinted
