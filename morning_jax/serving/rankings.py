"""Rankings: whom filters let pass, best first."""

from __future__ import annotations

import dataclasses

from morning_jax.serving import parts
from morning_jax.serving import scores as scores_lib


@dataclasses.dataclass(frozen=True)
class Order:
  """Some of the influencers who pass a brand's filters, by their rows.

  Attributes:
    rows: of the best, best first.
    scores: of the brand.
    passed: how many pass.
    total: how many there are in the catalogue, less those who are left out.
  """

  rows: list[int]
  scores: scores_lib.Scores
  passed: int
  total: int


@dataclasses.dataclass(frozen=True)
class Ranking:
  """Some of the influencers who pass a brand's filters.

  Attributes:
    found: the best, best first.
    passed: how many pass.
    total: how many there are in the catalogue, less those who are left out.
  """

  found: list[parts.Found]
  passed: int
  total: int
