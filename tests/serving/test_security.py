"""The check list of what a server of this kind has been attacked by."""

import base64
import logging
import pathlib
import socket
import threading

import httpx2
import jinja2
import pytest

from morning_jax.core import errors
from morning_jax.serving import access
from morning_jax.serving import app as app_lib
from morning_jax.serving import guard
from morning_jax.serving import settings as settings_lib
from morning_jax.serving import site as site_lib
from tests.serving import clients
from tests.serving import conftest
from tests.serving import running

API = clients.API
TOKEN = 'secret-' + 'x' * 40
JSON = {'content-type': 'application/json'}


@pytest.fixture(scope='module')
def behind_token(engine):
  return clients.client(
    engine,
    settings_lib.Settings(hosts=('ranker.example',), token=TOKEN),
  )


# Who is let in.


@pytest.mark.parametrize(
  'host',
  [
    'localhost',
    'localhost:8000',
    'LOCALHOST:1',
    '127.0.0.1:8000',
    '[::1]',
    '[::1]:8000',
  ],
)
def test_this_machine_is_let_in(ask, host):
  assert ask.get('/', headers={'host': host}).status_code == 200


@pytest.mark.parametrize(
  'host',
  [
    'evil.example',
    'localhost.evil.example',
    'localhost:8000.evil.example',
    'evil@localhost',
    'localhost/',
    'localhost ',
    'localhost:x',
    '[::1',
    '[::2]',
    '127.0.0.1.',
    '',
  ],
)
def test_foreign_hosts_are_not(ask, host):
  answer = ask.get(f'{API}/model', headers={'host': host})
  clients.failure(answer, 400, 'unknown_host')
  assert answer.headers['content-security-policy'] == guard.POLICY


def test_two_hosts_or_none_are_not(engine):
  with running.running(engine, settings_lib.Settings()) as port:
    for lines in (b'', b'Host: localhost\r\nHost: localhost\r\n'):
      head, _ = raw(port, b'GET / HTTP/1.1\r\n' + lines + b'\r\n')
      assert b' 400 ' in head[0]
      assert b'content-security-policy: ' + guard.POLICY.encode() in head


@pytest.mark.parametrize(
  ('headers', 'status'),
  [
    ({}, 401),
    ({'authorization': 'Bearer'}, 401),
    ({'authorization': 'Bearer '}, 401),
    ({'authorization': f'Bearer {TOKEN}x'}, 401),
    ({'authorization': f'Bearer {TOKEN[:-1]}'}, 401),
    ({'authorization': f'Token {TOKEN}'}, 401),
    ({'authorization': 'Basic !'}, 401),
    ({'authorization': f'Bearer {TOKEN}'}, 200),
    ({'authorization': f'bearer {TOKEN}'}, 200),
    (
      {
        'authorization': 'Basic '
        + base64.b64encode(f'me:{TOKEN}'.encode()).decode()
      },
      200,
    ),
    (
      {'authorization': 'Basic ' + base64.b64encode(b'me:').decode()},
      401,
    ),
  ],
)
def test_the_token_is_asked_for(behind_token, headers, status):
  for path in (
    '/',
    f'{API}/model',
    '/metrics',
    '/static/style.css',
    '/nowhere',
  ):
    answer = behind_token.get(
      path, headers={'host': 'ranker.example', **headers}
    )
    assert answer.status_code == (
      404 if status == 200 and path == '/nowhere' else status
    )
    if status == 401:
      assert answer.headers['www-authenticate'].startswith('Basic')
      assert TOKEN not in answer.text
  answer = behind_token.get('/health/live', headers={'host': 'ranker.example'})
  assert answer.status_code == 200  # tells nothing


def test_the_token_is_no_parameter(behind_token):
  answer = behind_token.get(
    '/', params={'token': TOKEN}, headers={'host': 'ranker.example'}
  )
  assert answer.status_code == 401


def test_the_token_is_compared_in_constant_time(monkeypatch, behind_token):
  compared = []
  monkeypatch.setattr(
    guard.hmac,
    'compare_digest',
    lambda a, b: compared.append((a, b)) or False,
  )
  headers = {'host': 'ranker.example', 'authorization': f'Bearer {TOKEN}'}
  assert behind_token.get('/', headers=headers).status_code == 401
  assert compared == [(TOKEN.encode(), TOKEN.encode())]


