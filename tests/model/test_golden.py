"""The `release` preset reproduces the authors' own program."""

import functools

import flax.linen as nn
import flax.traverse_util
import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.data.released import weights
from morning_jax.losses import pairwise
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import step as step_lib
from tests import golden_numbers as golden
from tests import parameters


@pytest.fixture(scope='module')
def numbers():
  with np.load(golden.FILE, allow_pickle=False) as archive:
    return {k: archive[k] for k in archive.files}


@pytest.fixture(scope='module')
def model(numbers):
  return golden.build(numbers)


def close(actual, expected, tolerance, name):
  """Compares to a share of the largest expected entry."""
  gap = np.max(np.abs(np.asarray(actual, np.float64) - expected))
  scale = np.max(np.abs(expected))
  assert gap <= tolerance * scale, (name, gap, scale)


def by_role(tree):
  return flax.traverse_util.flatten_dict(tree, sep='/')


def test_roles_stand_in_the_order_of_the_variables(numbers):
  assert list(weights.ROLES) == numbers['variable_order'].tolist()


@pytest.fixture(scope='module')
def scores_and_parts(model):
  """Both from one compiled program, whatever the batch is."""

  def run(params, batch):
    scores = golden.scores(model, params, batch)
    return scores, golden.parts(model, params, batch)

  return jax.jit(run)


@pytest.mark.parametrize('batch', [0, 1, 2])
def test_scores_and_loss_parts(numbers, scores_and_parts, batch):
  scores, parts = scores_and_parts(
    golden.params(numbers), golden.batch_of(numbers, batch)
  )
  for k, score in scores.items():
    close(score, numbers[f'batch{batch}/score/{k}'], 1e-5, k)
  total = numbers[f'batch{batch}/score/global']
  close(pairwise.join(scores), total, 1e-5, 'global')
  assert set(parts) == set(golden.PART_NAMES)
  for k, theirs in golden.PART_NAMES.items():
    expected = numbers[f'batch{batch}/loss/{theirs}']
    np.testing.assert_allclose(parts[k], expected, rtol=1e-5, err_msg=k)
  np.testing.assert_allclose(
    pairwise.total(parts), numbers[f'batch{batch}/loss/total'], rtol=1e-5
  )


@pytest.mark.parametrize('role', ['brand', 'influencer'])
def test_representations(numbers, model, role):
  params = golden.params(numbers)
  encode = functools.partial(model.apply, role=role, method='encode')
  encoded = jax.jit(encode)({'params': params}, golden.table(numbers, 0, role))
  for k in ('content', 'audience'):
    close(encoded[k], numbers[f'batch0/repr/post/{k}_{role}'], 1e-5, k)
  close(
    encoded['attribute'], numbers[f'batch0/repr/attribute/{role}'], 1e-5, 'a'
  )


def test_gradients(numbers, model):
  batch = golden.batch_of(numbers, 0)
  grad = jax.jit(
    jax.grad(lambda p: pairwise.total(golden.parts(model, p, batch)))
  )
  grads = by_role(grad(golden.params(numbers)))
  for role in weights.ROLES:
    close(grads[role], numbers[f'batch0/grad/{role}'], 1e-4, role)


def test_gradient_norm_of_each_part(numbers, model):
  params = golden.params(numbers)
  batch = golden.batch_of(numbers, 0)
  jacobian = jax.jit(jax.jacrev(lambda p: golden.parts(model, p, batch)))(
    params
  )
  for k, theirs in golden.PART_NAMES.items():
    grads = by_role(jacobian[k])
    norms = np.array([np.linalg.norm(grads[r]) for r in weights.ROLES])
    close(norms, numbers[f'batch0/gradnorm_part/{theirs}'], 1e-4, k)


def test_six_steps_of_adam(numbers, model):
  config = golden.release_config()
  schedule = optimizer_lib.make_schedule(
    config.optimizer, steps_per_epoch=211, num_steps=21_100
  )
  optimizer = optimizer_lib.make_optimizer(config.optimizer)
  params = golden.params(numbers)
  state = step_lib.TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    opt_state=optimizer.init(params),
  )

  @jax.jit
  def update(state, batch):
    return step_lib.update(
      lambda p: golden.parts(model, p, batch),
      optimizer,
      state,
      learning_rate=schedule(state.step),
    )

  for i, batch in enumerate([0, 1, 2, 0, 1, 2]):
    state, scalars = update(state, golden.batch_of(numbers, batch))
    np.testing.assert_allclose(
      scalars['loss'], numbers['train/loss'][i], rtol=1e-5
    )
    if i == 0:
      after = by_role(state.params)
      for role in weights.ROLES:
        close(after[role], numbers[f'train/after1/{role}'], 1e-4, role)
  final = by_role(state.params)
  adam = state.opt_state
  for role in weights.ROLES:
    close(final[role], numbers[f'train/final/{role}'], 1e-4, role)
    for slot, ours in (('m', adam.mu), ('v', adam.nu)):
      close(
        by_role(ours)[role], numbers[f'train/adam_{slot}/{role}'], 1e-4, role
      )
  # Vectors that the original doesn't have stay at zero.
  for path, leaf in final.items():
    if path.endswith('missing'):
      assert not np.any(leaf)


