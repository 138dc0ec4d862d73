"""What a method of the comparison is given, and what it must return."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.data import splits


@dataclasses.dataclass(frozen=True)
class Task:
  """One fold with one seed.

  Attributes:
    dataset: the data set with its splits assigned: 'train' brands, and 'test'
      brands that are held out; positives of held-out brands are removed.
    train: what may be fitted to.
    test: what is ranked (`brand_row_B`, `candidate_row_M`); a method must never
      read its positives.
    seed: of everything random.
  """

  dataset: accounts_lib.Dataset
  train: splits.Split
  test: splits.Split
  seed: int


@dataclasses.dataclass(frozen=True)
class Peer:
  """A method of the comparison.

  Attributes:
    name: as in the table, for example 'MIR'.
    source: citation of its paper, one line.
    missing: tells what of the method the data's modalities don't allow, one
      note each.
    score: task -> float32 [test brands, test candidates], the higher the
      better; the same for the same task. Raises `UserError` where the data
      lacks what the method can't go without.
  """

  name: str
  source: str
  missing: Callable[[accounts_lib.Dataset], list[str]]
  score: Callable[[Task], np.ndarray]
