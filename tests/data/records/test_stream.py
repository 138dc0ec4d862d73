"""Accounts on disk: the same batches, losses and checkpoints as on device."""

import dataclasses

import jax
import numpy as np
import pytest

from morning_jax.checkpoint import manager as checkpoint_lib
from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.data.records import stream
from morning_jax.training import history
from morning_jax.training import schedule
from morning_jax.training import step_inputs
from morning_jax.training import train
from morning_jax.training import trainer as trainer_lib
from tests import runs

TRIPLETS = {'loss__kind': 'triplet', 'train__negatives': 3}


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  """Where all runs of this file keep their accounts."""
  return tmp_path_factory.mktemp('stream')


def streamed(bundle, place, **changes):
  return runs.config(
    bundle, data__placement='stream', data__stream_dir=str(place), **changes
  )


def scalars_of(c, workdir, dispatches, length):
  """Takes some dispatches and returns every scalar of each step."""
  run, state = runs.start(c, workdir)
  inputs_of = step_inputs.make_step_inputs(
    c,
    run.plan,
    capacity=length,
  )
  run = dataclasses.replace(run, inputs_of=inputs_of)
  found = []
  with jax.set_mesh(run.mesh):
    if run.stream:
      run.stream._next_stop = lambda step: step + length
    for step in range(0, dispatches * length, length):
      state, scalars = run.take_steps(state, step, step + length)
      found.append(jax.device_get(scalars))
  if run.stream:
    run.stream.close()
  return {k: np.concatenate([s[k] for s in found]) for k in found[0]}


SMALL = runs.NARROW
# The smallest model with each loss, and attribute lists with each.
KINDS = {
  'all_pairs': SMALL,
  'triplet': {**SMALL, **TRIPLETS},
  'gcn': {
    'model__perspectives': ('content', 'attribute'),
    'model__attribute__encoder': 'gcn',
    **TRIPLETS,
  },
}
# Each step takes eight simulated devices eight meetings: most cases are slow.
CASES = [
  ('all_pairs', (4, 2), 6),
  *(
    pytest.param(kind, mesh, 25, marks=pytest.mark.slow)
    for kind in KINDS
    for mesh in [(1, 1), (8, 1), (4, 2)]
  ),
]


@pytest.mark.parametrize(('kind', 'mesh', 'length'), CASES)
def test_four_dispatches_equal_those_on_device(
  bundle, place, tmp_path, kind, mesh, length
):
  changes = KINDS[kind] | {'mesh__data': mesh[0], 'mesh__model': mesh[1]}
  changes |= {'train__epochs': 30}
  on_device = scalars_of(
    runs.config(bundle, **changes), tmp_path / 'device', 4, length
  )
  from_disk = scalars_of(
    streamed(bundle, place, **changes), tmp_path / 'stream', 4, length
  )
  assert from_disk.keys() == on_device.keys()
  for name, values in on_device.items():
    assert values.shape == (4 * length,)
    gap = np.abs(from_disk[name] - values).max()
    bound = 1e-4 if name == 'gradient_norm' else 1e-5
    assert gap <= bound * np.abs(values).max(), name
  # The losses move, so that equality says something.
  assert np.ptp(on_device['loss']) > 1e-3


# 50 does not divide by 8 devices: such a batch lies whole on each.
@pytest.mark.parametrize(('batch_size', 'shares'), [(64, 8), (50, 1)])
@pytest.mark.parametrize('drawn', [0, 3])
def test_batches_are_the_rows_of_the_table(
  bundle, place, tmp_path, drawn, batch_size, shares
):
  changes = {'train__batch_size': batch_size, 'mesh__data': 8, **SMALL}
  changes |= TRIPLETS if drawn else {}
  run = runs.prepare(streamed(bundle, place, **changes), tmp_path)
  table = preprocessing.account_table(
    run.spec, jax.device_get(run.fitted), run.dataset
  )
  split, _ = dataset_lib.training_split(run.dataset)
  first = run.stream.batches(0, run.schedule.next_stop(0))
  again = run.stream.batches(0, run.schedule.next_stop(0))
  run.stream.close()
  jax.tree.map(np.testing.assert_array_equal, first, again)
  brand_row = split.brand_row_B[np.asarray(first.brand_P)]
  jax.tree.map(
    np.testing.assert_array_equal,
    jax.device_get(first.brands),
    table[brand_row],
  )
  influencer_row = split.candidate_row_M[np.asarray(first.candidate_P)]
  jax.tree.map(
    lambda x, y: np.testing.assert_array_equal(x[:, :batch_size], y),
    jax.device_get(first.influencers),
    table[influencer_row],
  )
  leaf = first.influencers.present['content_text']
  assert leaf.shape[1] == batch_size * (1 + drawn)
  leaf = first.brands.present['content_text']
  where = leaf.sharding.devices_indices_map(leaf.shape).values()
  assert len({str(index) for index in where}) == shares


@pytest.mark.parametrize(
  'changes',
  [
    pytest.param(
      {'evaluation__every_epochs': 0.5}, id='equal', marks=pytest.mark.slow
    ),
    # 19 steps an epoch: dispatches of 7, 7 and 5.
    pytest.param(
      {'train__batch_size': 16, 'train__steps_per_call': 7}, id='unequal'
    ),
  ],
)
def test_a_resumed_run_gives_the_same_bits(bundle, place, tmp_path, changes):
  c = streamed(bundle, place, **changes, **TRIPLETS, **SMALL)
  whole, parts = tmp_path / 'whole', tmp_path / 'parts'
  train.train(c, whole)

  class Killed(Exception):
    pass

  stops = []

  def kill(run, *args):
    stops.append(args[1])
    if len(stops) in (5, 8):
      raise Killed
    return take_steps(run, *args)

  take_steps = trainer_lib.Trainer.take_steps
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(trainer_lib.Trainer, 'take_steps', kill)
    for _ in range(2):
      with pytest.raises(Killed):
        train.train(c, parts)
    train.train(c, parts)
  assert stops != sorted(set(stops)), 'no step was taken twice'
  runs.assert_bit_equal(whole, parts)
  assert (whole / 'metrics.json').read_text() == (
    parts / 'metrics.json'
  ).read_text()


