"""Figures, turns, and libraries to compare with."""

import dataclasses

import pytest

from morning_jax.benchmarks import harness
from morning_jax.core import errors
from tests.benchmarks import quick


def test_a_figure_is_a_median_beside_its_limit():
  figure = harness.measured(
    'x',
    {},
    [4.0, 1.0, 2.0],
    harness.Limit(0.5, 'FLOPs'),
    work=8.0,
    unit='things/s',
    peer=('other', [6.0, 3.0, 100.0]),
  )
  # Rates 2, 8, 4: quartiles 3 and 6. At best, 8 things in half a second.
  assert (figure.median, figure.spread, figure.limit) == (4.0, 3.0, 16.0)
  assert figure.share == 0.25
  assert figure.ratio == {'to': 'other', 'value': 3.0}
  seconds = harness.measured('x', {}, [1.0, 3.0], harness.Limit(0.5, 'bytes'))
  assert (seconds.median, seconds.limit, seconds.share) == (2.0, 0.5, 0.25)


def test_calls_take_turns_after_a_warm_up():
  order = []
  calls = {'a': lambda: order.append('a'), 'b': lambda: order.append('b')}
  seconds = harness.interleave(calls, repeats=2)
  assert ''.join(order) == 'ab' + 'abab'
  assert [len(v) for v in seconds.values()] == [2, 2]


def test_without_a_peer_one_line_says_so(monkeypatch, capsys):
  monkeypatch.setattr(harness.importlib.util, 'find_spec', lambda name: None)
  options = dataclasses.replace(quick.QUICK, peers='auto')
  assert not harness.has_peer('torch', options)
  said = capsys.readouterr().err.strip()
  assert said.count('\n') == 0
  assert 'torch is not installed' in said
  with pytest.raises(errors.UserError, match='required'):
    harness.has_peer(
      'torch', dataclasses.replace(quick.QUICK, peers='required')
    )
