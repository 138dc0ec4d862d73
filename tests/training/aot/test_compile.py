"""Compiling for TPUs that are not there, and reading the compiled text."""

import dataclasses
import importlib.util
import json
import re

import jax
import numpy as np
import pytest

from configs import morning as config_lib
from morning_jax.core import errors
from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.graph import attribute_graph
from morning_jax.training.aot import compile as compile_lib
from morning_jax.training.aot import hlo
from morning_jax.training.aot import input_shapes
from morning_jax.training.aot import lowering
from morning_jax.training.aot import report as report_lib
from morning_jax.training.aot import topology
from tests import runs

needs_libtpu = pytest.mark.skipif(
  importlib.util.find_spec('libtpu') is None, reason='libtpu is not installed'
)

TEXT = """HloModule step

%condition.1 (p: (s32[], f32[8])) -> pred[] {
  %bound = s32[]{:T(128)} constant(16)
  ROOT %lt = pred[] compare(%i, %bound), direction=LT
}

%body.1 (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %send = (bf16[4,8]{1,0}, bf16[4,8]{1,0}, u32[], u32[]) \
collective-permute-start(%x), channel_id=1, source_target_pairs={{0,1},{1,0}}
  %got = bf16[4,8]{1,0} collective-permute-done(%send)
}

%piece.1 (p: f32[2]) -> f32[8] {
  %ag.1 = f32[8]{0:T(8)S(1)} all-gather(%p), channel_id=5, \
replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_0'}, \
frontend_attributes={chain_id="0"}
}

%piece.2 (p: f32[2]) -> f32[8] {
  %ag.2 = f32[8]{0} all-gather(%p), channel_id=5, \
replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_0'}, \
frontend_attributes={chain_id="0"}
}

ENTRY %main (p: f32[8]) -> f32[8] {
  %w = (s32[], f32[8]) while(%t), condition=%condition.1, body=%body.1
  %ar = (f32[10]{0}, pred[3]{0}) all-reduce(%a, %b), channel_id=2, \
replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%add
  %rs = f32[5]{0} reduce-scatter(%a), replica_groups=[2,4]<=[8], to_apply=%add
}
"""


def test_collectives_are_read_from_the_text():
  found = hlo.collectives(TEXT, num_devices=8)
  by_kind = {c.kind: c for c in found}
  assert len(found) == 4  # the gather in two pieces is one
  permute = by_kind['collective-permute']
  assert (permute.bytes, permute.times, permute.shapes) == (64, 16, 'bf16[4,8]')
  assert permute.bytes_sent == 64 * 16
  gather = by_kind['all-gather']
  assert (gather.bytes, gather.devices, gather.times) == (32, 4, 1)
  assert gather.bytes_sent == 24
  reduce = by_kind['all-reduce']
  assert (reduce.bytes, reduce.devices) == (43, 4)
  assert reduce.bytes_sent == pytest.approx(2 * 43 * 3 / 4)
  scatter = by_kind['reduce-scatter']
  assert (scatter.devices, scatter.bytes_sent) == (4, 60)


@pytest.mark.parametrize('name', ['v5e', 'v5e:4xx4', 'a100:2x2', 'v5e:3x3'])
def test_an_unknown_topology_is_one_line(name):
  if name == 'v5e:3x3':
    pytest.importorskip('libtpu')
  with pytest.raises(errors.UserError, match='--topology') as e:
    topology.describe(name)
  assert '\n' not in str(e.value)


@pytest.mark.parametrize(
  ('name', 'extra'), [('v5e:4x4', 'tpu'), ('h100:8', 'gpu')]
)
def test_without_the_compiler_it_says_what_to_install(monkeypatch, name, extra):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(errors.UserError, match=rf'morning_jax\[{extra}\]'):
    topology.describe(name)


@pytest.mark.parametrize(
  'name', ['h100', 'h100:', 'h100:9', 'h100:0', 'h100:²']
)
def test_gpus_are_those_of_one_host(name):
  with pytest.raises(errors.UserError, match=r'1 to 8, as in h100:8'):
    topology.describe(name)


@pytest.mark.slow
def test_a_step_compiles_for_gpus():
  if not any(importlib.util.find_spec(f'jax_cuda{n}_plugin') for n in (12, 13)):
    pytest.skip("the compiler for GPUs is not installed: '.[gpu]'")
  run = runs.launch(
    '--topology=h100:4',
    '--config=configs/morning.py:smoke',
    '--features=content_text:50',
    module='compile',
  )
  assert run.returncode == 0, run.stderr
  assert 'mesh data 4 x model 1, 64 pairs a step' in run.stdout
  # The compiler for GPUs counts nothing; the text of its program does.
  assert re.search(r'operations +[1-9]\.\d+e\+0[5-9] FLOP', run.stdout)
  assert 'all-reduce' in run.stdout and 'bound by ' in run.stdout


def small_config(batch_size=128):
  c = config_lib.get_config('smoke')
  c.train.batch_size = batch_size
  c.model.perspectives = ('content',)
  c.model.attribute.encoder = 'embedding'
  c.model.image_widths = (16, 16)
  c.model.text_widths = (16, 16)
  return c


