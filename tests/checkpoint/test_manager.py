"""Checkpoints: every damage is noticed, and the one before serves."""

import errno
import json
import shutil

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.checkpoint import checksums
from morning_jax.checkpoint import failures
from morning_jax.checkpoint import manager as checkpoint_lib
from morning_jax.checkpoint import meta as meta_lib
from morning_jax.checkpoint import reading
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import input_spec
from morning_jax.core import sharding
from morning_jax.evaluation import evaluate
from morning_jax.evaluation import trained_model
from morning_jax.training import schedule
from morning_jax.training import train
from tests import runs


def tree(step):
  return {
    'a': {'kernel': jnp.arange(999.0) + step, 'bias': jnp.ones(3)},
    'flag': jnp.array([True, False]),
    'half': jnp.arange(5, dtype=jnp.bfloat16),
  }


def targets(meta):
  del meta
  put = sharding.replicated(sharding.make_mesh())
  return {
    'params': jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=put), tree(0)
    )
  }


def save(folder, steps, max_to_keep=2):
  made = checkpoint_lib.Checkpoints(folder, max_to_keep=max_to_keep)
  for step, metric in steps:
    made.save(
      step,
      items={'params': tree(step)},
      meta={'config': {'seed': 0}},
      metrics=None if metric is None else {'map': metric},
    )
  made.close()
  return made


def test_newest_and_best_are_kept(tmp_path):
  made = save(tmp_path, [(0, 0.1), (10, 0.9), (20, 0.2), (30, None), (40, 0.3)])
  assert made.steps() == [10, 30, 40]
  assert made.best_step() == 10
  newest = made.restore(targets)
  best = made.restore(targets, prefer_best=True)
  assert (newest.step, best.step) == (40, 10)
  assert float(best.items['params']['a']['kernel'][0]) == 10
  assert best.items['params']['half'].dtype == jnp.bfloat16
  assert best.meta['config'] == {'seed': 0}


def test_an_older_step_is_no_save(tmp_path):
  made = save(tmp_path, [(5, None)])
  with pytest.raises(RuntimeError, match='not newer'):
    made.save(5, items={'params': tree(5)}, meta={}, metrics=None)


def test_every_mismatch_is_listed(tmp_path):
  made = save(tmp_path, [(1, None)])

  def wrong(meta):
    params = targets(meta)['params']
    put = params['half'].sharding
    del params['half']
    params['a']['kernel'] = jax.ShapeDtypeStruct(
      (7,), jnp.float32, sharding=put
    )
    params['new'] = jax.ShapeDtypeStruct((1,), jnp.int32, sharding=put)
    return {'params': params}

  with pytest.raises(checkpoint_lib.CheckpointError) as e:
    made.restore(wrong)
  for text in (
    'params/half bfloat16[5] is not in the model',
    'params/new int32[1] is not in the checkpoint',
    'params/a/kernel is float32[999] in the checkpoint, float32[7] in the',
  ):
    assert text in str(e.value)


def test_a_single_flipped_bit_changes_the_checksum():
  rng = np.random.default_rng(0)
  whole = rng.normal(size=257).astype(np.float32)
  good = checksums.describe({'x': jnp.asarray(whole)})['x'][2]
  for _ in range(64):
    bits = whole.view(np.uint32).copy()
    bits[rng.integers(257)] ^= np.uint32(1) << np.uint32(rng.integers(32))
    bad = checksums.describe({'x': jnp.asarray(bits.view(np.float32))})
    assert bad['x'][2] != good
  swapped = whole.copy()
  swapped[[3, 4]] = swapped[[4, 3]]
  assert checksums.describe({'x': jnp.asarray(swapped)})['x'][2] != good


def test_the_checksum_does_not_depend_on_the_devices():
  x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
  mesh = sharding.make_mesh()
  spread = sharding.put_rows(x, mesh)
  one = jax.device_put(x, jax.devices()[0])
  assert checksums.describe({'x': spread}) == checksums.describe({'x': one})


def _rewrite(folder, change):
  """Changes the content of metadata, and its checksum with it."""
  path = folder / 'meta' / 'metadata'
  stored = json.loads(path.read_text())
  change(stored['content'])
  stored['crc32'] = files.checksum(stored['content'])
  path.write_text(json.dumps(stored))


def _largest(folder):
  return max(
    (p for p in folder.rglob('*') if p.is_file() and p.parent.name == 'd'),
    key=lambda p: p.stat().st_size,
  )


def _flip(path, place):
  data = bytearray(path.read_bytes())
  data[int(place * (len(data) - 1))] ^= 0x10
  path.write_bytes(bytes(data))


