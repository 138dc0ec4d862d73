"""Chooses a few influencers together: good, unlike each other, within a budget.

Greedy: the next choice i is the one with the largest gain beside those chosen,

  gain(i | S) = (1 - d) score_i - d max(0, max over j in S of cos(i, j))
                + r new_i(S)

with the score scaled to 0..1 within the pool, cosines of representations
centred on the catalogue (maximal marginal relevance; on raw representations it
changes nothing), and `new` what i reaches that S does not, as a share of the
most that one of the pool reaches. With d = 0 the value of a set is monotone and
submodular, and the greedy choice of n has (1 - 1/e) of the best value at least
(Nemhauser, Wolsey, Fisher 1978). With a budget, greedy by gain and greedy by
gain per cost are both tried; the better has (1 - 1/e) / 2 of the best where the
budget alone limits (Leskovec et al. 2007).
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

import numpy as np

from morning_jax.core import errors
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import ordering
from morning_jax.recommend import reach as reach_lib
from morning_jax.recommend import recommend as recommend_lib

POOL = 200  # the best by score, among whom is chosen
DIVERSITY = 0.3


@dataclasses.dataclass(frozen=True)
class Wishes:
  """What a shortlist should be like.

  Attributes:
    count: how many influencers, at most.
    budget: what they may cost together; None for no limit.
    diversity: d, 0 (score alone) to 1.
    reach: r, 0 or above.
    pool: how many of the best by score may be chosen.
  """

  count: int = 5
  budget: float | None = None
  diversity: float = DIVERSITY
  reach: float = 0.0
  pool: int = POOL


@dataclasses.dataclass(frozen=True)
class Choice:
  """One influencer of a shortlist, in the order of choice.

  Attributes:
    order: from 1.
    account_id: the influencer.
    row: its row among the catalogue's influencers.
    score: F.
    cost: what it costs; None where nothing is counted.
    gain: what it added: `from_score + from_diversity + from_reach`.
    from_score: for its score.
    from_diversity: for being like somebody chosen before, 0 or below.
    from_reach: for whom it reaches beyond those chosen before.
    like: who of those chosen before is most like it; None for the first.
    like_similarity: how much, centred cosine.
    new: what it reaches beyond those chosen before, see `Shortlist.unit`;
      None where reach was not asked for.
  """

  order: int
  account_id: str
  row: int
  score: float
  cost: float | None
  gain: float
  from_score: float
  from_diversity: float
  from_reach: float
  like: str | None
  like_similarity: float
  new: float | None


@dataclasses.dataclass(frozen=True)
class Shortlist:
  """Influencers that were chosen together.

  Attributes:
    choices: in the order of choice.
    value: the sum of their gains.
    spent: what they cost; None where nothing is counted.
    cost_unit: 'cost', or 'followers' where their numbers are the costs.
    reached: what they reach together; None where reach was not asked for.
    unit: what reach is measured in: 'followers' of the bundle's
      `audience_members.csv`, or 'audience similarity'.
  """

  choices: tuple[Choice, ...]
  value: float
  spent: float | None
  cost_unit: str | None
  reached: float | None
  unit: str | None


def choose(
  catalogue: catalogue_lib.Catalogue,
  brand: catalogue_lib.Account | str,
  wishes: Wishes,
  *,
  costs: Mapping[str, float] | None = None,
  filters: filters_lib.Filters = filters_lib.NONE,
) -> Shortlist:
  """Chooses influencers for a brand.

  Args:
    catalogue: who there is.
    brand: the brand, or its id in the bundle.
    wishes: what the list should be like.
    costs: influencer id -> cost; who is not in it can't be chosen. With a
      budget and without costs, numbers of followers are the costs.
    filters: who may be chosen.

  Returns:
    The shortlist; shorter than asked for where the budget ends.

  Raises:
    UserError: wishes that make no sense, nobody can be afforded, or the bundle
      lacks what reach or cost is computed from.
  """
  if isinstance(brand, str):
    brand = catalogue.brand(brand)
  _check(catalogue, wishes)
  passed = filters_lib.mask(catalogue, brand, filters)
  cost_M = _costs(catalogue, wishes, costs)
  mask_M = passed.mask_M
  if cost_M is not None:
    mask_M = mask_M & np.isfinite(cost_M)
    if wishes.budget is not None:
      mask_M &= cost_M <= wishes.budget
  if not mask_M.any():
    why = (
      '' if cost_M is None else '; nobody else has a known cost in the budget'
    )
    raise errors.UserError(f'nobody to choose from: {passed.tell()}{why}')
  score_M = recommend_lib.scores(catalogue, brand)
  rows = np.array(ordering.best_rows(score_M, mask_M, wishes.pool))
  pool = _Pool(
    catalogue, rows, score_M[rows], None if cost_M is None else cost_M[rows]
  )
  reach = reach_lib.of_pool(catalogue, rows) if wishes.reach else None
  lists = [_greedy(catalogue, pool, reach, wishes, per_cost=False)]
  if wishes.budget is not None:
    lists.append(_greedy(catalogue, pool, reach, wishes, per_cost=True))
  found = max(lists, key=lambda x: x.value)
  if cost_M is None:
    return found
  unit = 'followers' if costs is None else 'cost'
  return dataclasses.replace(found, cost_unit=unit)


def _check(catalogue: catalogue_lib.Catalogue, wishes: Wishes) -> None:
  ordering.check_count(
    wishes.count, len(catalogue.influencers), catalogue.influencers.role
  )
  if not 0 <= wishes.diversity <= 1:
    raise errors.UserError(f'diversity={wishes.diversity:g} is not in 0..1')
  if not (wishes.reach >= 0 and np.isfinite(wishes.reach)):
    raise errors.UserError(f'reach={wishes.reach:g}: give it a weight from 0')
  if wishes.budget is not None and not wishes.budget > 0:
    raise errors.UserError(f'budget={wishes.budget:g}: give more than 0')
  if wishes.pool < wishes.count:
    raise errors.UserError(
      f'pool={wishes.pool}: at least the {wishes.count} that are to be chosen'
    )


def _costs(
  catalogue: catalogue_lib.Catalogue,
  wishes: Wishes,
  costs: Mapping[str, float] | None,
) -> np.ndarray | None:
  """Returns float64 [M], NaN where unknown; None where none count."""
  if costs is not None:
    found = np.full(len(catalogue.influencers), np.nan)
    for name, cost in costs.items():
      found[catalogue.influencer(name).row] = cost
    return found
  if wishes.budget is None:
    return None
  followers = catalogue.dataset.accounts.followers
  if followers is None:
    raise errors.UserError(
      'budget: the bundle has no column followers; give costs'
    )
  found = followers[catalogue.influencers.account_row_N].astype(np.float64)
  return np.where(found < 0, np.nan, found)


class _Pool:
  """Those among whom is chosen, the best by score."""

  def __init__(
    self,
    catalogue: catalogue_lib.Catalogue,
    rows: np.ndarray,
    score: np.ndarray,
    cost: np.ndarray | None,
  ):
    side = catalogue.influencers
    self.rows, self.cost = rows, cost
    self.score = score.astype(np.float64)
    low, high = self.score.min(), self.score.max()
    self.scaled = (
      (self.score - low) / (high - low) if high > low else score * 0.0
    )
    vectors = side.vector_NxD[rows] - side.mean_D
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.maximum(length, 1e-12)
    self.cosine = vectors @ vectors.T


def _greedy(
  catalogue: catalogue_lib.Catalogue,
  pool: _Pool,
  reach: reach_lib.Reach | None,
  wishes: Wishes,
  *,
  per_cost: bool,
) -> Shortlist:
  side = catalogue.influencers
  free = np.ones(len(pool.rows), bool)
  left = np.inf if wishes.budget is None else wishes.budget
  nearest = np.zeros(len(pool.rows), np.int64)
  similarity = np.full(len(pool.rows), -np.inf)
  covered = None if reach is None else reach.start()
  chosen: list[Choice] = []
  while len(chosen) < wishes.count:
    if pool.cost is not None:
      free &= pool.cost <= left
    if not free.any():
      break
    new = np.zeros(len(pool.rows)) if reach is None else reach.new(covered)
    from_score = (1 - wishes.diversity) * pool.scaled
    from_diversity = 0.0 - wishes.diversity * np.maximum(similarity, 0.0)
    from_reach = wishes.reach * new / (1.0 if reach is None else reach.most)
    gain = from_score + from_diversity + from_reach
    worth = gain
    if per_cost:
      assert pool.cost is not None
      worth = gain / np.maximum(pool.cost, 1e-9)
    best = int(np.where(free, worth, -np.inf).argmax())
    like = None
    if chosen:
      like = chosen[int(nearest[best])].account_id
    cost = None if pool.cost is None else float(pool.cost[best])
    chosen.append(
      Choice(
        order=len(chosen) + 1,
        account_id=str(side.ids_N[pool.rows[best]]),
        row=int(pool.rows[best]),
        score=float(pool.score[best]),
        cost=cost,
        gain=float(gain[best]),
        from_score=float(from_score[best]),
        from_diversity=float(from_diversity[best]),
        from_reach=float(from_reach[best]),
        like=like,
        like_similarity=float(similarity[best]) if chosen else 0.0,
        new=None if reach is None else float(new[best]),
      )
    )
    free[best] = False
    left -= cost or 0.0
    closer = pool.cosine[best] > similarity
    nearest[closer] = len(chosen) - 1
    similarity[closer] = pool.cosine[best][closer]
    if reach is not None:
      covered = reach.cover(covered, best)
  costs = [c.cost for c in chosen if c.cost is not None]
  return Shortlist(
    choices=tuple(chosen),
    value=sum(c.gain for c in chosen),
    spent=sum(costs) if pool.cost is not None else None,
    cost_unit=None,
    reached=None if reach is None else sum(c.new or 0.0 for c in chosen),
    unit=None if reach is None else reach.unit,
  )
