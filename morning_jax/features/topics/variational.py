"""The steps of variational Bayes for latent Dirichlet allocation, on device.

Hoffman, Blei and Bach, "Online Learning for Latent Dirichlet Allocation", NIPS
2010; equations by their numbers there. With q(theta_d) = Dirichlet(gamma_d) and
q(beta_k) = Dirichlet(lambda_k), phi never is in memory: its normaliser is.

All sums over documents run in the documents' order, one after the other, and
each document's own steps are those of one block on one device. So results do
not depend on the number of devices.
"""

from __future__ import annotations

import functools

import jax
from jax import numpy as jnp
from jax.scipy import special
from jax.sharding import Mesh, PartitionSpec

from morning_jax.core import sharding

_ROWS = PartitionSpec(sharding.DATA)
_WHOLE = PartitionSpec()
# Below it, a word is impossible under all topics of a document.
_LEAST = 1e-37


def digamma(x: jax.Array) -> jax.Array:
  """Returns the digamma function of numbers above 0, to float32's accuracy.

  psi(x) = psi(x + 6) - sum_{i<6} 1 / (x + i), and from 6 on the asymptotic
  series (Abramowitz and Stegun, 6.3.18). JAX's takes any number, six times as
  long.
  """
  above = x + 6
  inverse = 1 / above
  square = inverse * inverse
  series = 1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240))
  # Pairs, 1 / a + 1 / (a + 1) = (2 a + 1) / (a (a + 1)): half the divisions.
  steps = sum((2 * a + 1) / (a * (a + 1)) for a in (x + 4, x + 2, x))
  return jnp.log(above) - inverse / 2 - square * series - steps


def expected_log(parameters: jax.Array, axis: int) -> jax.Array:
  """Returns E[log x] of x ~ Dirichlet(parameters) along an axis (eq. 6)."""
  total = parameters.sum(axis, keepdims=True)
  return digamma(parameters) - digamma(total)


@jax.jit
def word_table(topics_WxT: jax.Array) -> jax.Array:
  """Returns exp(E[log beta]) up to a factor for each word, [W, T].

  The factor cancels in phi; it keeps the largest number of a word at 1, so that
  small priors do not underflow.

  Args:
    topics_WxT: lambda.
  """
  log_WxT = expected_log(topics_WxT, 0)
  return jnp.exp(log_WxT - log_WxT.max(1, keepdims=True))


def _scaled_topics(documents_RxT: jax.Array) -> jax.Array:
  """Returns exp(E[log theta]) up to a factor for each document."""
  log_RxT = expected_log(documents_RxT, -1)
  return jnp.exp(log_RxT - log_RxT.max(-1, keepdims=True))


