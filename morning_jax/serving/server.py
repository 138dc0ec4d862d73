"""Runs the application on a socket, with limits that uvicorn does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import errno
import logging
import socket
import threading
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http import h11_impl

from morning_jax.core import errors
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import guard
from morning_jax.serving import opening as opening_lib
from morning_jax.serving import settings as settings_lib

_LOG = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
  """Opens a socket to listen on.

  Args:
    host: an address of this machine.
    port: 0 for any that is free.

  Raises:
    UserError: it can't be listened on.
  """
  try:
    family, kind, protocol, _, address = socket.getaddrinfo(
      host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(256)
  except OSError as e:
    reason = e.strerror or str(e)
    if e.errno == errno.EADDRINUSE:
      reason = 'is taken; --port=0 finds a free one'
    raise errors.UserError(f'--host={host} --port={port}: {reason}') from None
  return sock


def run(
  load: Callable[[], tuple[guard.App, engine_lib.Engine]],
  settings: settings_lib.Settings,
  sock: socket.socket,
) -> None:
  """Serves until SIGTERM or Ctrl-C, from the first moment on.

  Until the application is there, requests are told so.

  Args:
    load: makes the application and the engine, which is then warmed up; it runs
      beside the server.
    settings: limits.
    sock: where to listen.

  Raises:
    Exception: what `load` raised; nothing is served any more.
  """
  opening = opening_lib.Opening(settings)
  server = make_server(opening, settings)
  failed: list[BaseException] = []

  def work() -> None:
    try:
      app, engine = load()
    except BaseException as e:
      failed.append(e)
      server.should_exit = True
      return
    opening.open(app)
    try:
      engine.warm_up()
    except Exception:
      _LOG.exception('warming up failed')

  threading.Thread(target=work, daemon=True).start()
  server.run(sockets=[sock])
  if failed:
    raise failed[0]


def make_server(
  app: guard.App, settings: settings_lib.Settings
) -> uvicorn.Server:
  """Returns a server of one process that is not running yet."""

  class Protocol(_Protocol):
    header_seconds = settings.header_seconds

  config = uvicorn.Config(
    app,
    http=Protocol,
    loop='asyncio',
    ws='none',
    lifespan='off',
    log_config=None,
    access_log=False,
    server_header=False,
    proxy_headers=False,
    limit_concurrency=settings.most_connections,
    timeout_keep_alive=max(1, int(settings.header_seconds)),
    timeout_graceful_shutdown=5,
  )
  return uvicorn.Server(config)


class _Protocol(h11_impl.H11Protocol):
  """HTTP/1.1 whose clients must send the head of a request in time."""

  header_seconds = 10.0
  _deadline: asyncio.TimerHandle | None = None

  def connection_made(self, transport: Any) -> None:
    super().connection_made(transport)
    self._wait_for_head()

  def connection_lost(self, exc: Exception | None) -> None:
    self._forget()
    super().connection_lost(exc)

  def data_received(self, data: bytes) -> None:
    super().data_received(data)
    if self.conn.their_state is not h11.IDLE:
      self._forget()  # the head is there; the guard has a limit for the rest
    elif self._deadline is None:
      self._wait_for_head()  # of another request on the same connection

  def on_response_complete(self) -> None:
    super().on_response_complete()
    if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
      self._wait_for_head()

  def _wait_for_head(self) -> None:
    self._forget()
    self._deadline = self.loop.call_later(self.header_seconds, self._too_late)

  def _forget(self) -> None:
    if self._deadline is not None:
      self._deadline.cancel()
      self._deadline = None

  def _too_late(self) -> None:
    self._deadline = None
    if not self.transport.is_closing():
      self.transport.close()

  def send_400_response(self, msg: str) -> None:
    """Answers what is no HTTP, with the headers of every other answer."""
    body = b'{"error":{"code":"not_http","message":"this is no HTTP request",'
    body += b'"field":null,"request_id":""}}'
    head = [
      (b'content-type', b'application/json'),
      (b'content-length', str(len(body)).encode()),
      (b'connection', b'close'),
      *((k.encode(), v.encode()) for k, v in guard.HEADERS.items()),
    ]
    for event in (
      h11.Response(status_code=400, headers=head, reason=b'Bad Request'),
      h11.Data(data=body),
      h11.EndOfMessage(),
    ):
      self.transport.write(self.conn.send(event) or b'')
    self.transport.close()
