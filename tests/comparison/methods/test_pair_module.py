"""Draws from sets."""

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.comparison.methods import pair_module


def test_draws_are_uniform_over_what_is_allowed():
  allowed = jnp.array([[False, True, False, True, True, False], [False] * 6])
  columns, some = pair_module.draw(jax.random.key(0), allowed, count=6000)
  assert some.tolist() == [True, False]
  count = np.bincount(columns[0], minlength=6)
  assert count[[0, 2, 5]].tolist() == [0, 0, 0]
  assert (np.abs(count[[1, 3, 4]] - 2000) < 200).all()
