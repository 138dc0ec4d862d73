"""Grid and ring over simulated devices against the one-device loss."""

import contextlib
import dataclasses
import itertools
import re
from typing import Any

import jax
from jax import numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
import numpy as np
import pytest

from morning_jax.core import sharding
from morning_jax.losses import grid_logsumexp
from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.losses import sharded
from tests import runs

MARGINS = {'content': 4.0, 'audience': 1.0, 'attribute': 2.0}
# Perspectives of different widths.
WIDTHS = {'content': 6, 'audience': 3, 'attribute': 8}
NUM_BRANDS, NUM_CANDIDATES = 12, 40
MESHES = [(8, 1), (4, 2), (2, 4), (1, 8)]
LAYOUTS = ['grid', 'ring']


@dataclasses.dataclass
class Batch:
  brand: dict[str, jax.Array]
  influencer: dict[str, jax.Array]
  lists: negative_sampling.PositiveLists
  brand_B: jax.Array
  candidate_B: jax.Array

  def rows(self, count: int) -> 'Batch':
    return Batch(
      {k: v[:count] for k, v in self.brand.items()},
      {k: v[:count] for k, v in self.influencer.items()},
      self.lists,
      self.brand_B[:count],
      self.candidate_B[:count],
    )


def make_batch(size: int, seed: int, scale: float = 1.0) -> Batch:
  """A batch with uneven positives and many duplicates in it."""
  rng = np.random.default_rng(seed)
  # From hardly any positive to almost all candidates.
  share_B = np.linspace(0.03, 0.9, NUM_BRANDS)
  positive = rng.random((NUM_BRANDS, NUM_CANDIDATES)) < share_B[:, None]
  positive[:, 0] = True
  brand_P, candidate_P = np.nonzero(positive)
  lists = negative_sampling.make_positive_lists(
    brand_P,
    candidate_P,
    num_brands=NUM_BRANDS,
    num_candidates=NUM_CANDIDATES,
  )
  # Every brand alike, and one influencer with several of them.
  brand_B = rng.integers(0, NUM_BRANDS, size)
  candidate_B = np.array(
    [rng.choice(np.flatnonzero(positive[b])) for b in brand_B]
  )
  candidate_B[:3] = candidate_B[size // 2] = 0

  def representations() -> dict[str, jax.Array]:
    return {
      k: jnp.asarray(scale * rng.normal(size=(size, w)), jnp.float32)
      for k, w in WIDTHS.items()
    }

  return Batch(
    representations(),
    representations(),
    jax.tree.map(jnp.asarray, lists),
    jnp.asarray(brand_B, jnp.int32),
    jnp.asarray(candidate_B, jnp.int32),
  )


def mixed(parts: pairwise.Parts) -> tuple[jax.Array, pairwise.Parts]:
  """Adds the parts up with different weights, so that none hides another."""
  weighted = [(1 + 0.3 * i) * parts[k] for i, k in enumerate(sorted(parts))]
  return sum(weighted, jnp.zeros(())), parts


def on_one_device(batch: Batch, **options: Any):
  start, listed, brand_B, candidate_B = map(
    np.asarray,
    (
      batch.lists.start,
      batch.lists.candidate_P,
      batch.brand_B,
      batch.candidate_B,
    ),
  )
  known = jnp.array(
    [np.isin(candidate_B, listed[start[b] : start[b + 1]]) for b in brand_B]
  )

  def loss(brand, influencer):
    scores = {k: brand[k] @ influencer[k].T for k in brand}
    return mixed(pairwise.all_pairs(scores, known, margins=MARGINS, **options))

  return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(
    batch.brand, batch.influencer
  )


def lower(batch: Batch, mesh, **options: Any) -> jax.stages.Lowered:
  axes = sharded.axes_of(mesh)
  assert axes

  def loss(brand, influencer):
    parts = sharded.all_pairs_sharded(
      brand,
      influencer,
      batch.lists,
      batch.brand_B,
      batch.candidate_B,
      axes=axes,
      margins=MARGINS,
      **options,
    )
    return mixed(parts)

  with jax.set_mesh(mesh):
    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True)).lower(
      batch.brand, batch.influencer
    )


def on_devices(batch: Batch, mesh, **options: Any):
  compiled = lower(batch, mesh, **options).compile()
  return compiled(batch.brand, batch.influencer)


