"""A ranking that a visitor corrects by what they like and dislike.

  personal(b, m) = (F(b, m) - mean) / deviation
                   + w (mean similarity to the liked
                        - mean similarity to the disliked)

with the mean and deviation over the catalogue and similarities as of
look-alikes (Rocchio's method, on centred representations). Nothing is stored:
the likes are in the address, so that each can be undone and sent on.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import look_alikes
from morning_jax.recommend import ordering

_WEIGHT = 1.5  # a perfect look-alike gains so many deviations


@dataclasses.dataclass(frozen=True)
class Moved:
  """An influencer of a corrected ranking.

  Attributes:
    row: of the catalogue's influencers.
    before: its place among those who pass, from 1, without the feedback.
    nearest: of the liked and disliked, the one that moved it most.
    liked: whether that is a liked one.
  """

  row: int
  before: int
  nearest: str
  liked: bool


def rerank(
  catalogue: catalogue_lib.Catalogue,
  score_M: np.ndarray,
  wanted_M: np.ndarray,
  *,
  liked: Sequence[catalogue_lib.Account],
  disliked: Sequence[catalogue_lib.Account],
  top_k: int,
) -> list[Moved]:
  """Ranks again, with those disliked left out.

  Args:
    catalogue: who there is.
    score_M: scores of a brand.
    wanted_M: bool, who passes the filters.
    liked: influencers.
    disliked: influencers; one of both lists at least is not empty.
    top_k: how many, at most.

  Returns:
    The best, best first.
  """
  similarity = {
    m.account_id: look_alikes.similarities(catalogue, m)
    for m in (*liked, *disliked)
  }
  pull = {
    **{m.account_id: similarity[m.account_id] / len(liked) for m in liked},
    **{
      m.account_id: -similarity[m.account_id] / len(disliked) for m in disliked
    },
  }
  score = score_M.astype(np.float64)
  personal = (score - score.mean()) / (score.std() or 1.0)
  personal = personal + _WEIGHT * sum(pull.values())
  left = wanted_M.copy()
  left[[m.row for m in disliked if m.row is not None]] = False
  ordered = np.sort(score[wanted_M])
  likes = {m.account_id for m in liked}
  moved = []
  for row in ordering.best_rows(personal, left, top_k):
    nearest = max(pull, key=lambda name: abs(pull[name][row]))
    place = len(ordered) - np.searchsorted(ordered, score[row], side='left')
    moved.append(Moved(row, int(place), nearest, nearest in likes))
  return moved