def test_the_token_is_in_no_log(engine, caplog):
  settings = settings_lib.Settings(token=TOKEN)
  with (
    caplog.at_level(logging.DEBUG),
    running.running(engine, settings) as port,
  ):
    for token in (TOKEN, 'wrong-' + TOKEN):
      httpx2.get(
        f'http://127.0.0.1:{port}/nowhere?x=1',
        headers={'authorization': f'Bearer {token}'},
      )
  assert TOKEN not in caplog.text


def test_a_token_file_is_made_and_checked(tmp_path):
  file = tmp_path / 'token'
  token = access.read_token(file)
  assert len(token) >= 43 and access.read_token(file) == token
  assert file.stat().st_mode & 0o777 == 0o600
  assert access.read_token(tmp_path / 'other') != token
  for content in ('', '\n', 'short', 'a' * 40 + ' b', 'é' * 40, 'a' * 600):
    file.write_text(content)
    with pytest.raises(errors.UserError, match='holds no token') as e:
      access.read_token(file)
    assert not content.strip() or content.strip() not in str(e.value)
  file.write_text('a' * 40)
  file.chmod(0o644)
  with pytest.raises(errors.UserError, match='chmod 600'):
    access.read_token(file)
  with pytest.raises(errors.UserError, match='cannot be written'):
    access.read_token(tmp_path / 'none' / 'token')


def test_names_of_the_server():
  assert access.is_loopback('127.0.0.1') and access.is_loopback('::1')
  assert not access.is_loopback('0.0.0.0') and not access.is_loopback('a.b')
  assert access.host_names('127.0.0.1', []) == settings_lib.LOOPBACK
  assert access.host_names('::2', [])[-1] == '[::2]'
  assert 'a.b' in access.host_names('0.0.0.0', ['A.b'])
  with pytest.raises(errors.UserError, match='allowed_hosts'):
    access.host_names('::', [])
  # What is printed reaches it: behind a proxy, and on all addresses.
  assert access.shown_name('127.0.0.1', ['a.b']) == '127.0.0.1'
  assert access.shown_name('0.0.0.0', [' localhost', 'a.b']) == 'localhost'
  assert access.shown_name('::2', []) == '[::2]'


# What a browser is told.


@pytest.mark.parametrize(
  ('method', 'path', 'status'),
  [
    ('GET', '/', 200),
    ('GET', f'{API}/model', 200),
    ('GET', '/static/style.css', 200),
    ('GET', '/nowhere', 404),
    ('GET', f'{API}/nowhere', 404),
    ('GET', '/ranking', 422),
    ('GET', f'{API}/recommendations', 422),
    ('PUT', '/', 405),
    ('POST', '/', 415),
    ('OPTIONS', f'{API}/model', 405),
    ('TRACE', '/', 405),
    ('GET', '/broken', 500),
  ],
)
def test_every_answer_keeps_browsers_from_harm(
  engine, monkeypatch, method, path, status
):
  ask = clients.client(engine, settings_lib.Settings())
  if path == '/broken':
    monkeypatch.setattr(type(engine), 'brand', lambda *_: 1 / 0)
    path = '/ranking?brand=x'
  answer = ask.request(method, path)
  assert answer.status_code == status
  for name, value in guard.HEADERS.items():
    assert answer.headers.get_list(name) == [value]
  assert "default-src 'none'" in guard.POLICY
  assert "frame-ancestors 'none'" in guard.POLICY
  assert 'unsafe' not in guard.POLICY and '*' not in guard.POLICY
  assert answer.headers['x-request-id']
  for name in ('server', 'access-control-allow-origin', 'set-cookie'):
    assert name not in answer.headers


def test_no_answer_has_a_traceback_or_a_path(engine, monkeypatch, caplog):
  ask = clients.client(engine, settings_lib.Settings())
  monkeypatch.setattr(
    type(engine), 'rank', lambda *_, **__: pathlib.Path(conftest.FOLDER).stat()
  )
  answer = ask.get(
    f'{API}/recommendations', params={'brand': 'shoes_01', 'reasons': True}
  )
  error = clients.failure(answer, 500, 'internal')
  assert conftest.FOLDER not in answer.text and 'File "' not in answer.text
  # The log has it, under the number that the answer names.
  assert error['request_id'] in caplog.text
  assert 'FileNotFoundError' in caplog.text