def assert_equal(ours: Any, want: Any, bound: float = 1e-5) -> None:
  (_, our_parts), our_grads = ours
  (_, want_parts), want_grads = want
  assert set(our_parts) == set(want_parts)
  for name, value in want_parts.items():
    assert np.isfinite(value)
    np.testing.assert_allclose(our_parts[name], value, rtol=bound, err_msg=name)
  for mine, theirs in zip(our_grads, want_grads, strict=True):
    for name, grad in theirs.items():
      scale = np.abs(grad).max()
      assert scale > 1e-4
      np.testing.assert_allclose(
        mine[name], grad, atol=bound * scale, rtol=0, err_msg=name
      )


@pytest.mark.parametrize(
  'layout, data, model, hinge_weight',
  [
    ('grid', 4, 2, 0.7),
    ('ring', 8, 1, 0.0),
    pytest.param('grid', 8, 1, 0.0, marks=pytest.mark.slow),
    *(
      pytest.param(layout, *m, 0.7, marks=pytest.mark.slow)
      for layout in LAYOUTS
      for m in MESHES
    ),
  ],
)
def test_losses_and_gradients_equal_one_device(
  layout, data, model, hinge_weight
):
  batch = make_batch(48, seed=data)
  options = {
    'hinge_weight': hinge_weight,
    'temperature': 0.5,
    'category_B': batch.brand_B % 4 - 1,  # one in four is unknown
    'category_weight': 0.6 if hinge_weight else 0.0,
  }
  mesh = sharding.make_mesh(data=data, model=model)
  assert_equal(
    on_devices(batch, mesh, layout=layout, **options),
    on_one_device(batch, **options),
  )


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('size', runs.slow_but({41}, [6, 41, 47]))
def test_a_batch_that_devices_do_not_divide(size, layout):
  batch = make_batch(48, seed=2).rows(size)
  options = {
    'hinge_weight': 0.7,
    'temperature': 0.5,
    'category_B': batch.brand_B % 4 - 1,
    'category_weight': 0.6,
  }
  mesh = sharding.make_mesh(data=4, model=2)
  assert_equal(
    on_devices(batch, mesh, layout=layout, **options),
    on_one_device(batch, **options),
  )


@pytest.mark.parametrize(
  ('scale', 'layout'),
  runs.slow_but(
    {(1e-3, 'ring'), (6.0, 'grid')}, itertools.product([1e-3, 6.0], LAYOUTS)
  ),
)
def test_small_and_large_scores(scale, layout):
  batch = make_batch(16, seed=5, scale=scale)
  options = {'hinge_weight': 1.0, 'temperature': 1.0}
  mesh = sharding.make_mesh(data=8, model=1)
  # Scores of several hundreds have rounding errors above 1e-5 themselves.
  assert_equal(
    on_devices(batch, mesh, layout=layout, **options),
    on_one_device(batch, **options),
    bound=1e-5 if scale < 1 else 1e-4,
  )


@pytest.mark.parametrize(
  ('count', 'layout'),
  runs.slow_but(
    {(1, 'ring'), (17, 'grid')}, itertools.product([1, 17], LAYOUTS)
  ),
)
def test_a_padded_tail_changes_nothing(count, layout):
  batch = make_batch(24, seed=2)
  options = {'hinge_weight': 0.7, 'temperature': 2.0, 'category_weight': 0.6}
  category_B = batch.brand_B % 3 - 1
  mesh = sharding.make_mesh(data=8, model=1)
  ours = on_devices(
    batch,
    mesh,
    valid_B=jnp.arange(24) < count,
    category_B=category_B,
    layout=layout,
    **options,
  )
  (value, parts), grads = ours
  for side in grads:
    for grad in side.values():
      assert not np.any(np.asarray(grad)[count:])
  head = jax.tree.map(lambda g: g[:count], grads)
  if count == 1:  # no rival and no negative: the loss is 0
    assert float(value) == pytest.approx(0, abs=1e-6)
    return
  want = on_one_device(
    batch.rows(count), category_B=category_B[:count], **options
  )
  assert_equal(((value, parts), head), want)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_a_known_positive_on_another_device_gets_no_push(layout):
  # Eight pairs, one a device; brand 0 knows the influencer of device 5.
  lists = negative_sampling.make_positive_lists(
    np.array([*range(8), 0]),
    np.array([*range(8), 5]),
    num_brands=8,
    num_candidates=8,
  )
  one = jnp.eye(8)
  batch = Batch(
    {'content': one},
    {'content': jnp.zeros((8, 8))},
    jax.tree.map(jnp.asarray, lists),
    jnp.arange(8),
    jnp.arange(8),
  )
  mesh = sharding.make_mesh(data=8, model=1)
  _, (_, grads) = on_devices(
    batch, mesh, layout=layout, hinge_weight=1.0, temperature=1.0
  )
  # Influencer j is pushed away from brand i by grads[j, i] > 0.
  push = np.asarray(grads['content'])
  assert push[5, 0] == 0
  assert push[4, 0] > 0
  assert push[0, 5] > 0


