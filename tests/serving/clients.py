"""Clients that ask an application in this process, without a socket."""

from collections.abc import Mapping
from typing import Any

from starlette import testclient

from morning_jax.serving import app as app_lib
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import settings as settings_lib

Client = testclient.TestClient
API = '/api/v1'


def client(
  engine: engine_lib.Engine,
  settings: settings_lib.Settings,
  metrics: Mapping[str, Any] | None = None,
) -> Client:
  return Client(
    app_lib.create_app(engine, settings, metrics=metrics),
    base_url='http://localhost:8000',
    raise_server_exceptions=False,
    follow_redirects=False,
  )


def failure(answer: Any, status: int, code: str) -> dict[str, Any]:
  """Checks an answer that is a failure; returns what it says."""
  assert answer.status_code == status, answer.text
  assert set(answer.json()) == {'error'}
  error = answer.json()['error']
  assert set(error) == {'code', 'message', 'field', 'request_id'}
  assert error['code'] == code
  assert error['request_id'] == answer.headers['x-request-id']
  assert len(error['message']) <= 300 and '\n' not in error['message']
  return error
