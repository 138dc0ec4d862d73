"""Skip-gram with negative sampling over walks, as dense products."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools

import jax
from jax import numpy as jnp
import numpy as np
import optax
import tqdm

from morning_jax.core import random_streams
from morning_jax.core.random_streams import Stream

_Params = dict[str, jax.Array]

# Steps that one dispatch runs; the progress bar moves between dispatches.
_STEPS_PER_CALL = 32


@dataclasses.dataclass(frozen=True)
class SkipGram:
  """How vectors are learned from walks.

  Attributes:
    dimensions: D, size of a vector.
    window: how far away a context may be.
    epochs: passes over the walks.
    negatives: noise terms of each pair, in expectation.
    noise_nodes: nodes drawn for a step; all its pairs share them.
    learning_rate: Adam's, at the start; it falls linearly to a hundredth.
      docs/graph.md compares the vectors with those of gensim.
    walks_per_step: batch size; None takes an eighth of the nodes, between 8
      and 1,024.
  """

  dimensions: int = 128
  window: int = 10
  epochs: int = 5
  negatives: int = 5
  noise_nodes: int = 64
  learning_rate: float = 0.02  # of Adam; word2vec's 0.025 is of plain SGD
  walks_per_step: int | None = None


def pair_weights(length: int, window: int) -> np.ndarray:
  """How much each pair of places of a walk counts, [length, length].

  word2vec draws a window of 1..window for each centre; at distance r a
  context is inside it with probability (window + 1 - r) / window, which is the
  weight here.
  """
  place = np.arange(length)
  distance = np.abs(place[:, None] - place)
  weight = np.maximum(window + 1 - distance, 0) / window
  return np.where(distance > 0, weight, 0.0).astype(np.float32)


def skip_gram_loss(
  params: _Params,
  paths: jax.Array,
  noise: jax.Array,
  *,
  weight: jax.Array,
  negatives: int,
) -> jax.Array:
  """Mean over the tokens of the negative-sampling loss of their contexts.

  For a centre c with context o and noise nodes n,

    -log s(v_c . u_o) - negatives x mean_n log s(-v_c . u_n),   s = sigmoid.

  A walk's pairs are one [length, length] product, masked by the window, so
  that each token is gathered (and its gradient scattered) once, not once for
  each of its contexts.

  Args:
    params: 'centre' v and 'context' u, [V, D] each.
    paths: int32 [walks, length]; -1 where a walk has ended.
    noise: int32 [noise], noise nodes.
    weight: [length, length], from `pair_weights`.
    negatives: noise terms of each pair.

  Returns:
    The loss.
  """
  there = paths >= 0
  nodes = jnp.maximum(paths, 0)
  centre, context = params['centre'][nodes], params['context'][nodes]
  weight = weight * there[:, :, None] * there[:, None, :]
  near = jnp.einsum('wid,wjd->wij', centre, context)
  far = jnp.einsum('wid,nd->win', centre, params['context'][noise])
  loss = jnp.sum(weight * jax.nn.softplus(-near))
  pairs = weight.sum(axis=2)
  loss += negatives * jnp.sum(pairs * jax.nn.softplus(far).mean(axis=2))
  return loss / jnp.maximum(there.sum(), 1)


def _make_run(
  tx: optax.GradientTransformation,
  noise_share_V: jax.Array,
  weight: jax.Array,
  *,
  options: SkipGram,
) -> Callable[..., tuple[_Params, optax.OptState, jax.Array]]:
  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def run(
    params: _Params,
    opt_state: optax.OptState,
    batches: jax.Array,
    key: jax.Array,
  ) -> tuple[_Params, optax.OptState, jax.Array]:
    def step(
      state: tuple[_Params, optax.OptState],
      batch: tuple[jax.Array, jax.Array],
    ) -> tuple[tuple[_Params, optax.OptState], jax.Array]:
      params, opt_state = state
      paths, index = batch
      uniform = jax.random.uniform(
        jax.random.fold_in(key, index), (options.noise_nodes,)
      )
      noise = jnp.searchsorted(noise_share_V, uniform, side='right')
      noise = jnp.minimum(noise, len(noise_share_V) - 1)
      loss, grads = jax.value_and_grad(skip_gram_loss)(
        params, paths, noise, weight=weight, negatives=options.negatives
      )
      updates, opt_state = tx.update(grads, opt_state, params)
      return (optax.apply_updates(params, updates), opt_state), loss

    indices = jnp.arange(len(batches))
    (params, opt_state), losses = jax.lax.scan(
      step, (params, opt_state), (batches, indices)
    )
    return params, opt_state, losses.mean()

  return run


def train_skip_gram(
  paths: np.ndarray,
  num_nodes: int,
  *,
  options: SkipGram,
  seed: int = 0,
  progress: bool = False,
) -> np.ndarray:
  """Learns a vector for each node from walks.

  Noise is drawn in proportion to (occurrences)^0.75, word2vec's distribution
  (Mikolov et al., 2013). The last walks of an epoch that fill no batch are left
  out of it; the next epoch is shuffled again.

  Args:
    paths: int32 [walks, length]; -1 where a walk has ended.
    num_nodes: V.
    options: sizes and rates.
    seed: decides the start vectors, the order and the noise.
    progress: whether to show a progress bar.

  Returns:
    float32 [V, D], the centre vectors. A node whose walks hold no other node
    keeps its small random start vector.
  """
  start_key = random_streams.key(seed, Stream.SKIP_GRAM_START)
  noise_key = random_streams.key(seed, Stream.SKIP_GRAM_NOISE)
  rng = random_streams.generator(seed, Stream.SKIP_GRAM_ORDER)
  # word2vec's: small, so that the sigmoids start where they are steep.
  limit = 0.5 / options.dimensions
  shape = (num_nodes, options.dimensions)
  params = {
    'centre': jax.random.uniform(start_key, shape, minval=-limit, maxval=limit),
    'context': jnp.zeros(shape),
  }
  size = options.walks_per_step or min(max(num_nodes // 8, 8), 1024)
  size = min(size, len(paths))
  steps = len(paths) // size
  schedule = optax.linear_schedule(
    options.learning_rate, options.learning_rate / 100, steps * options.epochs
  )
  tx = optax.adam(schedule)
  opt_state = tx.init(params)
  count_V = np.bincount(paths[paths >= 0], minlength=num_nodes) ** 0.75
  run = _make_run(
    tx,
    jnp.asarray(np.cumsum(count_V) / count_V.sum(), jnp.float32),
    jnp.asarray(pair_weights(paths.shape[1], options.window)),
    options=options,
  )
  loss = None
  with tqdm.tqdm(
    total=steps * options.epochs,
    desc='skip-gram',
    unit='step',
    disable=not progress,
  ) as bar:
    for epoch in range(options.epochs):
      order = rng.permutation(len(paths))[: steps * size].reshape(steps, size)
      for first in range(0, steps, _STEPS_PER_CALL):
        rows = order[first : first + _STEPS_PER_CALL]
        call_key = jax.random.fold_in(noise_key, epoch * steps + first)
        if loss is not None:  # one call behind, so that the device never waits
          bar.set_postfix(loss=f'{float(loss):.3f}', refresh=False)
        params, opt_state, loss = run(
          params, opt_state, jnp.asarray(paths[rows]), call_key
        )
        bar.update(len(rows))
    return np.asarray(params['centre'])