def test_answers_have_no_path(ask, brand):
  for path, parameters in (
    ('/', {}),
    ('/about', {}),
    ('/ranking', {'brand': brand}),
    (f'{API}/model', {}),
    (f'{API}/recommendations', {'brand': brand}),
    (f'{API}/export', {'brand': brand, 'k': 2}),
    (f'{API}/export', {'brand': brand, 'k': 2, 'format': 'json'}),
  ):
    text = ask.get(path, params=parameters).text
    assert conftest.FOLDER not in text and 'small' in text


def test_templates_escape_and_refuse_what_is_undefined(engine):
  site = site_lib.Site(engine, settings_lib.Settings())
  templates = site._templates
  text = templates.from_string('{{ x }}').render(x='<b>')
  assert text == '&lt;b&gt;'
  with pytest.raises(jinja2.UndefinedError):
    templates.from_string('{{ nothing }}').render()
  folder = pathlib.Path(site_lib.__file__).parent / 'templates'
  for file in folder.iterdir():
    source = file.read_text()
    assert '|safe' not in source and 'autoescape' not in source
    assert ' style=' not in source and ' onclick' not in source
    assert '<style' not in source and '<script>' not in source


# What a request may be.


def test_post_takes_json_from_this_site_alone(ask, brand):
  body = {'brand': brand, 'count': 1}
  url = f'{API}/shortlists:select'
  assert ask.post(url, json=body).status_code == 200
  for headers, status, code in (
    ({'sec-fetch-site': 'same-origin'}, 200, ''),
    ({'sec-fetch-site': 'none'}, 200, ''),
    ({'sec-fetch-site': 'cross-site'}, 403, 'foreign_origin'),
    ({'sec-fetch-site': 'same-site'}, 403, 'foreign_origin'),
    ({'origin': 'http://localhost:8000'}, 200, ''),
    ({'origin': 'http://localhost:8001'}, 403, 'foreign_origin'),
    ({'origin': 'http://evil.example'}, 403, 'foreign_origin'),
    ({'origin': 'null'}, 403, 'foreign_origin'),
  ):
    answer = ask.post(url, json=body, headers=headers)
    if status == 200:
      assert answer.status_code == 200
    else:
      clients.failure(answer, status, code)
  for kind in (
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
  ):
    answer = ask.post(url, content=b'{}', headers={'content-type': kind})
    clients.failure(answer, 415, 'not_json')
  answer = ask.post(
    url, content=b'{}', headers={**JSON, 'content-encoding': 'gzip'}
  )
  clients.failure(answer, 415, 'not_json')


def test_no_file_is_found_by_climbing(ask):
  for name in (
    '../app.py',
    '..%2fapp.py',
    '%2e%2e/app.py',
    '..%5capp.py',
    '..%252fapp.py',
    '/etc/passwd',
    '%2fetc%2fpasswd',
    '//etc/passwd',
    'style.css%00',
  ):
    answer = ask.get(f'/static/{name}')
    assert answer.status_code == 404, name
    assert 'root:' not in answer.text and 'import' not in answer.text


def test_no_address_of_a_client_is_opened(ask, brand, monkeypatch):
  opened = []

  def no_connection(*arguments, **more):
    opened.append(arguments)
    raise OSError

  monkeypatch.setattr(socket.socket, 'connect', no_connection)
  monkeypatch.setattr(socket, 'create_connection', no_connection)
  for value in ('http://127.0.0.1:1/', 'file:///etc/passwd', '/etc/passwd'):
    for path, name in (
      ('/ranking', 'brand'),
      ('/influencer', 'influencer'),
      (f'{API}/export', 'brand'),
    ):
      answer = ask.get(path, params={name: value})
      assert answer.status_code == 404 and 'root:' not in answer.text
    answer = ask.post(f'{API}/brands:rank', json={'brand': {'name': value}})
    assert answer.status_code == 422
  assert not opened


# How much of it.


def raw(port, content, *, then=b''):
  """Sends bytes; returns the lines of the answer's head, and its body."""
  with socket.create_connection(('127.0.0.1', port), 30) as s:
    s.sendall(content)
    answer = b''
    while part := s.recv(65536):
      answer += part
      head, _, body = answer.partition(b'\r\n\r\n')
      length = [
        x for x in head.split(b'\r\n') if x.startswith(b'content-length')
      ]
      if length and len(body) >= int(length[0].split(b':')[1]):
        break
  head, _, body = answer.partition(b'\r\n\r\n')
  return head.split(b'\r\n'), body


