"""Texts of pairs: made once, bounded, the same whatever is asked beside."""

import dataclasses
import json

import pytest

from morning_jax.serving import entries as entries_lib
from morning_jax.serving import parts
from morning_jax.serving import settings as settings_lib
from tests.serving import clients

API = clients.API


@pytest.fixture
def made():
  """Rows whose texts were made, and what makes them."""
  rows = []

  def make(new):
    rows.extend(new)
    return [b'{"row":%d}' % row for row in new]

  return rows, make


def test_a_pair_s_text_is_made_once(made):
  rows, make = made
  entries = entries_lib.Entries(10_000)
  assert entries.of(0, [3, 1], make) == [b'{"row":3}', b'{"row":1}']
  assert entries.of(0, [1, 2, 3], make) == [
    b'{"row":1}',
    b'{"row":2}',
    b'{"row":3}',
  ]
  assert rows == [3, 1, 2]
  entries.of(1, [3], make)  # another brand
  assert rows == [3, 1, 2, 3]


def test_texts_are_bounded_and_the_newest_stay(made):
  rows, make = made
  entries = entries_lib.Entries(1000)  # four of 209 bytes each
  for row in (1, 2, 3, 4):
    entries.of(0, [row], make)
  entries.of(0, [1], make)
  entries.of(0, [5], make)  # in place of 2, which was not asked for since
  del rows[:]
  entries.of(0, [1, 3, 4, 5], make)
  assert not rows
  entries.of(0, [2], make)
  assert rows == [2]


def test_without_memory_nothing_is_kept(made):
  rows, make = made
  entries = entries_lib.Entries(0)
  for _ in range(2):
    assert entries.of(0, [7], make) == [b'{"row":7}']
  assert rows == [7, 7]


def test_another_question_says_the_same_of_a_pair(engine, brand):
  ask = clients.client(engine, settings_lib.Settings(answer_bytes=0))

  def of(**parameters):
    answer = ask.get(
      f'{API}/recommendations', params={'brand': brand, **parameters}
    )
    return answer.json()['recommendations']

  all_10 = of(k=10)
  rest = of(k=5, exclude=[x['influencer_id'] for x in all_10[:2]])
  assert [x['rank'] for x in rest] == [1, 2, 3, 4, 5]
  assert [{**x, 'rank': 0} for x in rest] == [
    {**x, 'rank': 0} for x in all_10[2:7]
  ]


def test_text_is_the_json_of_all_that_reasons_stand_beside(engine, brand):
  ask = clients.client(engine, settings_lib.Settings())
  question = {'brand': brand, 'k': 3}
  short = ask.get(f'{API}/recommendations', params=question)
  long = ask.get(f'{API}/recommendations', params={**question, 'reasons': True})
  assert json.loads(short.content) == short.json()
  for name in ('brand', 'passed', 'total', 'source'):
    assert short.json()[name] == long.json()[name]
  pairs = zip(
    short.json()['recommendations'],
    long.json()['recommendations'],
    strict=True,
  )
  for less, more in pairs:
    shared = less.keys() & more.keys()
    assert {'rank', 'influencer_id', 'score', 'parts'} <= shared
    assert {k: less[k] for k in shared} == {k: more[k] for k in shared}


def test_a_score_that_is_not_finite_is_no_answer(engine, brand, monkeypatch):
  describe = parts.describe

  def broken(*args):
    return [
      dataclasses.replace(found, score=float('nan'))
      for found in describe(*args)
    ]

  monkeypatch.setattr(parts, 'describe', broken)
  monkeypatch.setattr(engine, 'entries', entries_lib.Entries(0))
  ask = clients.client(engine, settings_lib.Settings(answer_bytes=0))
  answer = ask.get(f'{API}/recommendations', params={'brand': brand})
  assert answer.status_code == 500
  assert answer.json()['error']['code'] == 'internal'
