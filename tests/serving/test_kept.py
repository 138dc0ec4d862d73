"""Answers that are kept are those that would be given."""

import pytest

from morning_jax.serving import settings as settings_lib
from tests.serving import clients

API = clients.API


@pytest.fixture
def asked(engine, monkeypatch):
  """Names of the brands that the engine is asked for."""
  names = []
  find = type(engine).brand
  monkeypatch.setattr(
    type(engine), 'brand', lambda self, n: names.append(n) or find(self, n)
  )
  return names


@pytest.mark.parametrize('path', ['/ranking', f'{API}/recommendations'])
def test_the_same_question_is_answered_once(engine, brand, asked, path):
  ask = clients.client(engine, settings_lib.Settings())
  first, second = (ask.get(path, params={'brand': brand}) for _ in range(2))
  assert asked == [brand]
  assert second.content == first.content
  assert second.headers['x-request-id'] != first.headers['x-request-id']
  for name in first.headers.keys() - {'x-request-id'}:
    assert second.headers[name] == first.headers[name]
  assert f'route="{path}",status="200"}} 2' in ask.get('/metrics').text
  ask.get(path, params={'brand': brand, 'category': ''})
  assert len(asked) == 1 + (path == '/ranking')  # the other is a mistake


def test_a_failure_is_not_kept(engine, asked):
  ask = clients.client(engine, settings_lib.Settings())
  for _ in range(2):
    ask.get(f'{API}/recommendations', params={'brand': 'none'})
  assert asked == ['none', 'none']


def test_whoever_is_removed_is_in_no_kept_answer(engine, brand, excluded_file):
  ask = clients.client(engine, settings_lib.Settings())
  question = (
    f'{API}/recommendations?brand={brand}&k=1',
    '/ranking?brand=' + brand,
  )
  first = [ask.get(q).text for q in question]
  name = ask.get(question[0]).json()['recommendations'][0]['influencer_id']
  excluded_file.write_text(name)
  try:
    assert all(name not in ask.get(q).text for q in question)
  finally:
    excluded_file.write_text('')
  assert [ask.get(q).text for q in question] == first


def test_answers_that_are_kept_are_bounded(engine, brand, asked):
  ask = clients.client(engine, settings_lib.Settings(answer_bytes=10_000))
  urls = [f'{API}/recommendations?brand={brand}&k={k}' for k in (1, 2, 3, 4, 5)]
  for url in urls:
    ask.get(url)
  asked.clear()
  ask.get(urls[-1])
  assert asked == []
  ask.get(urls[0])
  assert asked == [brand]