def test_bytes_of_a_body_are_counted(engine):
  settings = settings_lib.Settings(most_body=1000)
  head = (
    b'POST /api/v1/brands:rank HTTP/1.1\r\nHost: localhost\r\n'
    b'Content-Type: application/json\r\n'
  )
  chunk = b'100\r\n' + b' ' * 256 + b'\r\n'
  with running.running(engine, settings) as port:
    for more in (
      b'Content-Length: 5000\r\n\r\n',
      b'Transfer-Encoding: chunked\r\n\r\n' + 5 * chunk,
    ):
      lines, body = raw(port, head + more)
      assert b' 413 ' in lines[0] and b'too_large' in body
    lines, _ = raw(
      port, head + b'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'
    )
    assert b' 422 ' in lines[0]


def test_slow_heads_and_bodies_are_cut_off(engine):
  settings = settings_lib.Settings(header_seconds=1.2, seconds=0.5)
  with running.running(engine, settings) as port:
    for beginning in (b'', b'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: '):
      with socket.create_connection(('127.0.0.1', port), 30) as s:
        s.sendall(beginning)
        assert s.recv(100) == b''  # closed, without an answer
    with socket.create_connection(('127.0.0.1', port), 30) as s:
      # Also of the second request of a connection.
      s.sendall(b'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n')
      assert b' 200 ' in s.recv(4096)
      s.sendall(b'GET / HTTP/1.1\r\nHost: loc')
      while part := s.recv(4096):
        assert b' 200 ' not in part
    lines, body = raw(
      port,
      b'POST /new-brand HTTP/1.1\r\nHost: localhost\r\n'
      b'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    )
    assert b' 503 ' in lines[0] and b'too_slow' in body


def test_what_is_no_http_has_the_headers_too(engine):
  with running.running(engine, settings_lib.Settings()) as port:
    for content in (
      b'\x16\x03\x01 nonsense\r\n\r\n',
      b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ' + b'x' * 200_000,
    ):
      head, body = raw(port, content)
      assert b' 400 ' in head[0] or b' 431 ' in head[0]
      assert b'not_http' in body
      assert b'x-content-type-options: nosniff' in head


def test_too_many_at_once_are_told_so(engine, brand, monkeypatch):
  settings = settings_lib.Settings(most_at_once=2, seconds=20)
  going, hold = threading.Semaphore(0), threading.Event()
  rank = type(engine).rank

  def waiting(*arguments, **more):
    going.release()
    hold.wait()
    return rank(*arguments, **more)

  monkeypatch.setattr(type(engine), 'rank', waiting)
  url = f'{API}/recommendations?brand={brand}&reasons=true'
  with running.running(engine, settings) as port:
    address = f'http://127.0.0.1:{port}'
    answers = []
    threads = [
      threading.Thread(
        target=lambda: answers.append(httpx2.get(address + url, timeout=60))
      )
      for _ in range(2)
    ]
    try:
      for thread in threads:
        thread.start()
      for _ in threads:
        assert going.acquire(timeout=60)
      third = httpx2.get(address + url)
      clients.failure(third, 503, 'busy')
      assert third.headers['retry-after']
    finally:
      hold.set()
      for thread in threads:
        thread.join()
    assert [a.status_code for a in answers] == [200, 200]
    assert httpx2.get(address + '/health/live').status_code == 200


def test_what_takes_too_long_is_given_up(engine, brand, monkeypatch):
  hold = threading.Event()
  monkeypatch.setattr(
    type(engine), 'rank', lambda *_, **__: hold.wait() and 1 / 0
  )
  ask = clients.client(engine, settings_lib.Settings(seconds=0.2))
  try:
    answer = ask.get(
      f'{API}/recommendations', params={'brand': brand, 'reasons': True}
    )
    clients.failure(answer, 503, 'too_slow')
  finally:
    hold.set()


def test_the_application_opens_no_door_of_the_framework(ask):
  for path in ('/docs', '/redoc', '/openapi.json', '/docs/oauth2-redirect'):
    assert ask.get(path).status_code == 404
  assert isinstance(ask.app, guard.Guard)
  assert app_lib.create_app.__module__ == 'morning_jax.serving.app'