SIZES = input_shapes.Sizes(
  features={'content_image': 40, 'content_text': 8}, longest_list=7
)


def _features(spec):
  return {**spec.feature_sizes, 'attribute_list': spec.num_attributes}


@pytest.mark.parametrize(
  'encoder',
  runs.slow_but(
    {'embedding', 'gcn'}, ['embedding', 'node2vec', 'gcn', 'lookup']
  ),
)
def test_shapes_are_those_of_training(encoder, tmp_path):
  """Of a run on real arrays, but for the rows of accounts it never draws."""
  c = runs.config(
    runs.write_bundle(tmp_path / 'small'),
    model__attribute__encoder=encoder,
    model__attribute__start='learned',
    model__attribute__dimensions=16,
  )
  run = runs.prepare(c, tmp_path / 'run')
  run.checkpoints.close()
  data = run.data
  split, _ = dataset_lib.training_split(run.dataset)
  lists = run.dataset.attributes
  graph = attribute_graph.build_graph(run.dataset)
  sizes = input_shapes.Sizes(
    brands=len(split.brand_row_B),
    influencers=len(split.candidate_row_M),
    positives=len(split.brand_P),
    longest_list=int(np.bincount(split.brand_P).max()),
    edges=graph.num_edges,
    most_attributes=int(np.bincount(lists.holder).max()),
    features=_features(run.spec),
  )
  expected = input_shapes.of_training(
    run.spec,
    sizes,
    run.mesh,
    graph=input_shapes.of_graph(run.spec, sizes, run.mesh),
  )

  def describe(x):
    return x.shape, x.dtype, x.sharding

  def describe_row(x):
    return x.shape[1:], x.dtype, x.sharding

  assert jax.tree.map(describe_row, expected.table) == jax.tree.map(
    describe_row, data.table
  )
  rest, data_rest = (
    dataclasses.replace(d, table=None) for d in (expected, data)
  )
  assert jax.tree.map(describe, rest) == jax.tree.map(describe, data_rest)


@pytest.mark.parametrize(
  ('kind', 'batch_size'),
  [
    ('all_pairs', 61),
    ('triplet', 64),
    pytest.param('all_pairs', 64, marks=pytest.mark.slow),
    pytest.param('triplet', 61, marks=pytest.mark.slow),
  ],
)
def test_shapes_are_those_of_a_stream(tmp_path, kind, batch_size):
  c = runs.config(
    runs.write_bundle(tmp_path / 'small'),
    data__placement='stream',
    loss__kind=kind,
    train__batch_size=batch_size,
    train__negatives=2,
    mesh__data=8,
  )
  run = runs.prepare(c, tmp_path / 'run')
  run.checkpoints.close()
  sizes = input_shapes.Sizes(features=_features(run.spec))
  expected = input_shapes.of_batch(c, run.spec, sizes, run.mesh)
  batches = run.stream.batches(0, run.schedule.next_stop(0))
  run.stream.close()
  assert run.data.table is None

  def describe(x):
    return x.shape, x.dtype, x.sharding.shard_shape(x.shape)

  def describe_one(x):
    shard = x.sharding.shard_shape(x.shape)
    assert shard[0] == len(x)  # each device has its rows of all steps
    return x.shape[1:], x.dtype, shard[1:]

  assert jax.tree.map(describe, expected) == jax.tree.map(describe_one, batches)


@pytest.mark.slow
@needs_libtpu
def test_a_streamed_step_needs_no_table():
  c = small_config(64)
  sizes = dataclasses.replace(SIZES, influencers=10_000_000)
  table = compile_lib.compile_step(c, sizes, topology='v5e:2x2').memory
  c.data.placement = 'stream'
  c.data.stream_mib = 1
  c.train.steps_per_call = 100
  batches = compile_lib.compile_step(c, sizes, topology='v5e:2x2').memory
  features = 10_000_000 * (40 + 8) * 4 / 4  # a quarter a device
  assert table['arguments'] - batches['arguments'] > 0.9 * features
  assert batches['arguments'] > 4 * 10_000_000 / 4  # rows of influencers
  # Two dispatches of at most a MiB over four devices.
  assert 0.4 * 2**20 < batches['batches ahead'] < 0.5 * 2**20
  assert table['batches ahead'] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
  'kind', runs.slow_but({'all_pairs'}, ['all_pairs', 'triplet'])
)
def test_a_batch_that_devices_do_not_divide_costs_no_more(kind):
  mesh = sharding.make_mesh(data=8, model=1)

  def costs(batch_size):
    c = small_config(batch_size)
    c.loss.kind = kind
    compiled = lowering.lower_step(c, SIZES, mesh).compile()
    return (
      compiled.memory_analysis().temp_size_in_bytes,
      compiled.cost_analysis()['flops'],
    )

  # One row less; without shares of its rows each device would do all of it.
  for uneven, even in zip(costs(1023), costs(1024), strict=True):
    assert uneven < 1.3 * even


