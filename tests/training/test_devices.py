"""One device and eight give the same losses, checkpoints and metrics."""

import dataclasses
import itertools
import json

import jax
import numpy as np
import pytest

from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.data import splits
from morning_jax.evaluation import encode as encode_lib
from morning_jax.evaluation import evaluate
from morning_jax.evaluation import evaluator
from morning_jax.evaluation import trained_model
from morning_jax.training import train
from tests import runs


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


def losses_of(c, workdir, steps) -> dict[str, np.ndarray]:
  """Runs some steps and returns every scalar of each."""
  run, state = runs.start(c, workdir)
  return runs.scalars(run, state, steps)


# TensorBoard has the loss of every step, and is compared by.
_STEP_BY_STEP = {'train__steps_per_call': 1}
VARIANTS = {
  'default': {'train__batch_size': 61},  # no number of devices divides it
  'triplets': {
    'loss__kind': 'triplet',
    'train__negatives': 3,
    'model__encoder': 'paper',
    'model__co_attention': 'paper',
    'model__image_widths': (64, 32),
    'model__text_widths': (16, 32),
    'model__attribute_widths': (64, 32),
    'model__hidden_dropout': 0.0,
    'model__layer_dropout': 0.5,
    'loss__l1': 0.001,
  },
}


@pytest.mark.parametrize(
  ('variant', 'steps'),
  runs.slow_but({('default', 10)}, itertools.product(VARIANTS, (10, 50))),
)
def test_steps_are_the_same_on_eight_devices(bundle, tmp_path, variant, steps):
  assert len(jax.devices()) == 8
  changes = VARIANTS[variant]
  one = losses_of(runs.config(bundle, **changes), tmp_path / '1', steps)
  eight = losses_of(
    runs.config(bundle, mesh__data=8, **changes), tmp_path / '8', steps
  )
  assert set(one) == set(eight)
  for name, values in one.items():
    assert values.shape == (steps,)
    scale = np.abs(values).max()
    gap = np.abs(eight[name] - values).max()
    bound = 1e-4 if name == 'gradient_norm' else 1e-5
    assert gap <= bound * scale, name
  # The losses move, so that equality says something.
  assert np.ptp(one['loss']) > 1e-3


@pytest.fixture(scope='module')
def on_one(bundle, tmp_path_factory):
  """A folder of training on one device."""
  workdir = tmp_path_factory.mktemp('one')
  train.train(runs.config(bundle, **_STEP_BY_STEP), workdir)
  return workdir


@pytest.mark.parametrize(
  ('data', 'model', 'fsdp'),
  runs.slow_but(
    {(4, 2, True)},
    [
      (4, 2, True),
      (1, 8, False),
      (8, 1, True),
      (4, 2, False),
      (8, 1, False),
      (2, 4, False),
      (2, 4, True),
      (1, 8, True),
      (1, 1, False),
    ],
  ),
)
def test_every_mesh_trains_and_evaluates_as_one_device_does(
  bundle, tmp_path, on_one, data, model, fsdp
):
  c = runs.config(
    bundle,
    mesh__data=data,
    mesh__model=model,
    mesh__fsdp=fsdp,
    **_STEP_BY_STEP,
  )
  outcome = train.train(c, tmp_path)
  want = runs.losses(on_one)
  assert len(want) == outcome.step >= 10
  here = runs.losses(tmp_path)
  assert here.keys() == want.keys()
  for step in range(1, 11):
    np.testing.assert_allclose(here[step], want[step], rtol=1e-5)
  assert_evaluates_the_same_elsewhere(outcome, tmp_path)


