"""Trains a method on one fold and scores what the fold ranks.

All steps run in one compiled loop; as the shapes are padded, one program is
used for all folds and seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any, TypeAlias

import flax.linen as nn
import flax.struct
import jax
from jax import numpy as jnp
import numpy as np
import optax

from morning_jax.comparison.methods import fold_data
from morning_jax.comparison.methods import interface
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import random_streams
from morning_jax.core.accounts import Array
from morning_jax.losses import pairwise

_BRANDS_AT_A_TIME = 16  # scored; pair-wise attention is [brands, M, K, K]
_ROUND_BRANDS = 64
_ROUND_CANDIDATES = 1024


@flax.struct.dataclass
class Inputs:
  """Accounts as a method's module takes them.

  Attributes:
    table: their features.
    log_followers_A: float32 (see `fold_data.FoldData`).
  """

  table: accounts_lib.AccountTable
  log_followers_A: Array


@flax.struct.dataclass
class PositivePairs:
  """Positives of a step.

  Attributes:
    brand_P: their brands, 0..B-1.
    candidate_P: their influencers, 0..M-1.
  """

  brand_P: jax.Array
  candidate_P: jax.Array


# Scores all pairs in a training step: (brand indices [b], influencer indices
# [m]) -> [b, m].
ScorePairs: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]
# (scores of pairs, fold, batch, key) -> loss parts.
Loss: TypeAlias = Callable[
  [ScorePairs, fold_data.FoldData, PositivePairs, jax.Array], pairwise.Parts
]


# Purpose -> PRNG key.
Keys: TypeAlias = Mapping[str, jax.Array]


def _keys(seed: int) -> Keys:
  stream = random_streams.Stream
  return {
    'parameters': random_streams.key(seed, stream.PARAMETERS),
    'order': random_streams.key(seed, stream.EPOCH_ORDER),
    'negatives': random_streams.key(seed, stream.NEGATIVES),
    'dropout': random_streams.key(seed, stream.DROPOUT),
  }


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How a method is trained: Adam, a cosine learning rate.

  Attributes:
    learning_rate: at the start.
    steps: how many.
    batch_size: positives of a step.
    l2: weight of the L2 penalty on weight matrices.
  """

  learning_rate: float
  steps: int
  batch_size: int = 512
  l2: float = 0.0


def gather(fold: fold_data.FoldData, rows: Array) -> Inputs:
  """Collects accounts by their rows."""
  return Inputs(fold.table[rows], fold.log_followers_A[rows])


def _optimizer(recipe: Recipe) -> optax.GradientTransformation:
  return optax.adam(
    optax.cosine_decay_schedule(recipe.learning_rate, recipe.steps)
  )


def _batch(
  fold: fold_data.FoldData, key: jax.Array, step: jax.Array, size: int
) -> PositivePairs:
  """Takes a step's positives from a pass over all of them in random order."""
  num = fold.num_positives
  per_pass = (num + size - 1) // size
  order = jax.random.uniform(
    jax.random.fold_in(key, step // per_pass), fold.brand_P.shape
  )
  real = jnp.arange(len(order)) < num
  order = jnp.argsort(jnp.where(real, order, jnp.inf))
  index = ((step % per_pass) * size + jnp.arange(size)) % num
  chosen = order[index]
  return PositivePairs(fold.brand_P[chosen], fold.candidate_P[chosen])


@functools.partial(jax.jit, static_argnames=('module', 'loss', 'recipe'))
def _train(
  fold: fold_data.FoldData,
  keys: Keys,
  *,
  module: nn.Module,
  loss: Loss,
  recipe: Recipe,
) -> Any:
  example = gather(fold, fold.brand_row_B[:1])
  params = nn.unbox(module.init(keys['parameters'], example, example))['params']
  optimizer = _optimizer(recipe)

  def objective(params: Any, step: jax.Array) -> jax.Array:
    step_keys = {
      name: jax.random.fold_in(keys[name], step)
      for name in ('negatives', 'dropout')
    }

    def score_pairs(brand_b: jax.Array, candidate_m: jax.Array) -> jax.Array:
      score_BxM: Any = module.apply(
        {'params': params},
        gather(fold, fold.brand_row_B[brand_b]),
        gather(fold, fold.candidate_row_M[candidate_m]),
        train=True,
        rngs={'dropout': step_keys['dropout']},
      )
      return score_BxM

    batch = _batch(fold, keys['order'], step, recipe.batch_size)
    parts = loss(score_pairs, fold, batch, step_keys['negatives'])
    return pairwise.total(parts) + recipe.l2 * pairwise.l2_penalty(params)

  def body(
    carry: tuple[Any, Any], step: jax.Array
  ) -> tuple[tuple[Any, Any], None]:
    params, state = carry
    gradient = jax.grad(objective)(params, step)
    updates, state = optimizer.update(gradient, state, params)
    return (jax.tree.map(jnp.add, params, updates), state), None

  (params, _), _ = jax.lax.scan(
    body, (params, optimizer.init(params)), jnp.arange(recipe.steps)
  )
  return params


@functools.partial(jax.jit, static_argnames='module')
def _score(
  params: Any, brands: Inputs, candidates: Inputs, *, module: nn.Module
) -> jax.Array:
  variables = {'params': params}
  encode = functools.partial(module.apply, variables, method='encode')
  candidate = encode(candidates, role='influencer')
  return jax.lax.map(
    lambda brand: module.apply(
      variables,
      jax.tree.map(lambda x: x[None], brand),
      candidate,
      method='score',
    )[0],
    encode(brands, role='brand'),
    batch_size=_BRANDS_AT_A_TIME,
  )


def _rounded(rows: np.ndarray, multiple: int) -> np.ndarray:
  return np.resize(rows, -(-len(rows) // multiple) * multiple)


def run(
  task: interface.Task,
  features: Sequence[str],
  *,
  module: nn.Module,
  loss: Loss,
  recipe: Recipe,
) -> np.ndarray:
  """Trains a method on a fold and scores what the fold ranks.

  Args:
    task: the fold and the seed.
    features: names of the features that the module takes.
    module: has `encode(inputs, role, train)`, `score(brands, influencers)` ->
      [b, m] of encodings, and `__call__`, which does both.
    loss: of a step.
    recipe: how to train.

  Returns:
    float32 [test brands, test candidates].

  Raises:
    FloatingPointError: training has diverged.
  """
  fold = fold_data.make(task, features)
  params = _train(
    fold,
    _keys(task.seed),
    module=module,
    loss=loss,
    recipe=recipe,
  )
  brands, candidates = task.test.brand_row_B, task.test.candidate_row_M
  score_BxM = np.asarray(
    _score(
      params,
      gather(fold, _rounded(brands, _ROUND_BRANDS)),
      gather(fold, _rounded(candidates, _ROUND_CANDIDATES)),
      module=module,
    ),
    np.float32,
  )[: len(brands), : len(candidates)]
  if not np.isfinite(score_BxM).all():
    raise FloatingPointError('scores are not finite; the method has diverged')
  return score_BxM