@needs_libtpu
@pytest.mark.slow
def test_a_step_over_the_graph_compiles():
  c = small_config(64)
  c.model.perspectives = ('content', 'attribute')
  c.model.attribute.encoder = 'auto'
  sizes = input_shapes.Sizes(
    features={'content_text': 8, 'attribute_list': 40}, edges=300
  )
  few = compile_lib.compile_step(c, sizes, topology='v5e:2x2')
  assert few.fits
  many = compile_lib.compile_step(
    c, dataclasses.replace(sizes, edges=300_000), topology='v5e:2x2'
  )
  # Messages over an edge: both directions, 128 wide, two layers, at least.
  more = 2 * (300_000 - 300)
  assert many.flops - few.flops > more * 128 * 2
  # An edge is 12 bytes, on one of four devices.
  assert many.memory['arguments'] - few.memory['arguments'] > more * 12 / 4.1


@needs_libtpu
@pytest.mark.parametrize(
  'topology, devices',
  [
    ('v5e:4x4', 16),
    pytest.param('v5p:2x2x2', 8, marks=pytest.mark.slow),
  ],
)
def test_the_step_compiles(topology, devices):
  c = small_config(64 * devices)
  c.loss.sharding = 'ring'
  report = compile_lib.compile_step(c, SIZES, topology=topology)
  assert report.mesh == {'data': devices, 'model': 1}
  assert report.fits
  assert report.memory['total'] > report.memory['temporaries'] > 0
  around = [c for c in report.collectives if c.times == devices]
  assert {c.kind for c in around} == {'collective-permute'}
  assert any(c.kind == 'all-reduce' for c in report.collectives)
  # All blocks count: 64 x 64 scores of 48 features, four products each.
  products = devices * 4 * 2 * 64 * 64 * 48
  assert products < report.flops < 3 * products
  text = report_lib.of_report(report)
  assert 'collective-permute' in text
  assert 'taken' in text
  assert 'bound by ' in text
  by, operation = report.bound
  plain = json.loads(json.dumps(report.to_json()))
  assert plain['bound'] == {'by': by, 'operation': operation}
  assert plain['seconds']['memory'] == report.seconds['memory']
  assert 0 < plain['off_chip_bytes'] < 2 * plain['bytes_accessed']


def check_no_whole_batch(collectives, batch_size, width):
  """No collective yields as many features as the batch has."""
  assert collectives
  for c in collectives:
    assert c.bytes < batch_size * width * 4 / 2, c


def test_no_collective_carries_the_whole_batch():
  mesh = sharding.make_mesh(data=8, model=1)
  c = small_config(1024)
  text = lowering.lower_step(c, SIZES, mesh).compile().as_text()
  found = hlo.collectives(text, num_devices=8)
  # A brand's and an influencer's 40 + 8 features for each pair.
  check_no_whole_batch(found, 1024, 2 * 48)
  # As many as are wanted, and room for uneven owners.
  rows = [c for c in found if c.kind == 'all-to-all' and 'u32' in c.shapes]
  assert len(rows) == 1
  assert 1024 * 48 * 4 / 8 * 2 < rows[0].bytes < 1024 * 48 * 4


# On simulated devices, above, blocks are of one size in place of ragged.
@pytest.mark.slow
@needs_libtpu
def test_on_a_slice_only_what_is_wanted_travels():
  c = small_config(1024)
  report = compile_lib.compile_step(c, SIZES, topology='v5e:4x4')
  check_no_whole_batch(report.collectives, 1024, 2 * 48)
  assert 'ragged-all-to-all' in {c.kind for c in report.collectives}
  # Blocks of 256 x 256 of the scores, of representations of 40 + 16.
  blocks = [c for c in report.collectives if c.shapes == 'f32[256,56]']
  assert blocks
  # Whatever the compiler makes of small gathers and sums: of four devices.
  assert {c.devices for c in blocks} == {4}


@pytest.mark.slow
@needs_libtpu
def test_the_pod_recipe_compiles_for_256_chips():
  run = runs.launch(
    '--topology=v5e:16x16', '--config=configs/morning.py:pod', module='compile'
  )
  assert run.returncode == 0, run.stderr
  assert 'mesh data 256 x model 1, 16,384 pairs a step' in run.stdout
  # 1,024 x 1,024 scores each; representations travel as bfloat16.
  assert re.search(r'all-gather +bf16\[1024,\d+\] +16 +1', run.stdout)
  share = re.search(
    r'memory of the device +16.00 GiB \((.*)% taken', run.stdout
  )
  assert share and 0 < float(share[1]) < 5


@pytest.mark.slow
@needs_libtpu
def test_too_large_a_step_ends_with_1():
  run = runs.launch(
    '--topology=v5e:2x2',
    '--config.model.image_widths=16,16',
    '--config.train.batch_size=64',
    '--features=content_image:40',
    '--sweep=influencers:4000,2000000000',
    module='compile',
  )
  assert run.returncode == 1, run.stderr
  assert 'Traceback' not in run.stderr
  few, many = run.stdout.splitlines()[-2:]
  assert ' yes ' in few
  assert ' no' in many
