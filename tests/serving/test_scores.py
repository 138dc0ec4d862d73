"""Scores that are kept, and those of several accounts at once."""

from concurrent import futures
import threading
import time

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import recommend
from morning_jax.serving import products
from morning_jax.serving import scores as scores_lib
from tests import runs


def test_products_of_several_are_those_of_each(monkeypatch):
  rng = np.random.default_rng(0)
  vector_NxD = rng.standard_normal((300, 24), np.float32)
  vectors = list(rng.standard_normal((5, 24), np.float32))
  for largest in (1 << 30, 0):
    monkeypatch.setattr(products, '_LARGEST', largest)
    found = products.Products(vector_NxD).of(vectors)
    for vector_D, score_N in zip(vectors, found, strict=True):
      np.testing.assert_allclose(score_N, vector_NxD @ vector_D, atol=1e-5)


def test_who_waits_shares_the_next_product(catalogue, monkeypatch):
  sizes, started, go = [], threading.Event(), threading.Event()
  of = products.Products.of

  def slow(self, vectors):
    sizes.append(len(vectors))
    started.set()
    assert go.wait(runs.PATIENCE)
    return of(self, vectors)

  monkeypatch.setattr(products.Products, 'of', slow)
  monkeypatch.setattr(products, 'MOST', 8)
  cache = scores_lib.ScoreCache(catalogue, 1 << 20)
  accounts = [catalogue.account_at(accounts_lib.BRAND, r) for r in range(12)]
  with futures.ThreadPoolExecutor(12) as pool:
    first = pool.submit(cache.of, accounts[0])
    assert started.wait(60)
    others = [pool.submit(cache.of, account) for account in accounts[1:]]
    while len(cache._waiting) < 11 and not any(f.done() for f in others):
      time.sleep(0.001)
    go.set()
    found = [future.result() for future in (first, *others)]
  assert sizes == [1, products.MOST, 11 - products.MOST]
  for account, scores in zip(accounts, found, strict=True):
    np.testing.assert_allclose(
      scores.score_N, recommend.scores(catalogue, account), rtol=1e-5
    )


def test_a_failure_of_one_is_not_that_of_the_next(catalogue, monkeypatch):
  cache = scores_lib.ScoreCache(catalogue, 1 << 20)
  account = catalogue.account_at(accounts_lib.BRAND, 0)
  monkeypatch.setattr(products.Products, 'of', lambda *_: 1 / 0)
  with futures.ThreadPoolExecutor(1) as pool:
    error = pool.submit(cache.of, account).exception()
  assert isinstance(error, ZeroDivisionError)
  monkeypatch.undo()
  assert len(cache.of(account).score_N) == len(catalogue.influencers)