def test_fully_sharded_state_is_spread_over_all_devices(bundle, tmp_path):
  def largest_share(fsdp: bool) -> dict[str, float]:
    c = runs.config(bundle, mesh__data=4, mesh__model=2, mesh__fsdp=fsdp)
    _, state = runs.start(c, tmp_path / str(fsdp))
    return {
      jax.tree_util.keystr(path): max(
        s.data.size for s in leaf.addressable_shards
      )
      / leaf.size
      for path, leaf in jax.tree_util.tree_leaves_with_path(state)
      if leaf.ndim == 2
    }

  spread, plain = largest_share(True), largest_share(False)
  kernel = ".params['content']['image']['dense1']['kernel']"
  assert plain[kernel] == 1 / 2
  assert spread[kernel] == 1 / 8
  moments = [k for k in spread if k.endswith(kernel[len('.params') :])]
  assert len(moments) == 3  # the weights and Adam's two moments
  assert all(spread[k] == 1 / 8 for k in moments)


def assert_evaluates_the_same_elsewhere(outcome, tmp_path):
  # The evaluation takes all eight devices, or one.
  here = evaluate.evaluate(tmp_path, wanted_splits=('valid', 'test'))
  one = runs.launch(
    f'--workdir={tmp_path}',
    '--split=valid,test',
    f'--json={tmp_path}/one.json',
    module='evaluate',
  )
  assert one.returncode == 0, one.stderr
  there = json.loads((tmp_path / 'one.json').read_text())
  for split, metrics in outcome.metrics.items():
    for name in ('auc', 'cauc', 'map', 'mrr', 'recall@10', 'medr'):
      assert here[split][name] == pytest.approx(metrics[name], abs=1e-3)
      assert there[split][name] == pytest.approx(metrics[name], abs=1e-3)


@pytest.mark.slow
def test_a_run_goes_on_on_another_number_of_devices(bundle, tmp_path):
  changes = {
    # A rate that does not know how long the run will be.
    'optimizer__schedule': 'constant',
    # Sums over other devices differ in the last bits. Adam divides a gradient
    # by its own size plus epsilon, and would make steps of such noise.
    'optimizer__epsilon': 1e-4,
  }
  parts, straight = tmp_path / 'parts', tmp_path / 'straight'
  train.train(runs.config(bundle, mesh__data=8, **changes), parts)
  more = runs.config(bundle, mesh__data=2, train__epochs=5, **changes)
  outcome = train.train(more, parts)
  whole = train.train(runs.config(bundle, train__epochs=5, **changes), straight)
  assert outcome.step == whole.step
  want = runs.losses(straight)
  assert runs.losses(parts).keys() == want.keys()
  for step, loss in runs.losses(parts).items():
    np.testing.assert_allclose(loss, want[step], rtol=1e-5)
  ours, theirs = runs.final_arrays(parts), runs.final_arrays(straight)
  assert ours.keys() == theirs.keys()
  for path, array in theirs.items():
    np.testing.assert_allclose(
      ours[path], array, rtol=0, atol=1e-5, err_msg=path
    )


def test_scores_do_not_depend_on_the_batch_size(bundle, on_one):
  c = runs.config(bundle)
  trained = trained_model.restore(on_one)
  data = dataset_lib.assign_splits(dataset_lib.load(c.data), c)
  table = preprocessing.account_table(trained.spec, trained.fitted, data)
  split = splits.select(data, 'test')
  results = [
    evaluator.evaluate_split(
      encode_lib.Scorer(
        trained.model, table, trained.mesh, batch_size=batch_size
      ),
      trained.params,
      data,
      split,
      step=0,
    ).metrics
    for batch_size in (1, 24, 1000)
  ]
  # Nor on the order in which candidates are listed.
  order = np.random.default_rng(0).permutation(len(split.candidate_row_M))
  shuffled = dataclasses.replace(
    split,
    candidate_row_M=split.candidate_row_M[order],
    candidate_P=np.argsort(order)[split.candidate_P],
  )
  results.append(
    evaluator.evaluate_split(
      encode_lib.Scorer(trained.model, table, trained.mesh, batch_size=24),
      trained.params,
      data,
      shuffled,
      step=0,
    ).metrics
  )
  for other in results[1:]:
    assert other['auc'] == pytest.approx(results[0]['auc'], abs=1e-4)
    assert other['map'] == pytest.approx(results[0]['map'], abs=1e-4)