@pytest.mark.slow
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('unroll', [3])
def test_unrolling_changes_nothing(unroll, layout, monkeypatch):
  monkeypatch.setattr(grid_logsumexp, '_CHUNK', 8)  # 8 x 1 of 8 x 4 scores
  batch = make_batch(16, seed=3)
  options = {'hinge_weight': 0.7, 'temperature': 0.5}
  mesh = sharding.make_mesh(data=8, model=1)
  assert_equal(
    on_devices(batch, mesh, unroll=unroll, layout=layout, **options),
    on_one_device(batch, **options),
  )


@pytest.mark.slow
@pytest.mark.parametrize('layout', LAYOUTS)
def test_bfloat16_rounds_factors_and_nothing_else(layout):
  batch = make_batch(32, seed=4)
  options = {'hinge_weight': 0.7, 'temperature': 1.0}
  mesh = sharding.make_mesh(data=8, model=1)
  ours = on_devices(batch, mesh, dtype=jnp.bfloat16, layout=layout, **options)
  exact = on_one_device(batch, **options)
  rounded = dataclasses.replace(
    batch,
    brand=jax.tree.map(round_, batch.brand),
    influencer=jax.tree.map(round_, batch.influencer),
  )
  want = on_one_device(rounded, **options)
  for name, value in want[0][1].items():
    assert float(ours[0][1][name]) == pytest.approx(float(value), rel=1e-5)
  # The gradient of a score is rounded too, where it is a factor.
  assert_equal(ours, want, bound=5e-3)
  assert all(g.dtype == jnp.float32 for g in jax.tree.leaves(ours[1]))
  # Representations travel rounded, and block products take them so.
  text = lower(
    batch, mesh, dtype=jnp.bfloat16, layout=layout, **options
  ).as_text()
  travels = {'ring': 'collective_permute', 'grid': 'all_gather'}[layout]
  assert re.search(rf'{travels}.*xbf16', text)
  assert re.search(r'dot_general.*bf16>.*bf16>.*f32>', text)
  # It does round.
  assert any(
    abs(float(v) - float(ours[0][1][k])) > 1e-5 for k, v in exact[0][1].items()
  )


def round_(x: jax.Array) -> jax.Array:
  return x.astype(jnp.bfloat16).astype(jnp.float32)


def temporaries(size: int, devices: int) -> int:
  """Bytes a device needs beside arguments and results, as compiled."""
  mesh = sharding.make_mesh(data=devices, model=1)
  batch = make_batch(16, seed=0)

  def abstract(x: jax.Array, spec: PartitionSpec) -> jax.ShapeDtypeStruct:
    shape = (size, *x.shape[1:]) if spec else x.shape
    return jax.ShapeDtypeStruct(
      shape, x.dtype, sharding=NamedSharding(mesh, spec)
    )

  def loss(brand, influencer, lists, brand_B, candidate_B):
    return pairwise.total(
      sharded.all_pairs_sharded(
        brand,
        influencer,
        lists,
        brand_B,
        candidate_B,
        axes=('data',),
        margins=MARGINS,
        hinge_weight=0.7,
        temperature=1.0,
        category_B=brand_B % 3,
        category_weight=0.5,
        layout='ring',
        mesh=mesh,
      )
    )

  rows = PartitionSpec('data')
  args = (
    *jax.tree.map(lambda x: abstract(x, rows), (batch.brand, batch.influencer)),
    jax.tree.map(lambda x: abstract(x, PartitionSpec()), batch.lists),
    abstract(batch.brand_B, rows),
    abstract(batch.candidate_B, rows),
  )
  compiled = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(*args).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def test_compiled_memory_grows_with_the_square_of_batch_over_devices():
  found = {
    (size, devices): temporaries(size, devices)
    for size, devices in ((4096, 8), (2048, 8), (4096, 4))
  }
  for (size, devices), temporary in found.items():
    block = 4 * (size // devices) ** 2
    # Scores, hinges and gradients of three perspectives, logits and masks of
    # one block; to keep every block of a device's rows takes n of each.
    assert temporary < 12 * block, (size, devices)
  # Half the batch: a quarter of the memory. Half the devices: four times.
  ratio = found[4096, 8] / found[2048, 8]
  assert ratio == pytest.approx(4, rel=0.05)
  ratio = found[4096, 4] / found[4096, 8]
  assert ratio == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
  'shape, axes',
  [
    ((8, 1), ('data', 'model')),
    ((4, 2), ('data', 'model')),
    ((1, 8), ('data', 'model')),
    ((1, 1), ()),
  ],
)
def test_which_devices_take_part(shape, axes):
  mesh = sharding.make_mesh(data=shape[0], model=shape[1])
  assert sharded.axes_of(mesh) == axes


