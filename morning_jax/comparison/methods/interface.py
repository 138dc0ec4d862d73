"""What a method of the comparison is given, and what it must return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses

import ml_collections
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
class Method:
  """A method of the comparison: a row of its tables.

  Attributes:
    key: its name on the command line.
    name: its name in the tables, for example 'MIR'.
    source: citation of its paper, one line.
    score: task -> float32 [test brands, test candidates], the higher the
      better; the same for the same task. Raises `UserError` where the data
      lacks what the method needs.
    missing: data set -> a note for each part of the method that the data
      doesn't allow.
    unavailable: data set -> why the method has no row; None where it has one.
    score_epochs: (task, epochs) -> scores after each of the epochs, ascending;
      None where the method is not trained in epochs.
    recipe: the configuration of a row of MORNING; None for others.
    cost: seconds of one training on one core, on data of some hundred brands:
      a guess, until trainings have been timed.
    costly: whether it is repeated less often (`--costly_seeds`).
  """

  key: str
  name: str
  source: str
  score: Callable[[Task], np.ndarray]
  missing: Callable[[accounts_lib.Dataset], list[str]] = lambda _: []
  unavailable: Callable[[accounts_lib.Dataset], str | None] = lambda _: None
  score_epochs: Callable[[Task, Sequence[int]], list[np.ndarray]] | None = None
  recipe: ml_collections.ConfigDict | None = None
  cost: float = 0.1
  costly: bool = False