DAMAGES = {
  'flipped early': lambda f: _flip(_largest(f / 'params'), 0.3),
  'flipped late': lambda f: _flip(_largest(f / 'params'), 0.8),
  'truncated': lambda f: (lambda p: p.write_bytes(p.read_bytes()[:40]))(
    _largest(f / 'params')
  ),
  'no data': lambda f: shutil.rmtree(f / 'params' / 'd'),
  'no manifest': lambda f: (f / 'params' / 'manifest.ocdbt').unlink(),
  'no item': lambda f: shutil.rmtree(f / 'params'),
  'no metadata': lambda f: (f / 'meta' / 'metadata').unlink(),
  'metadata cut': lambda f: (f / 'meta' / 'metadata').write_text('{"conte'),
  'metadata changed': lambda f: (f / 'meta' / 'metadata').write_text(
    (f / 'meta' / 'metadata').read_text().replace('"seed": 0', '"seed": 1')
  ),
  'metadata nested': lambda f: (f / 'meta' / 'metadata').write_text(
    '[' * 100_000
  ),
  'no arrays described': lambda f: _rewrite(f, lambda m: m.pop('arrays')),
  'no version': lambda f: _rewrite(f, lambda m: m.pop('format_version')),
  'no metrics': lambda f: _rewrite(f, lambda m: m.pop('metrics')),
  'another step': lambda f: _rewrite(f, lambda m: m.update(step=7)),
  'empty folder': lambda f: [shutil.rmtree(f), f.mkdir()],
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
  tmp_path, damage, capsys
):
  save(tmp_path, [(1, None), (2, None)])
  DAMAGES[damage](tmp_path / 'checkpoints' / '2')
  made = checkpoint_lib.Checkpoints(tmp_path)
  restored = made.restore(targets)
  assert restored.step == 1
  np.testing.assert_array_equal(
    restored.items['params']['a']['kernel'], tree(1)['a']['kernel']
  )
  err = capsys.readouterr().err
  assert 'checkpoint 2' in err
  assert 'is corrupt' in err
  # Its step can be saved again.
  made.save(2, items={'params': tree(2)}, meta={}, metrics=None)
  made.close()
  assert made.restore(targets).step == 2


def test_the_best_step_is_that_of_checked_metadata(tmp_path):
  made = save(tmp_path, [(1, 0.40), (2, 0.42)])
  folder = tmp_path / 'checkpoints'
  # What Orbax would keep, and other software may: nobody looks at it.
  (folder / '2' / 'metrics').mkdir()
  (folder / '2' / 'metrics' / 'metrics').touch()
  assert made.best_step() == 2
  # A changed number is noticed.
  file = folder / '1' / 'meta' / 'metadata'
  file.write_text(file.read_text().replace('0.4}', '0.94}'))
  assert made.best_step() == 2
  assert made.restore(targets, prefer_best=True).step == 2


def test_names_that_are_no_steps_are_left_alone(tmp_path):
  made = save(tmp_path, [(1, None), (2, None)])
  for name in (
    '\N{SUPERSCRIPT TWO}',
    '03',
    '-1',
    '1_0',
    '\N{FULLWIDTH DIGIT ONE}',
  ):
    (tmp_path / 'checkpoints' / name).mkdir()
  assert made.steps() == [1, 2]
  assert made.restore(targets).step == 2
  assert len(list((tmp_path / 'checkpoints').iterdir())) == 7


def test_what_a_kill_before_the_clean_up_left_is_removed(tmp_path):
  save(tmp_path, [(1, 0.3), (2, 0.9), (3, 0.1)], max_to_keep=9)
  save(tmp_path, [(4, 0.2)], max_to_keep=9)
  reader = checkpoint_lib.Checkpoints(tmp_path, max_to_keep=1, read_only=True)
  assert reader.restore(targets).step == 4
  assert reader.steps() == [1, 2, 3, 4]
  made = checkpoint_lib.Checkpoints(tmp_path, max_to_keep=1)
  assert made.restore(targets).step == 4
  assert made.steps() == [2, 4]
  assert not list((tmp_path / 'checkpoints').glob('*tmp*'))


def test_metadata_does_not_grow_with_the_run(tmp_path):
  bundle = runs.write_bundle(tmp_path / 'small')
  run, state = runs.start(runs.config(bundle, **runs.NARROW), tmp_path / 'run')
  progress = schedule.Progress()
  sizes = []
  for step in (1, 2):
    for evaluation in range(400 * step - 399, 400 * step):
      progress = progress.after(evaluation, {'map': 0.5})
    run.save(step, state, progress, {'map': 0.5})
    run.checkpoints.wait()
    file = tmp_path / 'run' / 'checkpoints' / f'{step}' / 'meta' / 'metadata'
    sizes.append(file.stat().st_size)
  run.checkpoints.close()
  assert max(sizes) - min(sizes) < 20, sizes


