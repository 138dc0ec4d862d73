"""Scores that are kept, and those of several accounts at once."""

from concurrent import futures
import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import recommend
from morning_jax.serving import products
from morning_jax.serving import scores as scores_lib


def test_products_of_several_are_those_of_each(monkeypatch):
  rng = np.random.default_rng(0)
  vector_NxD = rng.standard_normal((300, 24), np.float32)
  vectors = list(rng.standard_normal((5, 24), np.float32))
  for largest in (1 << 30, 0):
    monkeypatch.setattr(products, '_LARGEST', largest)
    found = products.Products(vector_NxD).of(vectors)
    for vector_D, score_N in zip(vectors, found, strict=True):
      np.testing.assert_allclose(score_N, vector_NxD @ vector_D, atol=1e-5)


def test_scores_of_several_are_those_of_each_and_kept(catalogue):
  cache = scores_lib.ScoreCache(catalogue, 1 << 20)
  accounts = [catalogue.account_at(accounts_lib.BRAND, r) for r in range(5)]
  found = cache.of_several(accounts)
  for account, scores in zip(accounts, found, strict=True):
    assert cache.of(account) is scores
    np.testing.assert_allclose(
      scores.score_N, recommend.scores(catalogue, account), rtol=1e-5
    )


def test_nobody_is_computed_twice(catalogue, monkeypatch):
  sizes = []
  of = products.Products.of

  def counted(self, vectors):
    sizes.append(len(vectors))
    return of(self, vectors)

  monkeypatch.setattr(products.Products, 'of', counted)
  cache = scores_lib.ScoreCache(catalogue, 1 << 20)
  first, second = (
    catalogue.account_at(accounts_lib.BRAND, row) for row in range(2)
  )
  one, same = cache.of_several([first, first])
  assert one is same
  again, other = cache.of_several([first, second])
  assert again is one
  np.testing.assert_allclose(
    other.score_N, recommend.scores(catalogue, second), rtol=1e-5
  )
  assert cache.of_several([second, first]) == [other, one]
  # Two brands that no bundle has are two, whatever they are like.
  strangers = [dataclasses.replace(a, row=None) for a in (first, second)]
  a, b = cache.of_several(strangers)
  assert a.score_N.tobytes() != b.score_N.tobytes()
  assert sizes == [1, 1, 2]


def test_a_failure_of_one_is_not_that_of_the_next(catalogue, monkeypatch):
  cache = scores_lib.ScoreCache(catalogue, 1 << 20)
  account = catalogue.account_at(accounts_lib.BRAND, 0)
  monkeypatch.setattr(products.Products, 'of', lambda *_: 1 / 0)
  with futures.ThreadPoolExecutor(1) as pool:
    error = pool.submit(cache.of, account).exception()
  assert isinstance(error, ZeroDivisionError)
  monkeypatch.undo()
  assert len(cache.of(account).score_N) == len(catalogue.influencers)