@pytest.mark.slow
def test_a_resumed_run_may_change_the_placement(bundle, place, tmp_path):
  # A rate that does not know how long the run will be.
  changes = {**SMALL, 'optimizer__schedule': 'constant'}
  device = train.train(
    runs.config(bundle, train__epochs=8, **changes), tmp_path / 'a'
  )
  train.train(streamed(bundle, place, **changes), tmp_path / 'b')
  more = runs.config(bundle, train__epochs=8, **changes)
  outcome = train.train(more, tmp_path / 'b')
  assert outcome.step == device.step
  meta = checkpoint_lib.Checkpoints(tmp_path / 'b', read_only=True).read_meta(
    outcome.step
  )
  assert meta['input_position'] == {'epoch': 8, 'step_of_epoch': 0}
  ours, theirs = (
    runs.final_arrays(tmp_path / name)["params['content']['text']['gain']"]
    for name in 'ab'
  )
  np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_the_wait_is_said_and_written(bundle, place, tmp_path, capsys):
  train.train(streamed(bundle, place, **SMALL), tmp_path)
  assert 'waited ' in capsys.readouterr().out
  events = b''.join(p.read_bytes() for p in tmp_path.rglob('events.*'))
  assert b'train/input_wait' in events


def test_the_clock_counts_waiting_and_not_evaluation(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(stream.time, 'monotonic', lambda: now[0])

  def passes(seconds):
    now[0] += seconds

  clock = stream.WaitClock()
  clock.wait(lambda: passes(2.0))
  passes(6.0)  # the device trains
  assert clock.settle() == 0.25
  passes(100.0)  # an evaluation
  clock.wait(lambda: passes(1.0))
  passes(1.0)
  assert clock.settle() == 0.5
  assert clock.summary().startswith('waited 30.0% of the time')


def test_a_dispatch_is_as_long_as_memory_allows(bundle, place, tmp_path):
  c = streamed(bundle, place, data__stream_mib=1, mesh__data=8)
  run = runs.prepare(c, tmp_path)
  batch = run.stream.batches(0, run.schedule.next_stop(0))
  size = sum(x.nbytes for x in jax.tree.leaves(batch.brands))
  assert run.schedule.steps_per_call < c.train.steps_per_call
  assert 0.25 * 2**20 < 2 * size <= 2**20
  run.stream.close()


@pytest.mark.slow
def test_both_placements_evaluate_at_the_same_steps(bundle, place, tmp_path):
  # 19 steps an epoch, of which one dispatch of the stream holds a part.
  changes = {
    **SMALL,
    'loss__kind': 'triplet',
    'train__negatives': 20,
    'train__batch_size': 16,
    'train__epochs': 2,
    'data__stream_mib': 1,
  }
  device = runs.config(bundle, **changes)
  stream_config = streamed(bundle, place, **changes)
  run = runs.prepare(stream_config, tmp_path / 'prepared')
  run.stream.close()
  assert 1 < run.schedule.steps_per_call < 19
  assert 19 % run.schedule.steps_per_call
  for name, c in (('device', device), ('stream', stream_config)):
    train.train(c, tmp_path / name)
    made = checkpoint_lib.Checkpoints(tmp_path / name, read_only=True)
    assert made.read_meta(38)['step'] == 38
    steps = [h['step'] for h in history.read(tmp_path / name)]
    assert steps == [19, 38]


@pytest.mark.parametrize(
  ('period', 'most', 'length'),
  [
    (10, 50, 10),
    (2110, 211, 211),
    (100, 50, 50),
    (57, 50, 19),  # three equal ones rather than 29 and 28
    (19, 7, 7),  # 7, 7, 5
    (211, 50, 43),  # 43 four times, then 39
  ],
)
def test_steps_between_evaluations_are_divided(period, most, length):
  assert schedule.steps_per_call(period, most=most) == length


def test_unknown_values_are_refused(bundle, tmp_path):
  for field, value, text in (
    ('placement', 'disk', "data.placement: 'disk' is none of device, stream"),
    ('stream_mib', 0, 'stream_mib=0 must be at least 1'),
    ('stream_threads', 0, 'stream_threads=0 must be at least 1'),
  ):
    c = runs.config(bundle, **{f'data__{field}': value})
    with pytest.raises(errors.UserError, match=text):
      train.train(c, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_numbers_that_differ_by_backend_are_refused(bundle, place, tmp_path):
  with (
    jax.default_prng_impl('rbg'),
    pytest.raises(errors.UserError, match='rbg draws other numbers'),
  ):
    train.train(streamed(bundle, place), tmp_path / 'run')


def test_damage_ends_training_in_one_line(bundle, tmp_path):
  c = streamed(bundle, tmp_path / 'place')
  runs.prepare(c, tmp_path / 'a')
  (file,) = (tmp_path / 'place').glob('*/rows-*')
  data = bytearray(file.read_bytes())
  for place in range(100_000, 300_000, 100):
    data[place] ^= 255
  file.write_bytes(data)
  with pytest.raises(errors.UserError, match='is damaged'):
    train.train(c, tmp_path / 'b')
