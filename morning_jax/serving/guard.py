"""The door of the server: what every request must pass, and every answer has.

It is the outermost layer, so that refusals too carry the headers that keep a
browser from running, framing or leaking anything.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, MutableMapping
import hmac
import re
import time
from typing import Any, TypeAlias
import urllib.parse
import uuid

from morning_jax.serving import failures
from morning_jax.serving import metrics as metrics_lib
from morning_jax.serving import settings as settings_lib

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
# Answers a failure: (scope, failure) -> status, media type, body.
Refuse: TypeAlias = Callable[[Scope, failures.Failure], tuple[str, bytes]]

POLICY = (
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
  " connect-src 'self'; form-action 'self'; base-uri 'none';"
  " frame-ancestors 'none'"
)
HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  # Whoever is removed must not live on in a cache.
  'cache-control': 'no-store',
}
_RAW_HEADERS = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
_HOST = re.compile(r'(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::\d{1,5})?')
_METHODS = frozenset({'GET', 'HEAD', 'POST'})
OPEN = frozenset({'/health/live', '/health/ready'})  # tell nothing


class Guard:
  """Refuses what is not to be answered, before anything else sees it."""

  def __init__(
    self,
    app: App,
    settings: settings_lib.Settings,
    metrics: metrics_lib.Metrics,
    refuse: Refuse,
  ):
    """Wraps an application.

    Args:
      app: the application.
      settings: limits, hosts and the token.
      metrics: counts requests.
      refuse: says a failure in the form that a request wants.
    """
    self._app = app
    self._settings = settings
    self._metrics = metrics
    self._refuse = refuse
    self._at_once = 0

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request."""
    if scope['type'] != 'http':
      return  # no web sockets; and nothing is to be started
    answer = _Answer(send, request_id=uuid.uuid4().hex)
    scope.setdefault('state', {})['request_id'] = answer.request_id
    start = time.perf_counter()
    self._at_once += 1
    try:
      async with asyncio.timeout(self._settings.seconds):
        receive = await self._admit(scope, receive)
        await self._app(scope, receive, answer)
    except failures.Failure as failure:
      await self._say(scope, failure, answer)
    except TimeoutError:
      await self._say(
        scope,
        failures.Failure(
          503, 'too_slow', f'this took over {self._settings.seconds:g} seconds'
        ),
        answer,
      )
    except Exception:
      if not answer.status:
        raise  # else it was answered, and logged, inside
    finally:
      self._at_once -= 1
      self._metrics.count(
        scope, answer.status, time.perf_counter() - start, self._at_once
      )

  async def _say(
    self, scope: Scope, failure: failures.Failure, answer: _Answer
  ) -> None:
    if answer.status:  # it has begun; the connection is cut
      return
    media_type, body = self._refuse(scope, failure)
    headers = [
      (b'content-type', media_type.encode()),
      (b'content-length', str(len(body)).encode()),
      *_EXTRA.get(failure.status, ()),
    ]
    await answer(
      {
        'type': 'http.response.start',
        'status': failure.status,
        'headers': headers,
      }
    )
    if scope['method'] == 'HEAD':
      body = b''
    await answer({'type': 'http.response.body', 'body': body})

  async def _admit(self, scope: Scope, receive: Receive) -> Receive:
    """Checks a request; returns from where its body is read.

    Raises:
      Failure: it is refused.
    """
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope['headers']:
      headers.setdefault(name, []).append(value)
    host = self._check_host(headers)
    if scope['path'] not in OPEN:
      self._check_token(headers)
    if self._at_once > self._settings.most_at_once:
      raise failures.Failure(
        503, 'busy', 'too many questions at once; try again'
      )
    if scope['method'] not in _METHODS:
      raise failures.Failure(
        405, 'method_not_allowed', 'only GET, HEAD and POST are answered'
      )
    if scope['method'] != 'POST':
      return receive
    self._check_post(headers, host)
    return await self._read(headers, receive)

  def _check_host(self, headers: dict[bytes, list[bytes]]) -> str:
    values = headers.get(b'host', [])
    host = values[0].decode('latin-1').lower() if len(values) == 1 else ''
    match = _HOST.fullmatch(host)
    if match is None or match[1] not in self._settings.hosts:
      raise failures.Failure(
        400, 'unknown_host', 'this server is not addressed by that name'
      )
    return host

  def _check_token(self, headers: dict[bytes, list[bytes]]) -> None:
    token = self._settings.token
    if token is None:
      return
    values = headers.get(b'authorization', [])
    brought = _token_in(values[0]) if len(values) == 1 else b''
    if not hmac.compare_digest(brought, token.encode()):
      raise failures.Failure(
        401,
        'no_access',
        'the token is missing or wrong; a browser asks for it as a password,'
        ' with any user name',
      )

  def _check_post(self, headers: dict[bytes, list[bytes]], host: str) -> None:
    for name, right in (
      (b'sec-fetch-site', {'same-origin', 'none'}),
      (b'origin', {f'http://{host}', f'https://{host}'}),
    ):
      for value in headers.get(name, []):
        if value.decode('latin-1').lower() not in right:
          raise failures.Failure(
            403, 'foreign_origin', 'another site may not ask this'
          )
    kind = b''.join(headers.get(b'content-type', [])).split(b';')[0].strip()
    if kind.lower() != b'application/json':
      raise failures.Failure(
        415, 'not_json', 'POST takes application/json and nothing else'
      )
    if headers.get(b'content-encoding'):
      raise failures.Failure(
        415, 'not_json', 'POST takes JSON that is not compressed'
      )

  async def _read(
    self, headers: dict[bytes, list[bytes]], receive: Receive
  ) -> Receive:
    """Reads the body, counting its bytes, whatever its length is said to be."""
    most = self._settings.most_body
    too_large = failures.Failure(
      413, 'too_large', f'a body may have {most:,} bytes'
    )
    for value in headers.get(b'content-length', []):
      if not value.isdigit() or int(value[:20]) > most:
        raise too_large
    parts, size, more = [], 0, True
    while more:
      message = await receive()
      if message['type'] == 'http.disconnect':
        raise failures.Failure(400, 'gone', 'the connection ended')
      part = message.get('body', b'')
      size += len(part)
      if size > most:
        raise too_large
      parts.append(part)
      more = message.get('more_body', False)
    body: bytes | None = b''.join(parts)

    async def replay() -> Message:
      nonlocal body
      if body is None:
        return await receive()
      content, body = body, None
      return {'type': 'http.request', 'body': content, 'more_body': False}

    return replay


