"""Scores for requests that come together.

Who comes while a product is computed shares the next one, which waits a moment
for as many as the last one had: visitors who were answered together ask
together again.
"""

from __future__ import annotations

import asyncio
import time

from morning_jax.recommend import encoded
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import scores as scores_lib
from morning_jax.serving import threads

_LONGEST_WAIT = 0.02  # seconds


class Batches:
  """Lets requests share products; belongs to one event loop."""

  def __init__(self, engine: engine_lib.Engine):
    """Starts with nobody.

    Args:
      engine: computes scores.
    """
    self._engine = engine
    self._waiting: list[
      tuple[encoded.Account, asyncio.Future[scores_lib.Scores]]
    ] = []
    self._expected = 1  # that share the next product
    self._all_here = asyncio.Event()
    self._took = 0.0  # seconds of the last product
    self._task: asyncio.Task[None] | None = None

  async def scores(self, brand: encoded.Account) -> scores_lib.Scores:
    """Returns a brand's scores, from memory or of a product.

    Args:
      brand: the brand.
    """
    known = self._engine.known_scores(brand)
    if known is not None:
      return known
    future = asyncio.get_running_loop().create_future()
    self._waiting.append((brand, future))
    if len(self._waiting) >= self._expected:
      self._all_here.set()
    if self._task is None:
      self._task = asyncio.create_task(self._answer_all())
    found: scores_lib.Scores = await future
    return found

  async def _answer_all(self) -> None:
    try:
      while self._waiting:
        await self._answer_some()
    finally:
      self._task = None

  async def _answer_some(self) -> None:
    most = self._engine.most_at_once
    if len(self._waiting) < self._expected:
      # Nobody waits longer than a product takes, and a lone visitor never does.
      self._all_here = asyncio.Event()
      try:
        async with asyncio.timeout(min(self._took, _LONGEST_WAIT)):
          await self._all_here.wait()
      except TimeoutError:
        pass
    self._waiting = [w for w in self._waiting if not w[1].done()]  # who left
    self._expected = max(1, min(len(self._waiting), most))
    batch, self._waiting = self._waiting[:most], self._waiting[most:]
    if not batch:
      return
    begin = time.perf_counter()
    try:
      found = await threads.run(
        lambda: self._engine.scores_of_several([brand for brand, _ in batch])
      )
    except Exception as error:
      for _, future in batch:
        if not future.done():
          future.set_exception(error)
      return
    self._took = time.perf_counter() - begin
    for (_, future), scores in zip(batch, found, strict=True):
      if not future.done():
        future.set_result(scores)