def test_the_grid_where_a_device_can_hold_what_it_gathers():
  # The pod recipe: 2 x 4,096 representations of 3,754 in bfloat16.
  assert sharded.choose('auto', 256, 65_536, 3754, jnp.bfloat16) == 'grid'
  assert sharded.choose('auto', 256, 1 << 20, 3754, jnp.bfloat16) == 'ring'
  assert sharded.choose('ring', 256, 16, 4) == 'ring'
  assert sharded.choose('grid', 256, 1 << 30, 4096) == 'grid'


@pytest.mark.parametrize(
  ('devices', 'shape'), [(1, (1, 1)), (7, (1, 7)), (8, (2, 4)), (256, (16, 16))]
)
def test_a_grid_is_as_square_as_it_can_be(devices, shape):
  grid = sharded.grid_of(('data',), devices)
  assert (grid.height, grid.width) == shape
  assert sorted(np.ravel(grid.rows)) == list(range(devices))
  # Any row and any column share one device.
  for row in grid.rows:
    for column in grid.columns:
      assert len(set(row) & set(column)) == 1


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@contextlib.contextmanager
def training(bundle, workdir, **changes):
  """A run at its first step: (run, state), under its mesh."""
  c = runs.config(bundle, loss__hinge_weight=0.1, **changes)
  run, state = runs.start(c, workdir)
  with jax.set_mesh(run.mesh):
    yield run, state


def training_losses(bundle, workdir, steps, **changes):
  with training(bundle, workdir, **changes) as (run, state):
    return runs.scalars(run, state, steps)


def layout_of(bundle, workdir, **changes):
  """Which exchange a run's program has: of a grid's sums, or around a ring."""
  with training(bundle, workdir, **changes) as (run, state):
    lowered = run.run_steps.lower(state, run.data, runs.inputs(run, 1))
    text = lowered.as_text()
  marks = {'grid': 'reduce_scatter', 'ring': 'collective_permute'}
  return [name for name, mark in marks.items() if mark in text]


# tests/training/test_devices.py takes a few steps beside the other tests.
@pytest.mark.slow
@pytest.mark.parametrize(
  'data, model, batch_size, steps',
  [
    (2, 4, 61, 50),  # no number of devices divides the batch
    *((*mesh, 64, 50) for mesh in MESHES),
  ],
)
def test_steps_of_training_equal_one_device(
  bundle, tmp_path, data, model, batch_size, steps
):
  size = {'train__batch_size': batch_size}
  one = training_losses(bundle, tmp_path / 'one', steps, **size)
  several = training_losses(
    bundle,
    tmp_path / 'several',
    steps,
    mesh__data=data,
    mesh__model=model,
    **size,
  )
  assert np.ptp(one['loss']) > 1e-3  # it moves
  for name, values in one.items():
    if name != 'gradient_norm':
      np.testing.assert_allclose(
        several[name], values, atol=1e-5 * np.abs(values).max(), rtol=0
      )


@pytest.mark.slow
def test_training_shares_the_loss_of_any_batch_and_mesh(bundle, tmp_path):
  run = tmp_path / 'run'
  assert layout_of(bundle, run, mesh__data=1, mesh__model=8) == ['grid']
  assert layout_of(bundle, run, mesh__data=8, train__batch_size=60) == ['grid']
  assert layout_of(bundle, run, mesh__data=8, loss__sharding='none') == []
  assert layout_of(bundle, run, mesh__data=1) == []


def test_training_shares_the_loss_where_there_are_devices(bundle, tmp_path):
  run = tmp_path / 'run'
  assert layout_of(bundle, run, mesh__data=8) == ['grid']
  assert layout_of(bundle, run, mesh__data=8, loss__sharding='ring') == ['ring']
