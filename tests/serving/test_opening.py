"""Before the application is there: a page that says so, and the guard."""

import socket
import threading
import time
import urllib.error
import urllib.request

import pytest
from starlette import testclient

from morning_jax.core import errors
from morning_jax.serving import app as app_lib
from morning_jax.serving import guard
from morning_jax.serving import opening as opening_lib
from morning_jax.serving import server
from morning_jax.serving import settings as settings_lib
from tests.serving import clients

TOKEN = 'x' * 40


def client(opening):
  return testclient.TestClient(opening, base_url='http://localhost:8000')


def test_people_and_programs_are_told_to_wait(engine):
  opening = opening_lib.Opening(settings_lib.Settings())
  ask = client(opening)
  for path in ('/', '/ranking?brand=x', '/nothing'):
    page = ask.get(path)
    assert page.status_code == 503 and page.headers['retry-after'] == '1'
    assert '<h1>Getting ready</h1>' in page.text
    for name, value in guard.HEADERS.items():
      assert page.headers[name] == value
  for path in ('/api/v1/model', '/health/ready', '/metrics'):
    clients.failure(ask.get(path), 503, 'not_ready')
  clients.failure(
    ask.post('/api/v1/brands:rank', json={'brand': {}}), 503, 'not_ready'
  )
  assert ask.get('/health/live').json() == {'status': 'live'}
  assert ask.head('/health/live').content == b''
  for name, kind in (('style.css', 'text/css'), ('opening.js', 'javascript')):
    assert kind in ask.get(f'/static/{name}').headers['content-type']
  assert ask.get('/static/../site.py').status_code == 503
  opening.open(app_lib.create_app(engine, settings_lib.Settings()))
  assert ask.get('/').status_code == 200
  assert ask.get('/health/ready').json() == {'status': 'ready'}


def test_the_guard_is_there_from_the_first_request_on():
  ask = client(opening_lib.Opening(settings_lib.Settings(token=TOKEN)))
  assert ask.get('/').status_code == 401
  assert ask.get('/static/style.css').status_code == 401
  found = ask.get('/', headers={'authorization': f'Bearer {TOKEN}'})
  assert found.status_code == 503
  found = ask.get('/', headers={'host': 'evil.example'})
  assert found.status_code == 400
  assert found.text == 'this server is not addressed by that name\n'
  assert ask.get('/health/live').status_code == 200


def run(load):
  """Runs a server in a thread; returns its port, and how it ended."""
  sock = server.listen('127.0.0.1', 0)
  ended = []

  def work():
    try:
      server.run(load, settings_lib.Settings(), sock)
    except Exception as e:
      ended.append(e)

  thread = threading.Thread(target=work, daemon=True)
  thread.start()
  return sock.getsockname()[1], thread, ended


def test_what_goes_wrong_while_it_loads_ends_the_server():
  asked = threading.Event()

  def load():
    asked.wait(60)
    raise errors.UserError('no such bundle')

  port, thread, ended = run(load)
  while True:  # until it listens
    try:
      urllib.request.urlopen(f'http://127.0.0.1:{port}/')
    except urllib.error.HTTPError as e:
      assert e.code == 503
      break
    except OSError:
      time.sleep(0.01)
  asked.set()
  thread.join(60)
  assert [str(e) for e in ended] == ['no such bundle']
  with pytest.raises(OSError), socket.create_connection(('127.0.0.1', port)):
    pass
