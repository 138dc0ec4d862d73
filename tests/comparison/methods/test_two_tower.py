"""Two towers: their loss by hand."""

from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.comparison.methods import two_tower


def test_log_likelihood_correction_by_hand():
  # Influencers are drawn with likelihoods 1/2, 1/4, 1/4. Corrected logits of
  # row 0: log 2, log 4, (known, out): -log(2 / (2 + 4)) = log 3. Row 1: log 2,
  # 1 + log 4, log 4: log(2 + 4e + 4) - log 4e. Row 2 as row 1, with the 1 at
  # the end.
  score = jnp.array([[0.0, 0.0, 5.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
  known = jnp.array(
    [[True, False, True], [False, True, False], [False, False, True]]
  )
  loss = two_tower.sampled_softmax(
    score, known, jnp.log(jnp.array([0.5, 0.25, 0.25]))
  )
  other = np.log(6 + 4 * np.e) - np.log(4 * np.e)
  assert float(loss) == pytest.approx((np.log(3) + 2 * other) / 3, rel=1e-6)
