"""Batches that come from disk ahead of the device (`placement='stream'`).

Grain maps each dispatch of steps to its batches, in threads, a few dispatches
ahead. Who is in a batch is a function of the step alone, so any dispatch can be
loaded at any time, and the position of the input is the step itself. That is
what a checkpoint keeps (`input_position`, and the state's own step): Grain's
iterator state would count dispatches, whose length another configuration
changes, and would be one more file that could disagree with the step.

A process reads only the rows of its own devices' share of a batch, and each
account once a dispatch however often it occurs.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import time
from typing import Any

import grain
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding as sharding_lib

# Where along the rows of a batch a device's share begins and ends.
_Share = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Dispatch:
  """Who is in the batches of a dispatch.

  Attributes:
    brand_SxP: int32, brand of each positive.
    candidate_SxP: int32, influencer of each positive.
    brand_row_SxP: account rows of the brands.
    influencer_row_SxQ: account rows of the influencers, negatives included.
  """

  brand_SxP: np.ndarray
  candidate_SxP: np.ndarray
  brand_row_SxP: np.ndarray
  influencer_row_SxQ: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Loaded:
  """A dispatch's batches on the host, this process's shares of them."""

  rows: Dispatch
  brands: dict[_Share, accounts_lib.AccountTable]
  influencers: dict[_Share, accounts_lib.AccountTable]


class WaitClock:
  """Measures the share of training that passes in waiting for input.

  The clock runs from the first request for input until the device's results are
  in, and is stopped while a model is evaluated or saved.

  Attributes:
    waited: seconds of waiting.
    trained: seconds of training, waiting included.
  """

  def __init__(self) -> None:
    self.waited = 0.0
    self.trained = 0.0
    self._since: float | None = None
    self._settled = 0.0

  def wait(self, get: Callable[[], Any]) -> Any:
    """Calls a function whose time counts as waiting."""
    start = time.monotonic()
    if self._since is None:
      self._since = start
    result = get()
    self.waited += time.monotonic() - start
    return result

  def settle(self) -> float:
    """Takes the time up to now as training.

    Returns:
      The share of waiting since this was last asked, 0 to 1.
    """
    if self._since is None:
      return 0.0
    passed = time.monotonic() - self._since
    waited = self.waited - self._settled
    self.trained += passed
    self._since, self._settled = None, self.waited
    return waited / passed

  def summary(self) -> str:
    """Returns a line with the share of training that was waiting."""
    share = self.waited / self.trained if self.trained else 0.0
    return (
      f'waited {share:.1%} of the time for input ({self.waited:.1f} of'
      f' {self.trained:.1f} s of training)'
    )


def steps_that_fit(
  row_bytes: int, rows_per_step: int, *, mebibytes: int
) -> int:
  """Returns how many steps a dispatch may have, at least 1.

  The batches of all processes together count, so that a run on other devices
  runs dispatches of the same length.

  Args:
    row_bytes: length of an account's row.
    rows_per_step: accounts in a batch, repeated ones included.
    mebibytes: most MiB of a dispatch's batches.
  """
  return max(1, (mebibytes << 20) // (row_bytes * rows_per_step))


class Stream:
  """The batches of a run's dispatches, in order, loaded ahead."""

  def __init__(
    self,
    records: accounts_lib.StoredRows,
    mesh: Mesh,
    *,
    rows_of: Callable[[int, int], Dispatch],
    next_stop: Callable[[int], int],
    num_steps: int,
    threads: int,
  ):
    """Prepares to load; nothing is read before the first batches are wanted.

    Args:
      records: the accounts on disk.
      mesh: the mesh; batches shard over its `data` axis.
      rows_of: who is in the batches of the steps from the first number up to,
        without, the second. Called in threads.
      next_stop: where the dispatch that starts at a step ends.
      num_steps: of the whole run.
      threads: dispatches that are loaded at a time.
    """
    self._records = records
    self._mesh = mesh
    self._rows_of = rows_of
    self._next_stop = next_stop
    self._num_steps = num_steps
    self._threads = threads
    self._position: int | None = None
    self._iterator: Any = None
    self.clock = WaitClock()

  def batches(self, step: int, stop: int) -> accounts_lib.Batch:
    """Returns the batches of a dispatch, waiting where they are not loaded.

    Args:
      step: its first step. Any step will do; the one where the last dispatch
        ended is loaded already.
      stop: the step where it ends, as `next_stop` returns it.

    Returns:
      A batch of global arrays with one more axis in front, the steps.

    Raises:
      UserError: a record is damaged.
    """
    return self.clock.wait(lambda: self._batches(step, stop))

  def _batches(self, step: int, stop: int) -> accounts_lib.Batch:
    if self._position != step:
      self._seek(step)
    loaded = next(self._iterator)
    if len(loaded.rows.brand_SxP) != stop - step:
      raise ValueError(f'the dispatch of step {step} does not end at {stop}')
    self._position = stop
    replicated = sharding_lib.replicated(self._mesh)
    rows = loaded.rows
    return accounts_lib.Batch(
      brand_P=sharding_lib.put(rows.brand_SxP, replicated),
      candidate_P=sharding_lib.put(rows.candidate_SxP, replicated),
      brands=self._joined(loaded.brands, rows.brand_row_SxP.shape),
      influencers=self._joined(
        loaded.influencers, rows.influencer_row_SxQ.shape
      ),
    )

  def close(self) -> None:
    """Stops loading."""
    if self._iterator is not None:
      self._iterator.close()
      self._iterator = self._position = None

  def _seek(self, step: int) -> None:
    self.close()
    spans = []
    while step < self._num_steps:
      spans.append((step, self._next_stop(step)))
      step = spans[-1][1]
    dispatches = grain.MapDataset.range(len(spans)).map(
      lambda i: self._load(*spans[i])
    )
    # Grain's own default would hold 500 dispatches.
    self._iterator = iter(
      dispatches.to_iter_dataset(
        grain.ReadOptions(
          num_threads=self._threads, prefetch_buffer_size=self._threads
        )
      )
    )

  def _load(self, step: int, stop: int) -> _Loaded:
    rows = self._rows_of(step, stop)
    pieces = [
      {share: index[:, slice(*share)] for share in self._own_shares(index)}
      for index in (rows.brand_row_SxP, rows.influencer_row_SxQ)
    ]
    flat = [i.ravel() for shares in pieces for i in shares.values()]
    distinct, place = np.unique(np.concatenate(flat), return_inverse=True)
    table = self._records.read(distinct)
    places = iter(np.split(place, np.cumsum([len(i) for i in flat])[:-1]))

    def take(index: np.ndarray) -> accounts_lib.AccountTable:
      at = next(places).reshape(index.shape)
      return jax.tree.map(lambda x: x.take(at, axis=0), table)

    brands, influencers = (
      {share: take(index) for share, index in shares.items()}
      for shares in pieces
    )
    return _Loaded(rows=rows, brands=brands, influencers=influencers)

  def _sharding(self, count: int) -> NamedSharding:
    """Returns the sharding of the rows of batches, [S, count, ...]."""
    # Host arrays have no uneven shares; the step makes them.
    if count % self._mesh.shape[sharding_lib.DATA]:
      return sharding_lib.replicated(self._mesh)
    return NamedSharding(self._mesh, PartitionSpec(None, sharding_lib.DATA))

  def _own_shares(self, index: np.ndarray) -> list[_Share]:
    """Lists the shares of this process's devices, each once, ascending."""
    where = self._sharding(index.shape[1]).addressable_devices_indices_map(
      index.shape
    )
    return sorted({_share(i, index.shape[1]) for i in where.values() if i})

  def _joined(
    self,
    shares: dict[_Share, accounts_lib.AccountTable],
    shape: tuple[int, ...],
  ) -> accounts_lib.AccountTable:
    """Makes global arrays of this process's shares."""
    where = self._sharding(shape[1])
    names = list(shares)

    def join(*pieces: np.ndarray) -> jax.Array:
      of_share = dict(zip(names, pieces, strict=True))
      return jax.make_array_from_callback(
        (*shape, *pieces[0].shape[2:]),
        where,
        lambda index: of_share[_share(index, shape[1])],
        dtype=pieces[0].dtype,
      )

    return jax.tree.map(join, *shares.values())


def _share(index: Any, count: int) -> _Share:
  start, stop, _ = index[1].indices(count)
  return start, stop
