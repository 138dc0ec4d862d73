"""Answers that were given before, kept in memory.

The server is read-only, so the same question has the same answer, until
somebody is removed.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable
import dataclasses
import threading

from morning_jax.core import errors
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import guard

_LARGEST = 1 << 20  # bytes of an answer that is kept
_PATHS = frozenset(
  {
    '/ranking',
    '/influencer',
    '/api/v1/recommendations',
    '/api/v1/pair',
    '/api/v1/similar',
  }
)


@dataclasses.dataclass(frozen=True)
class _Route:
  """What the counters call a route."""

  path: str


@dataclasses.dataclass(frozen=True)
class _Answer:
  headers: tuple[tuple[bytes, bytes], ...]
  body: bytes


class KeptAnswers:
  """Answers what was asked before; the application answers the rest."""

  def __init__(
    self, app: guard.App, engine: engine_lib.Engine, *, most_bytes: int
  ):
    """Wraps an application.

    Args:
      app: the application.
      engine: knows who is left out.
      most_bytes: of the answers that are kept.
    """
    self._app = app
    self._engine = engine
    self._most_bytes = most_bytes
    self._bytes = 0
    self._kept: collections.OrderedDict[Hashable, _Answer] = (
      collections.OrderedDict()
    )
    self._lock = threading.Lock()

  async def __call__(
    self, scope: guard.Scope, receive: guard.Receive, send: guard.Send
  ) -> None:
    """Answers one request."""
    if scope['method'] != 'GET' or scope['path'] not in _PATHS:
      await self._app(scope, receive, send)
      return
    try:
      excluded = self._engine.excluded()
    except errors.UserError:
      await self._app(scope, receive, send)  # which says so
      return
    key = (scope['path'], scope['query_string'], excluded)
    answer = self._find(key)
    if answer is not None:
      scope['route'] = _Route(scope['path'])
      await send(
        {
          'type': 'http.response.start',
          'status': 200,
          'headers': list(answer.headers),
        }
      )
      await send({'type': 'http.response.body', 'body': answer.body})
      return
    started: guard.Message = {}
    parts: list[bytes] = []

    async def note(message: guard.Message) -> None:
      if message['type'] == 'http.response.start':
        started.update(message)
        started['headers'] = tuple(message['headers'])
      else:
        parts.append(message.get('body', b''))
        if not message.get('more_body') and started['status'] == 200:
          self._keep(key, _Answer(started['headers'], b''.join(parts)))
      await send(message)

    await self._app(scope, receive, note)

  def _find(self, key: Hashable) -> _Answer | None:
    with self._lock:
      answer = self._kept.get(key)
      if answer is not None:
        self._kept.move_to_end(key)
      return answer

  def _keep(self, key: Hashable, answer: _Answer) -> None:
    if len(answer.body) > min(_LARGEST, self._most_bytes):
      return
    with self._lock:
      if key in self._kept:
        return
      self._kept[key] = answer
      self._bytes += len(answer.body)
      while self._bytes > self._most_bytes:
        _, old = self._kept.popitem(last=False)
        self._bytes -= len(old.body)