def _document_step(
  table_WxT: jax.Array,
  words_RxL: jax.Array,
  counts_RxL: jax.Array,
  prior: jax.Array,
  *,
  steps: int,
  tolerance: float,
) -> jax.Array:
  # Places without a word get some row; their counts are 0.
  # Sums over the places, the longer axis, run along memory.
  likely_RxTxL = table_WxT.at[words_RxL].get(mode='clip').swapaxes(1, 2)

  def step(
    state: tuple[jax.Array, jax.Array, jax.Array],
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    done, old_RxT, moving_R = state
    scaled_RxT = _scaled_topics(old_RxT)
    norm_RxL = jnp.einsum('rtl,rt->rl', likely_RxTxL, scaled_RxT)
    share_RxL = counts_RxL / jnp.maximum(norm_RxL, _LEAST)
    new_RxT = prior + scaled_RxT * jnp.einsum(
      'rtl,rl->rt', likely_RxTxL, share_RxL
    )
    change_R = jnp.abs(new_RxT - old_RxT).mean(1)
    new_RxT = jnp.where(moving_R[:, None], new_RxT, old_RxT)
    return done + 1, new_RxT, moving_R & (change_R >= tolerance)

  def goes_on(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
    return (state[0] < steps) & state[2].any()

  shape = (len(words_RxL), table_WxT.shape[1])
  filled_R = (counts_RxL > 0).any(1)
  start = jnp.zeros((), jnp.int32), jnp.ones(shape, jnp.float32), filled_R
  return jax.lax.while_loop(goes_on, step, start)[1]


@functools.partial(jax.jit, static_argnames=('steps', 'tolerance', 'mesh'))
def infer(
  table_WxT: jax.Array,
  words_RxL: jax.Array,
  counts_RxL: jax.Array,
  prior: jax.Array,
  *,
  steps: int,
  tolerance: float,
  mesh: Mesh,
) -> jax.Array:
  """Finds the documents' variational parameters (eq. 5, Algorithm 2's E step).

  A document stays as it is from the step on in which it moved less than the
  tolerance, whatever its neighbours do.

  Args:
    table_WxT: of `word_table`.
    words_RxL: word numbers, see `blocks.Block`.
    counts_RxL: how often.
    prior: alpha.
    steps: at most so many.
    tolerance: mean absolute change of gamma at which a document is done.
    mesh: rows are spread over its `data` axis, which must divide them.

  Returns:
    gamma, [R, T], rows spread as they came; ones where a row has no words.
  """
  one_device = jax.shard_map(
    functools.partial(_document_step, steps=steps, tolerance=tolerance),
    mesh=mesh,
    in_specs=(_WHOLE, _ROWS, _ROWS, _WHOLE),
    out_specs=_ROWS,
    check_vma=False,
  )
  found_RxT: jax.Array = one_device(table_WxT, words_RxL, counts_RxL, prior)
  return found_RxT


@functools.partial(jax.jit, donate_argnums=0)
def accumulate(
  sums_WxT: jax.Array,
  table_WxT: jax.Array,
  words_RxL: jax.Array,
  counts_RxL: jax.Array,
  documents_RxT: jax.Array,
  num_rows: jax.Array,
) -> jax.Array:
  """Adds documents' share in the sufficient statistics (eq. 5), in order.

  Args:
    sums_WxT: so far, without the factor exp(E[log beta]).
    table_WxT: of `word_table`.
    words_RxL: word numbers, none twice in a row.
    counts_RxL: how often.
    documents_RxT: gamma.
    num_rows: int32, how many of the rows are documents.

  Returns:
    The sums.
  """
  scaled_RxT = _scaled_topics(documents_RxT)

  def add(row: jax.Array, sums_WxT: jax.Array) -> jax.Array:
    words_L, scaled_T = words_RxL[row], scaled_RxT[row]
    likely_LxT = table_WxT.at[words_L].get(mode='clip')
    norm_L = (likely_LxT * scaled_T).sum(1)
    share_L = counts_RxL[row] / jnp.maximum(norm_L, _LEAST)
    return sums_WxT.at[words_L].add(
      share_L[:, None] * scaled_T, mode='drop', unique_indices=True
    )

  added_WxT: jax.Array = jax.lax.fori_loop(0, num_rows, add, sums_WxT)
  return added_WxT


@functools.partial(jax.jit, donate_argnums=0)
def update(
  topics_WxT: jax.Array,
  sums_WxT: jax.Array,
  table_WxT: jax.Array,
  *,
  rate: jax.Array,
  scale: jax.Array,
  prior: jax.Array,
) -> jax.Array:
  """Moves the topics towards those of a batch (eq. 5, Algorithm 2's M step).

  Args:
    topics_WxT: lambda.
    sums_WxT: of `accumulate`.
    table_WxT: of `word_table`, of the topics before.
    rate: rho, how far to move.
    scale: all documents / those of the batch.
    prior: eta.

  Returns:
    The new lambda.
  """
  of_batch = prior + scale * sums_WxT * table_WxT
  return (1 - rate) * topics_WxT + rate * of_batch


@jax.jit
def log_likelihoods(
  log_words_WxT: jax.Array,
  words_RxL: jax.Array,
  counts_RxL: jax.Array,
  log_documents_RxT: jax.Array,
) -> jax.Array:
  """Returns sum_l n_l log sum_t exp(log words + log documents), [R].

  Args:
    log_words_WxT: of words under topics.
    words_RxL: word numbers.
    counts_RxL: how often.
    log_documents_RxT: of topics in documents.
  """
  likely_RxLxT = log_words_WxT.at[words_RxL].get(mode='clip')
  log_RxL = special.logsumexp(likely_RxLxT + log_documents_RxT[:, None], -1)
  return jnp.where(counts_RxL > 0, counts_RxL * log_RxL, 0).sum(1)
