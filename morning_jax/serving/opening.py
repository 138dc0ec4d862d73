"""What a server answers before it is ready: that it is getting ready.

A server listens at once, since reading a model and encoding everybody takes
seconds or, of a large bundle, minutes. Until then a page says so and asks
again by itself; programs get 503 with a time to wait.
"""

from __future__ import annotations

import json

from morning_jax.serving import failures
from morning_jax.serving import guard
from morning_jax.serving import metrics as metrics_lib
from morning_jax.serving import settings as settings_lib
from morning_jax.serving import site

_NOT_READY = failures.Failure(
  503, 'not_ready', 'the server is getting ready; ask again in a moment'
)


class Opening:
  """Passes requests on to an application, once it is there."""

  def __init__(self, settings: settings_lib.Settings):
    """Prepares to answer.

    Args:
      settings: hosts and the token, which hold from the first request on.
    """
    self._app: guard.App | None = None
    self._page = site.opening_page()
    self._files = site.static_files()
    self._guard = guard.Guard(
      self._wait, settings, metrics_lib.Metrics(), self._refuse
    )

  def open(self, app: guard.App) -> None:
    """Lets an application answer from now on."""
    self._app = app

  async def __call__(
    self, scope: guard.Scope, receive: guard.Receive, send: guard.Send
  ) -> None:
    """Answers one request."""
    await (self._app or self._guard)(scope, receive, send)

  async def _wait(
    self, scope: guard.Scope, receive: guard.Receive, send: guard.Send
  ) -> None:
    del receive
    folder, _, name = scope['path'].rpartition('/')
    if scope['path'] == '/health/live':
      media_type, body = 'application/json', b'{"status":"live"}'
    elif folder == '/static' and name in self._files:
      media_type, body = self._files[name]
    else:
      raise _NOT_READY
    headers = [
      (b'content-type', media_type.encode()),
      (b'content-length', str(len(body)).encode()),
    ]
    await send(
      {'type': 'http.response.start', 'status': 200, 'headers': headers}
    )
    if scope['method'] == 'HEAD':
      body = b''
    await send({'type': 'http.response.body', 'body': body})

  def _refuse(
    self, scope: guard.Scope, failure: failures.Failure
  ) -> tuple[str, bytes]:
    if guard.wants_json(scope) or scope['method'] == 'POST':
      value = failure.as_json(scope['state']['request_id'])
      return 'application/json', json.dumps(value).encode()
    if failure is _NOT_READY:
      return 'text/html; charset=utf-8', self._page
    return 'text/plain; charset=utf-8', f'{failure.message}\n'.encode()
