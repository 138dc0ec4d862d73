"""Requests that come together share products."""

import asyncio

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import recommend
from morning_jax.serving import batches as batches_lib
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import products
from tests import runs


class Counted(engine_lib.Engine):
  """An engine that notes how many brands each product has."""

  def __init__(self, catalogue, **options):
    super().__init__(catalogue, **options)
    self.sizes = []
    self.warm_up_scores()

  def scores_of_several(self, brands):
    self.sizes.append(len(brands))
    return super().scores_of_several(brands)


@pytest.fixture
def engine(catalogue):
  return Counted(catalogue, cache_bytes=0)


@pytest.fixture
def brands(catalogue):
  at = catalogue.account_at
  return [at(accounts_lib.BRAND, row) for row in range(12)]


async def ask(batches, brands):
  return await asyncio.gather(*(batches.scores(brand) for brand in brands))


def test_who_comes_together_shares_products(
  engine, catalogue, brands, monkeypatch
):
  monkeypatch.setattr(products, 'MOST', 8)

  async def run():
    return await ask(batches_lib.Batches(engine), brands)

  for brand, scores in zip(brands, asyncio.run(run()), strict=True):
    np.testing.assert_allclose(
      scores.score_N, recommend.scores(catalogue, brand), rtol=1e-5
    )
  assert engine.sizes == [8, 4]


def test_a_product_waits_for_as_many_as_came_last_time(
  engine, brands, monkeypatch
):
  monkeypatch.setattr(batches_lib, '_LONGEST_WAIT', runs.PATIENCE)

  async def run():
    batches = batches_lib.Batches(engine)
    await ask(batches, brands[:4])
    batches._took = runs.PATIENCE  # no longer than a product, that is
    first = asyncio.create_task(batches.scores(brands[4]))
    await asyncio.sleep(0.3)  # in which it would be answered alone
    assert not first.done()
    await ask(batches, brands[5:8])
    await first

  asyncio.run(run())
  assert engine.sizes == [4, 4]


def test_who_comes_alone_waits_once_at_most(engine, brands, monkeypatch):
  monkeypatch.setattr(batches_lib, '_LONGEST_WAIT', runs.PATIENCE)

  async def run():
    batches = batches_lib.Batches(engine)
    await ask(batches, brands[:4])
    batches._took = 0.001
    await batches.scores(brands[0])
    batches._took = runs.PATIENCE  # and now not at all
    await asyncio.wait_for(batches.scores(brands[1]), runs.PATIENCE / 2)

  asyncio.run(run())
  assert engine.sizes == [4, 1, 1]


def test_where_products_are_not_shared_nobody_waits(
  engine, brands, monkeypatch
):
  monkeypatch.setattr(engine_lib.Engine, 'most_at_once', 1)
  monkeypatch.setattr(batches_lib, '_LONGEST_WAIT', runs.PATIENCE)

  async def run():
    batches = batches_lib.Batches(engine)
    await ask(batches, brands[:3])
    batches._took = runs.PATIENCE
    await asyncio.wait_for(batches.scores(brands[3]), runs.PATIENCE / 2)

  asyncio.run(run())
  assert engine.sizes == [1, 1, 1, 1]


def test_who_left_is_not_computed_for(engine, brands):
  async def run():
    batches = batches_lib.Batches(engine)
    gone = asyncio.create_task(batches.scores(brands[0]))
    await asyncio.sleep(0)
    gone.cancel()
    await batches.scores(brands[1])

  asyncio.run(run())
  assert engine.sizes == [1]


def test_a_failure_is_told_to_all_and_is_not_that_of_the_next(
  engine, brands, monkeypatch
):
  async def run():
    batches = batches_lib.Batches(engine)
    with monkeypatch.context() as patch:
      patch.setattr(products.Products, 'of', lambda *_: 1 / 0)
      asked = [batches.scores(brand) for brand in brands[:3]]
      told = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(x) for x in told] == [ZeroDivisionError] * 3
    await batches.scores(brands[0])

  asyncio.run(run())
  assert engine.sizes == [3, 1]


def test_kept_scores_are_not_computed_again(catalogue, brands):
  engine = Counted(catalogue)

  async def run():
    batches = batches_lib.Batches(engine)
    first = await batches.scores(brands[0])
    assert await batches.scores(brands[0]) is first

  asyncio.run(run())
  assert engine.sizes == [1]
