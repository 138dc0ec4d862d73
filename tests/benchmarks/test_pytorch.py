"""The model and its loss in PyTorch."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.benchmarks import workload
from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.training import loss_fn
from tests.benchmarks import quick


def without_dropout(variant):
  config = workload.recipe(variant, quick=True)
  config.model.layer_dropout = config.model.hidden_dropout = 0.0
  config.train.batch_size = 64
  return config


@quick.needs_torch
@pytest.mark.parametrize('variant', ['paper', ''])
def test_pytorch_computes_the_same_loss_and_gradient(variant, small):
  from morning_jax.benchmarks import pytorch

  config = without_dropout(variant)
  work = workload.prepare(config, small)
  # Not the start alone, where some parameters are zero.
  key = jax.random.key(7)
  params = jax.tree.map(
    lambda x: (
      x + 0.1 * jax.random.normal(jax.random.fold_in(key, x.size), x.shape)
    ),
    work.state.params,
  )
  work.state = work.state.replace(params=params)
  positives = jnp.arange(64) * 3
  loss = loss_fn.of_positives(config, loss_fn.make_loss(config))
  value, grads = jax.value_and_grad(
    lambda p: pairwise.total(loss(work.model, p, work.data, positives, key))
  )(params)
  drawn = None
  trainer = pytorch.Trainer(work)
  if variant == 'paper':
    negative_key, _ = jax.random.split(key)
    drawn = negative_sampling.draw(
      negative_key, work.data.lists, work.data.brand_P[positives], count=1
    )
    drawn = pytorch.torch.tensor(np.asarray(drawn)[:, 0]).long()
  theirs = trainer.loss(pytorch.torch.tensor(np.asarray(positives)), drawn)
  assert float(theirs.detach()) == pytest.approx(float(value), rel=1e-4)
  theirs.backward()
  image = trainer.model.towers['content']['image']
  np.testing.assert_allclose(
    image.mlp.layers[0].weight.grad.numpy().T,
    grads['content']['image']['dense0']['kernel'],
    rtol=1e-3,
    atol=1e-5,
  )
  np.testing.assert_allclose(
    image.missing.grad.numpy(),
    grads['content']['image']['missing'],
    rtol=1e-3,
    atol=1e-5,
  )


@quick.needs_torch
def test_pytorch_draws_no_positives(small):
  from morning_jax.benchmarks import pytorch

  trainer = pytorch.Trainer(
    workload.prepare(workload.recipe('paper', quick=True), small)
  )
  for _ in range(20):
    drawn = trainer.draw(trainer.brand_P)
    assert not trainer.known_BxM[trainer.brand_P, drawn].any()
  # All others are drawn sooner or later: here, all that are not known.
  brand = trainer.brand_P[:1].repeat(20_000)
  rest = int(trainer.num_rest_B[brand[0]])
  assert len(set(trainer.draw(brand).tolist())) == rest
