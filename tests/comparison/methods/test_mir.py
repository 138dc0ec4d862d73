"""MIR: its loss by hand."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.comparison.methods import mir


def test_k_buckets_against_its_definition():
  rng = np.random.default_rng(0)
  score = rng.normal(size=(5, 9)).astype(np.float32)
  bucket = rng.integers(-1, 3, size=(5, 9))
  bucket[0] = [0, -1, -1, 1, 1, 1, 1, -1, -1]  # no lowest bucket
  bucket[1] = [0, 0, 2, 2, 2, 2, 2, 2, 2]  # no middle one
  expected = 0.0
  for k, weight in enumerate((1.0, 0.3)):
    terms = []
    for row, places in zip(score.astype(float), bucket, strict=True):
      lower = [np.exp(s) for s, p in zip(row, places, strict=True) if p > k]
      for s, p in zip(row, places, strict=True):
        if p == k:
          terms.append(-np.log(np.exp(s) / (np.exp(s) + sum(lower))))
    expected += weight * np.mean(terms)
  weights = (1.0, 0.3)
  value, gradient = jax.value_and_grad(mir.k_buckets)(
    jnp.asarray(score), jnp.asarray(bucket), weights=weights
  )
  assert float(value) == pytest.approx(expected, rel=1e-5)
  assert np.isfinite(gradient).all()
  assert not np.asarray(gradient)[bucket == -1].any()


def test_k_buckets_of_empty_buckets_is_zero():
  score, bucket = jnp.ones((2, 3)), jnp.full((2, 3), 2)
  assert float(mir.k_buckets(score, bucket, weights=(1.0, 0.3))) == 0.0