class _Answer:
  """Adds the headers that every answer has, and notes its status."""

  def __init__(self, send: Send, request_id: str):
    self._send = send
    self.request_id = request_id
    self.status = 0

  async def __call__(self, message: Message) -> None:
    if message['type'] == 'http.response.start':
      self.status = message['status']
      message['headers'] = [
        *(h for h in message['headers'] if h[0].decode() not in HEADERS),
        *_RAW_HEADERS,
        (b'x-request-id', self.request_id.encode()),
      ]
    await self._send(message)


_EXTRA: dict[int, tuple[tuple[bytes, bytes], ...]] = {
  401: ((b'www-authenticate', b'Basic realm="morning", charset="UTF-8"'),),
  405: ((b'allow', b'GET, HEAD, POST'),),
  413: ((b'connection', b'close'),),
  503: ((b'retry-after', b'1'),),
}


def _token_in(value: bytes) -> bytes:
  """Returns the token of `Bearer TOKEN`, or the password of `Basic ...`."""
  scheme, _, rest = value.partition(b' ')
  if scheme.lower() == b'bearer':
    return rest.strip()
  if scheme.lower() == b'basic':
    try:
      return base64.b64decode(rest, validate=True).partition(b':')[2]
    except (binascii.Error, ValueError):
      pass
  return b''


def wants_json(scope: Scope) -> bool:
  """Tells whether an address is one of the API."""
  path = urllib.parse.unquote(scope['path'])
  return path.startswith(('/api', '/health', '/metrics'))