@pytest.mark.parametrize('name', ['config', 'progress', 'input_spec'])
def test_metadata_of_another_form_is_damage(name):
  spec = input_spec.InputSpec({}, {}, {})
  whole = meta_lib.CheckpointMeta({}, '', spec, {}, {}).to_json()
  assert meta_lib.CheckpointMeta.from_json(whole).spec == spec
  for changed in (
    {**whole, name: [3]},
    {k: whole[k] for k in whole if k != name},
  ):
    with pytest.raises(failures.CorruptError, match='does not describe a run'):
      meta_lib.CheckpointMeta.from_json(changed)


@pytest.mark.parametrize('read_only', [True, False])
def test_all_damaged_is_an_error(tmp_path, read_only):
  save(tmp_path, [(1, None), (2, None)])
  for step in ('1', '2'):
    DAMAGES['no metadata'](tmp_path / 'checkpoints' / step)
  made = checkpoint_lib.Checkpoints(tmp_path, read_only=read_only)
  with pytest.raises(checkpoint_lib.CheckpointError, match='all 2 checkpoints'):
    made.restore(targets)
  assert made.steps() == [1, 2]  # nothing is changed


def _cannot_open(path):
  """Makes a file fail to open, with an error of the system (ELOOP)."""
  path.rename(path.with_suffix('.kept'))
  path.symlink_to(path)


def _opens_again(path):
  path.with_suffix('.kept').rename(path)


@pytest.mark.parametrize('item', ['params', 'meta'])
def test_a_file_that_can_not_be_opened_is_not_taken_for_damaged(tmp_path, item):
  save(tmp_path, [(1, None), (2, None)])
  newest = tmp_path / 'checkpoints' / '2'
  file = newest / 'meta' / 'metadata'
  if item == 'params':
    file = _largest(newest / 'params')
  _cannot_open(file)
  made = checkpoint_lib.Checkpoints(tmp_path)
  with pytest.raises(checkpoint_lib.CheckpointError) as e:
    made.restore(targets)
  assert 'checkpoint 2 could not be read' in str(e.value)
  assert made.steps() == [1, 2]
  _opens_again(file)
  assert made.restore(targets).step == 2


@pytest.mark.parametrize(
  'failure',
  [
    OSError(errno.EIO, 'Input/output error'),
    MemoryError(),
    jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory'),
  ],
  ids=['disk', 'host memory', 'device memory'],
)
def test_a_failing_machine_is_not_taken_for_damage(
  tmp_path, monkeypatch, failure
):
  made = save(tmp_path, [(1, None), (2, None)])

  def fail(folder, target):
    raise failure

  with monkeypatch.context() as patch:
    patch.setattr(reading, '_read_item', fail)
    with pytest.raises(
      checkpoint_lib.CheckpointError, match='could not be read'
    ):
      made.restore(targets)
  assert made.steps() == [1, 2]
  assert made.restore(targets).step == 2


def test_what_was_set_aside_stays(tmp_path):
  made = save(tmp_path, [(1, None), (2, None)])
  folder = tmp_path / 'checkpoints'
  for _ in range(3):
    DAMAGES['metadata cut'](folder / '2')
    assert made.restore(targets).step == 1
    made.save(2, items={'params': tree(2)}, meta={}, metrics=None)
    made.wait()
  made.close()
  aside = [folder / f'corrupt-2{more}' for more in ('', '-2', '-3')]
  assert sorted(folder.glob('corrupt-*')) == aside
  assert all((f / 'params' / 'd').is_dir() for f in aside)


def test_training_does_not_start_over_beside_what_was_set_aside(tmp_path):
  bundle = runs.write_bundle(tmp_path / 'small')
  folder = tmp_path / 'run' / 'checkpoints'
  (folder / 'corrupt-12').mkdir(parents=True)
  with pytest.raises(errors.UserError) as e:
    train.train(runs.config(bundle), tmp_path / 'run')
  assert 'rename corrupt-12 to 12' in str(e.value)
  assert [p.name for p in folder.iterdir()] == ['corrupt-12']


def test_training_and_evaluation_fall_back(tmp_path, capsys):
  bundle = runs.write_bundle(tmp_path / 'small')
  whole, hurt = tmp_path / 'whole', tmp_path / 'hurt'
  c = runs.config(bundle, **runs.NARROW)
  train.train(c, whole)
  shutil.copytree(whole, hurt)
  steps = sorted(int(p.name) for p in (hurt / 'checkpoints').glob('[0-9]*'))
  newest = hurt / 'checkpoints' / str(steps[-1])
  _flip(_largest(newest / 'params'), 0.5)
  (hurt / 'metrics.json').unlink()
  metrics = evaluate.evaluate(hurt)
  assert np.isfinite(metrics['test']['auc'])
  train.train(c, hurt)
  assert 'is corrupt' in capsys.readouterr().err
  runs.assert_bit_equal(whole, hurt)


def test_no_checkpoint(tmp_path):
  with pytest.raises(errors.UserError, match='has no checkpoint'):
    trained_model.restore(tmp_path)
  with pytest.raises(errors.UserError, match='no such folder'):
    trained_model.restore(tmp_path / 'nowhere')
