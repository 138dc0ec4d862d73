"""What a request can fail of: one shape for all, without a path in it."""

from __future__ import annotations

from typing import Any

from morning_jax.core import errors


class Failure(Exception):
  """A request that can't be answered.

  Attributes:
    status: of HTTP.
    code: a word for programs.
    message: one line for people.
    field: the parameter at fault, '' where it is none.
  """

  def __init__(self, status: int, code: str, message: str, field: str = ''):
    super().__init__(message)
    self.status = status
    self.code = code
    self.message = message
    self.field = field

  def as_json(self, request_id: str) -> dict[str, Any]:
    """Returns the body of the answer."""
    return {
      'error': {
        'code': self.code,
        'message': self.message,
        'field': self.field or None,
        'request_id': request_id,
      }
    }


def of_user_error(error: errors.UserError) -> Failure:
  """Returns what to say of a question that makes no sense."""
  message = str(error)
  field = getattr(error, 'field', '') or ''
  code = 'nobody_left' if 'leave nobody' in message else 'invalid_input'
  if not field:
    # `top_k=0: ...`, `followers: ...`, `attribute 'x' is ...`
    first = message.replace('=', ' ').replace(':', ' ').split(' ', 1)[0]
    field = {'top_k': 'k'}.get(first, first) if first in _FIELDS else ''
  return Failure(422, code, message, field)


_FIELDS = (
  'top_k',
  'followers',
  'category',
  'found_under',
  'attribute',
  'perspective',
  'diversity',
  'reach',
  'budget',
)
