"""What is done with one shard, wherever it is done.

A task is a frozen value that can be sent to another process. Its result is a
pure function of the shard, of the stored results of earlier tasks and of the
task's own fields.
"""

from __future__ import annotations

import abc
import dataclasses
import pathlib
from typing import Any

from morning_jax.core import errors
from morning_jax.features.stages import store


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
  """One stage of a preparation, done shard by shard.

  Attributes:
    work: folder of stored results, which all workers can reach.
    key: digest of everything that the results depend on.
    shards: how many there are.
  """

  work: pathlib.Path
  key: str
  shards: int

  @property
  @abc.abstractmethod
  def name(self) -> str:
    """What the stage is called, for people and as a folder."""

  @property
  def in_process(self) -> bool:
    """Whether one process does all shards, with all cores and devices."""
    return False

  @abc.abstractmethod
  def result(self, shard: int) -> store.Values:
    """Computes the result of a shard.

    Raises:
      UserError: something that the user can mend.
    """

  def path(self, shard: int) -> pathlib.Path:
    """Returns where the result of a shard is stored."""
    return self.work / self.name / f'{shard:06d}-{self.key[:24]}.npz'

  def open(self, shard: int) -> store.Shard:
    """Opens the stored result of a shard."""
    return store.Shard(self.path(shard))

  def is_done(self, shard: int) -> bool:
    """Tells whether the result of a shard is stored and whole."""
    return store.is_whole(self.path(shard))

  def do(self, shard: int) -> Failure | None:
    """Computes and stores the result of a shard, unless it is there already.

    Returns:
      None; or why that is not possible.
    """
    if self.is_done(shard):
      return None
    try:
      store.write(self.path(shard), self.result(shard))
    except errors.UserError as e:
      return Failure(shard, str(e))
    except OSError as e:
      if e.errno is None:
        raise
      return Failure(shard, e.strerror or '', e.errno, _text(e.filename))
    return None


@dataclasses.dataclass(frozen=True)
class Failure:
  """Why a shard could not be done, as a value that any process can send.

  Attributes:
    shard: which.
    problem: what the user can mend, or what the system says.
    number: the system's number of the error; None where it is the user's.
    path: the file that the system names, if any.
  """

  shard: int
  problem: str
  number: int | None = None
  path: str | None = None

  def raised(self) -> Exception:
    """Returns the exception to raise."""
    if self.number is None:
      return errors.UserError(self.problem)
    return OSError(self.number, self.problem, self.path)


def do(shard: int, task: Task) -> Failure | None:
  """Does a shard of a task: a function of a module, for other processes."""
  return task.do(shard)


def _text(path: Any) -> str | None:
  return None if path is None else str(path)
