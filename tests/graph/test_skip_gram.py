"""Skip-gram against a slow reading."""

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.graph import skip_gram


def test_the_loss_is_the_sum_over_pairs_of_a_window():
  rng = np.random.default_rng(0)
  params = {
    'centre': rng.normal(size=(6, 3)),
    'context': rng.normal(size=(6, 3)),
  }
  paths = np.array([[0, 1, 2, 1, 5], [3, -1, -1, -1, -1]])
  noise = np.array([4, 0, 5, 5])
  window, negatives = 3, 5

  def cost(x):
    return np.log1p(np.exp(-x))

  total = 0.0
  for i in range(5):
    for j in range(5):
      # Of the windows 1, 2, 3, drawn evenly, those that reach |i - j|.
      reach = sum(abs(i - j) <= w for w in (1, 2, 3)) / 3
      if i == j:
        continue
      centre = params['centre'][paths[0, i]]
      far = [cost(-centre @ params['context'][n]) for n in noise]
      near = cost(centre @ params['context'][paths[0, j]])
      total += reach * (near + negatives * np.mean(far))
  loss = skip_gram.skip_gram_loss(
    jax.tree.map(jnp.float32, params),
    jnp.asarray(paths),
    jnp.asarray(noise),
    weight=jnp.asarray(skip_gram.pair_weights(5, window)),
    negatives=negatives,
  )
  np.testing.assert_allclose(loss, total / 6, rtol=1e-5)


def test_noise_follows_how_often_nodes_occur(monkeypatch):
  """Counts to the power of 0.75, as word2vec has it."""
  seen = []
  loss = skip_gram.skip_gram_loss

  def recorded(params, paths, noise, **options):
    jax.debug.callback(lambda n: seen.append(np.asarray(n)), noise)
    return loss(params, paths, noise, **options)

  monkeypatch.setattr(skip_gram, 'skip_gram_loss', recorded)
  # Node 0 occurs 16 times as often as node 1, node 2 never.
  paths = np.zeros((17, 8), np.int32)
  paths[0] = 1
  skip_gram.train_skip_gram(
    paths,
    3,
    options=skip_gram.SkipGram(
      dimensions=2, window=2, epochs=20, noise_nodes=500, walks_per_step=17
    ),
    seed=0,
  )
  jax.effects_barrier()
  count = np.bincount(np.concatenate(seen), minlength=3)
  assert count.sum() == 20 * 500
  assert count[2] == 0
  np.testing.assert_allclose(count[0] / count[1], 16**0.75, rtol=0.1)