def test_learning_rate_is_a_staircase(numbers):
  schedule = optimizer_lib.make_schedule(
    golden.release_config().optimizer, steps_per_epoch=211, num_steps=21_100
  )
  steps = numbers['lr_schedule/global_step']
  ours = [float(schedule(int(s))) for s in steps]
  np.testing.assert_allclose(ours, numbers['lr_schedule/lr'], rtol=1e-5)


def test_dropped_weights(numbers, model, monkeypatch):
  """With the original's masks, a training pass gives its numbers."""
  prefix = 'dropout/mask/'
  masks = [v for k, v in numbers.items() if k.startswith(prefix)]
  # The four masks come in two pairs of one shape: tell them by the module.
  names = {
    tuple(k.removeprefix(prefix).split('/')[:2]): v
    for k, v in numbers.items()
    if k.startswith(prefix)
  }
  assert len(names) == len(masks) == 4
  asked = []

  def with_masks(next_call, args, kwargs, context):
    path = context.module.path
    if path[-1:] == ('dense0',) and path[:2] in names:
      asked.append(path)
      with monkeypatch.context() as patch:
        patch.setattr(
          jax.random, 'bernoulli', lambda key, p, shape: names[path[:2]]
        )
        return next_call(*args, **kwargs)
    return next_call(*args, **kwargs)

  @jax.jit
  @functools.partial(jax.value_and_grad, has_aux=True)
  def loss(p):
    with nn.intercept_methods(with_masks):
      parts = golden.parts(
        model,
        p,
        golden.batch_of(numbers, 0),
        train=True,
        rngs={'dropout': jax.random.key(0)},
      )
    return pairwise.total(parts), parts

  (_, ours), grads = loss(golden.params(numbers))
  # One mask a step serves brands and influencers alike.
  assert len(asked) == 4
  for k, theirs in golden.PART_NAMES.items():
    expected = numbers[f'dropout/loss/{theirs}']
    np.testing.assert_allclose(ours[k], expected, rtol=1e-5, err_msg=k)
  for role in weights.ROLES:
    close(by_role(grads)[role], numbers[f'dropout/grad/{role}'], 1e-4, role)


# An exact tie at the margin divides by 1e-16 in the original.
_NO_PARITY = 'tie_at_margin_only'


def _cases():
  with np.load(golden.FILE, allow_pickle=False) as archive:
    return archive['edge/case_names'].tolist()


@pytest.mark.parametrize('case', _cases())
def test_edge_cases_of_the_losses(numbers, case):
  def parts(scores_3xR):
    names = ('content', 'audience', 'attribute')
    return golden.parts_of_scores(dict(zip(names, scores_3xR, strict=True)))

  scores = jnp.asarray(numbers[f'edge/{case}/scores'])
  ours = parts(scores)
  for k, theirs in golden.PART_NAMES.items():
    if k != 'l1':
      np.testing.assert_allclose(
        ours[k],
        numbers[f'edge/{case}/loss/{theirs}'],
        rtol=1e-5,
        atol=1e-7,
        err_msg=k,
      )
  if case != _NO_PARITY and 'tie' not in case:
    grads = jax.grad(lambda s: pairwise.total(parts(s)))(scores)
    close(grads, numbers[f'edge/{case}/grad_scores'], 1e-4, case)


def test_weights_that_do_not_fit_are_all_listed(numbers):
  model = golden.build(numbers)
  brands = golden.table(numbers, 0, 'brand')
  like = parameters.shapes(model, brands, brands)
  arrays = {r: numbers[f'param/{r}'] for r in weights.ROLES}
  del arrays['attribute/dense0/bias']
  arrays['attribute/dense1/kernel'] = np.zeros((3, 4), np.float32)
  arrays['stray'] = np.zeros(1, np.float32)
  with pytest.raises(errors.UserError) as e:
    weights.params_from_roles(arrays, like)
  for text in (
    'attribute/dense0/bias is missing',
    'stray is not in the model',
    'attribute/dense1/kernel has shape (3, 4), the model (40, 32)',
  ):
    assert text in str(e.value)


def test_numbered_variables_are_taken_in_their_order(numbers, tmp_path):
  path = tmp_path / 'weights.npz'
  order = numbers['variable_order'].tolist()
  np.savez(path, **{str(i): numbers[f'param/{r}'] for i, r in enumerate(order)})
  arrays = weights.read_weights(path)
  assert list(arrays) == order
  np.testing.assert_array_equal(
    arrays['content/image/dense2/bias'],
    numbers['param/content/image/dense2/bias'],
  )


def test_pickled_weights_are_refused(tmp_path):
  path = tmp_path / 'weights.npz'
  np.savez(path, a=np.array([{}], object))
  with pytest.raises(errors.UserError, match='plain arrays'):
    weights.read_weights(path)
