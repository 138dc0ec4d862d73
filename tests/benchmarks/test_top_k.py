"""Exact top k, beside faiss."""

import dataclasses

import pytest

from morning_jax.benchmarks import top_k
from tests.benchmarks import quick


def test_the_catalogue_shrinks_to_what_memory_allows(capsys):
  options = dataclasses.replace(quick.QUICK, influencers=10**12, k=5)
  rows = top_k.rows_that_fit(options)
  assert 5 <= rows < 10**12
  assert f'memory allows {rows:,} influencers' in capsys.readouterr().err


@quick.needs_faiss
def test_faiss_searches_the_same_catalogue():
  options = dataclasses.replace(quick.QUICK, peers='required')
  ours, theirs = top_k.run(options, quick.RATES)
  assert ours.parameters['implementation'] == 'morning_jax'
  assert theirs.parameters['implementation'] == 'faiss.IndexFlatIP'
  assert ours.ratio['to'] == 'faiss.IndexFlatIP'
  for figure in (ours, theirs):
    quick.consistent(figure)


@quick.needs_faiss
def test_a_difference_to_faiss_is_noticed(monkeypatch):
  def wrong(brand, catalogue, *, k):
    found = real(brand, catalogue, k=k)
    return found._replace(scores=found.scores + 1)

  real = top_k.top_k_lib.top_k
  monkeypatch.setattr(top_k.top_k_lib, 'top_k', wrong)
  with pytest.raises(RuntimeError, match='different influencers'):
    list(
      top_k.run(dataclasses.replace(quick.QUICK, peers='required'), quick.RATES)
    )
