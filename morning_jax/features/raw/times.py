"""Points in time as posts write them."""

from __future__ import annotations

import datetime
import re
from typing import Any

from morning_jax.core import errors

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_END = 4_102_444_800  # 2100-01-01, in seconds
_DIGITS = re.compile(r'[0-9]{9,13}(?:\.[0-9]{1,9})?')
_LONGEST = 40  # characters of what ISO 8601 writes


def parse(value: Any) -> int:
  """Returns a point in time in microseconds since 1970, UTC.

  Args:
    value: seconds since 1970 as a number or in digits; a date and a time as
      ISO 8601 writes them, in UTC where they name no zone; or a datetime.

  Raises:
    ValueError: it is none of these, or not in 1970..2099; says what is wrong.
  """
  if isinstance(value, datetime.datetime):
    return _since_epoch(value)
  if isinstance(value, bool) or not isinstance(value, int | float | str):
    raise ValueError(f'timestamp {errors.quoted(value, limit=40)} is no time')
  if isinstance(value, str):
    text = value.strip()
    if _DIGITS.fullmatch(text):
      return _seconds(float(text))
    try:
      if len(text) > _LONGEST or text.isdigit():
        raise ValueError
      return _since_epoch(datetime.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
      raise ValueError(
        f'timestamp {errors.quoted(value, limit=40)} is neither ISO 8601, as in'
        ' 2024-05-01T10:00:00Z, nor seconds since 1970 in 1970..2099'
      ) from None
  return _seconds(value)


def _seconds(value: float) -> int:
  if not 0 <= value < _END:  # NaN is in no range
    hint = ''
    if _END <= value < 1000 * _END:
      hint = '; are these milliseconds? seconds are read'
    raise ValueError(
      f'timestamp {errors.quoted(value, limit=40)} is not in 1970..2099{hint}'
    )
  return round(value * 1_000_000)


def _since_epoch(moment: datetime.datetime) -> int:
  if moment.tzinfo is None:
    moment = moment.replace(tzinfo=datetime.UTC)
  passed = (moment - _EPOCH) // datetime.timedelta(microseconds=1)
  if not 0 <= passed < _END * 1_000_000:
    raise ValueError(
      f'timestamp {errors.quoted(moment.isoformat(), limit=40)} is not in'
      ' 1970..2099'
    )
  return passed
