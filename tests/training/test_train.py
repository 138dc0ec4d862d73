"""Training end to end: resuming, stopping, finishing, and what it prints."""

import errno
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from morning_jax.checkpoint import manager as checkpoint_lib
from morning_jax.checkpoint import workdir as workdir_lib
from morning_jax.core import errors
from morning_jax.evaluation import evaluate
from morning_jax.training import cross_validation
from morning_jax.training import history
from morning_jax.training import sampler
from morning_jax.training import train
from tests import runs


def narrow(bundle, **changes):
  """A configuration of the smallest model, which plays no part here."""
  return runs.config(bundle, **runs.NARROW, **changes)


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@pytest.fixture(scope='module')
def finished(bundle, tmp_path_factory):
  """A finished run in this process: its folder and outcome."""
  workdir = tmp_path_factory.mktemp('runs') / 'finished'
  # As many people type it: from where they stand.
  c = narrow(pathlib.Path(os.path.relpath(bundle)))
  return workdir, train.train(c, workdir)


def test_the_data_is_found_from_any_folder(
  finished, bundle, tmp_path, monkeypatch
):
  workdir, outcome = finished
  monkeypatch.chdir(tmp_path)
  assert evaluate.evaluate(workdir)['test'] == outcome.metrics['test']
  stored = checkpoint_lib.Checkpoints(workdir, read_only=True)
  config = stored.read_meta(stored.steps()[-1])['config']
  assert config['data']['bundle'] == str(bundle)


def test_it_learns(bundle, tmp_path):
  def auc(learning_rate, epochs):
    c = runs.config(
      bundle,
      optimizer__learning_rate=learning_rate,
      model__initial_weight=1.0,
      train__epochs=epochs,
      evaluation__every_epochs=float(epochs),
    )
    outcome = train.train(c, tmp_path / str(learning_rate))
    assert outcome.finished
    test = outcome.metrics['test']
    assert test['planted']['auc'] > test['auc']
    return test['auc']

  # It starts from plain similarity, which is no coin either.
  assert auc(3e-3, 12) > auc(0.0, 1) + 0.03 > 0.83


def test_metrics_file_has_the_contract(finished):
  workdir, outcome = finished
  results = json.loads((workdir / 'metrics.json').read_text())
  assert results == outcome.metrics
  assert set(results) == {'valid', 'test'}
  keys = {
    'auc',
    'cauc',
    'recall@10',
    'recall@50',
    'mrr',
    'map',
    'medr',
    'num_brands',
    'num_candidates',
  }
  for metrics in results.values():
    assert keys | {'step', 'per_category'} <= set(metrics)
    for values in metrics['per_category'].values():
      assert keys <= set(values)


def test_evaluation_afterwards_equals_the_one_in_training(finished):
  workdir, outcome = finished
  again = evaluate.evaluate(workdir, wanted_splits=('valid', 'test'))
  assert again == outcome.metrics
  evaluations = history.read(workdir)
  best = max(evaluations, key=lambda h: h['map'])
  # What is kept is the best by MAP on `valid`, as measured when it was saved.
  assert best['map'] == again['valid']['map']
  assert best['step'] == again['valid']['step']


def _meta(workdir):
  checkpoints = checkpoint_lib.Checkpoints(workdir, read_only=True)
  return checkpoints.read_meta(checkpoints.steps()[-1])


def test_evaluation_is_not_of_fresh_weights(finished, bundle, tmp_path):
  workdir, outcome = finished
  c = narrow(bundle, optimizer__learning_rate=0.0)
  fresh = train.train(c, tmp_path / 'fresh')
  assert fresh.metrics['test']['auc'] != outcome.metrics['test']['auc']
  del workdir


@pytest.mark.slow
def test_the_last_step_is_saved_once_between_periods(bundle, tmp_path):
  # 4 epochs; an evaluation every 1.5 of them.
  c = narrow(bundle, evaluation__every_epochs=1.5)
  outcome = train.train(c, tmp_path)
  meta = _meta(tmp_path)
  steps = [h['step'] for h in history.read(tmp_path)]
  assert steps[-1] == outcome.step == meta['step']
  assert len(set(steps)) == len(steps)
  assert outcome.step % steps[0] != 0


def test_a_finished_folder_trains_nothing(finished, bundle, capsys):
  workdir, outcome = finished
  before = {p: p.stat().st_mtime_ns for p in workdir.rglob('*')}
  again = train.train(narrow(bundle), workdir)
  out = capsys.readouterr().out
  assert 'is finished' in out
  assert again.metrics == outcome.metrics
  assert before == {p: p.stat().st_mtime_ns for p in workdir.rglob('*')}


def test_more_epochs_go_on_from_the_end(finished, bundle, tmp_path):
  workdir, outcome = finished
  copy = tmp_path / 'copy'
  shutil.copytree(workdir, copy)
  more = train.train(narrow(bundle, train__epochs=5), copy)
  assert more.step == outcome.step // 4 * 5


@pytest.mark.slow
def test_metrics_of_an_earlier_end_are_not_those_of_a_later_one(
  finished, bundle, tmp_path, monkeypatch
):
  workdir, outcome = finished
  copy = tmp_path / 'copy'
  shutil.copytree(workdir, copy)

  class Killed(Exception):
    pass

  def kill(run):
    raise Killed

  c = narrow(bundle, train__epochs=8)
  with monkeypatch.context() as patch:
    patch.setattr(train, '_finish', kill)
    with pytest.raises(Killed):
      train.train(c, copy)
  assert not (copy / 'metrics.json').exists()
  # Even where it is there: it is of another checkpoint than the one kept.
  shutil.copy(workdir / 'metrics.json', copy)
  later = train.train(c, copy)
  assert later.metrics['test']['step'] > outcome.metrics['test']['step']
  assert later.metrics == evaluate.evaluate(
    copy, wanted_splits=('valid', 'test')
  )
  assert json.loads((copy / 'metrics.json').read_text()) == later.metrics


@pytest.mark.parametrize('damage', ['cut', 'list', 'null', 'part', 'bare'])
def test_damaged_metrics_are_measured_again(finished, bundle, tmp_path, damage):
  workdir, outcome = finished
  copy = tmp_path / 'copy'
  shutil.copytree(workdir, copy)
  file = copy / 'metrics.json'
  step = outcome.metrics['test']['step']
  file.write_text(
    {
      'cut': file.read_text()[:4],
      'list': '[]',
      'null': 'null',
      'part': json.dumps({'test': outcome.metrics['test']}),
      'bare': json.dumps({'valid': {'step': step}, 'test': {'step': step}}),
    }[damage]
  )
  assert train.train(narrow(bundle), copy).metrics == outcome.metrics
  assert json.loads(file.read_text()) == outcome.metrics


def test_another_configuration_is_refused_field_by_field(finished, bundle):
  workdir, _ = finished
  c = narrow(bundle, optimizer__learning_rate=0.5, model__hidden_dropout=0.25)
  with pytest.raises(errors.UserError) as e:
    train.train(c, workdir)
  assert 'config.optimizer.learning_rate is 0.003' in str(e.value)
  assert 'config.model.hidden_dropout' in str(e.value)


@pytest.mark.parametrize(
  ('every_epochs', 'said'),
  [
    (0.0, 'must be above 0'),
    (float('inf'), 'every_epochs=inf is not finite'),
    (float('nan'), 'every_epochs=nan is not finite'),
  ],
)
def test_evaluations_that_never_come_are_refused(
  bundle, tmp_path, every_epochs, said
):
  c = narrow(bundle, evaluation__every_epochs=every_epochs)
  with pytest.raises(errors.UserError, match=said):
    train.train(c, tmp_path / 'run')


def test_changed_data_is_refused(finished, bundle, tmp_path):
  workdir, _ = finished
  copy = tmp_path / 'other'
  shutil.copytree(bundle, copy)
  x = np.load(copy / 'content_text.npy')
  x[0, 0] += 1e-3
  np.save(copy / 'content_text.npy', x)
  with pytest.raises(errors.UserError, match='the data has other contents'):
    train.train(narrow(copy), workdir)


def test_the_first_bad_number_stops_the_run(bundle, tmp_path):
  c = narrow(
    bundle, optimizer__learning_rate=1e30, optimizer__schedule='constant'
  )
  with pytest.raises(errors.DivergedError) as e:
    train.train(c, tmp_path)
  assert 'at step ' in str(e.value)
  assert 'softmax' in str(e.value) or 'l2' in str(e.value)


def test_the_last_good_checkpoint_is_kept(finished, bundle, tmp_path):
  workdir, outcome = finished
  copy = tmp_path / 'copy'
  shutil.copytree(workdir, copy)
  c = narrow(bundle, train__epochs=8)
  run = runs.prepare(c, copy)
  with pytest.raises(errors.DivergedError) as e:
    run.check_finite(
      outcome.step,
      {
        'l2': np.array([1.0, 2.0, np.inf]),
        'loss': np.array([1.0, 3.0, np.inf]),
      },
    )
  assert f'at step {outcome.step + 3}, l2 became inf' in str(e.value)
  assert f'the last good checkpoint: step {outcome.step}' in str(e.value)


def test_no_valid_brands_and_no_share_keep_the_last(bundle, tmp_path):
  folder = tmp_path / 'data'
  shutil.copytree(bundle, folder)
  accounts = folder / 'accounts.csv'
  accounts.write_text(accounts.read_text().replace(',valid,', ',train,'))
  c = narrow(folder, data__valid_share=0.0)
  outcome = train.train(c, tmp_path / 'run')
  assert outcome.metrics['test']['step'] == outcome.step
  assert set(outcome.metrics) == {'test'}


def test_lent_validation_brands(bundle, tmp_path, capsys):
  folder = tmp_path / 'data'
  shutil.copytree(bundle, folder)
  accounts = folder / 'accounts.csv'
  text = accounts.read_text().replace(',valid,', ',train,')
  accounts.write_text(text.replace(',test,', ',train,'))
  c = narrow(folder, data__valid_share=0.25)
  outcome = train.train(c, tmp_path / 'run')
  assert set(outcome.metrics) == {'valid'}
  assert outcome.metrics['valid']['num_brands'] == 12
  err = capsys.readouterr().err
  assert '12 of 48 training brands are held out' in err
  assert 'no test brands; evaluated on its valid brands' in err
  assert ' positives/s' in err and 'triplets' not in err
  again = evaluate.evaluate(tmp_path / 'run')
  assert again == outcome.metrics


def test_early_stop(bundle, tmp_path):
  c = narrow(
    bundle,
    train__epochs=50,
    evaluation__patience=2,
    optimizer__learning_rate=0.0,
  )
  outcome = train.train(c, tmp_path)
  per_epoch = outcome.step // 3
  # Two evaluations without gain after the first end it.
  assert _meta(tmp_path)['progress']['evaluations_without_gain'] == 2
  assert len(history.read(tmp_path)) == 3
  # Of equals, the newest is kept.
  assert outcome.metrics['valid']['step'] == 3 * per_epoch


def test_cross_validation(bundle, tmp_path, capsys, monkeypatch):
  traces, of_folds = [], []
  positives, one_fold = sampler.positives_of_step, train.train

  def traced(*args, **kwargs):
    traces.append(1)
    return positives(*args, **kwargs)

  def counted(*args, **kwargs):
    before = len(traces)
    outcome = one_fold(*args, **kwargs)
    of_folds.append(len(traces) - before)
    return outcome

  monkeypatch.setattr(sampler, 'positives_of_step', traced)
  monkeypatch.setattr(train, 'train', counted)
  c = narrow(bundle, data__folds=3, train__epochs=1)
  assert cross_validation.cross_validate(c, tmp_path)
  assert of_folds[0] and of_folds[1:] == [0, 0]  # one program for all folds
  assert c.data.fold == -1  # as it was
  results = json.loads((tmp_path / 'metrics.json').read_text())
  values = [fold['map'] for fold in results['folds']]
  assert len(values) == 3
  mean = results['cross_validation']['mean']['map']
  assert mean == pytest.approx(np.mean(values))
  error = results['cross_validation']['standard_error']['map']
  assert error == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
  assert 'standard error' in capsys.readouterr().out


def _interrupt(command, workdir, signal_number, saves):
  """Starts a run and sends it a signal once it has saved so often."""
  process = subprocess.Popen(
    command,
    env=runs.environment(),
    cwd=runs.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  last, count = runs.newest_step(workdir), 0
  deadline = time.monotonic() + runs.PATIENCE
  while count < saves and process.poll() is None:
    assert time.monotonic() < deadline
    step = runs.newest_step(workdir)
    count += step > last
    last = step
    time.sleep(0.001)
  process.send_signal(signal_number)
  out, err = process.communicate(timeout=runs.PATIENCE)
  return process.returncode, out, err


def _flags(bundle, workdir, epochs=60):
  return (
    '--config=configs/morning.py:smoke',
    f'--config.data.bundle={bundle}',
    f'--config.train.epochs={epochs}',
    '--config.evaluation.every_epochs=1.0',
    f'--workdir={workdir}',
  )


@pytest.fixture(scope='module')
def uninterrupted(bundle, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('runs') / 'whole'
  done = runs.launch(*_flags(bundle, workdir))
  assert done.returncode == 0, done.stderr
  return workdir


@pytest.mark.slow  # tests/attack/test_kills.py kills less often, and aims
def test_killed_five_times_gives_the_same_bits(bundle, uninterrupted, tmp_path):
  rng = np.random.default_rng(int(os.environ.get('KILL_SEED', '0')))
  workdir = tmp_path / 'killed'
  command = runs.command(*_flags(bundle, workdir))
  # Together at most 20 of the 60 saves of a run.
  for saves in rng.integers(1, 5, 5).tolist():
    code, _, err = _interrupt(command, workdir, signal.SIGKILL, saves)
    assert code == -signal.SIGKILL, err
  done = runs.launch(*_flags(bundle, workdir))
  assert done.returncode == 0, done.stderr
  assert 'resuming after step' in done.stdout
  runs.assert_bit_equal(uninterrupted, workdir)
  assert (workdir / 'metrics.json').read_text() == (
    uninterrupted / 'metrics.json'
  ).read_text()


@pytest.mark.slow
def test_sigterm_saves_exits_with_0_and_resumes(
  bundle, uninterrupted, tmp_path
):
  workdir = tmp_path / 'stopped'
  command = runs.command(*_flags(bundle, workdir))
  code, out, err = _interrupt(command, workdir, signal.SIGTERM, 1)
  assert code == 0, err
  assert 'stopped by SIGTERM after step' in out
  assert f'--workdir={workdir}' in out
  assert not (workdir / 'metrics.json').exists()
  done = runs.launch(*_flags(bundle, workdir))
  assert done.returncode == 0, done.stderr
  runs.assert_bit_equal(uninterrupted, workdir)


@pytest.mark.slow
def test_a_second_run_in_a_folder_is_refused(bundle, uninterrupted, tmp_path):
  workdir = tmp_path / 'shared'
  command = runs.command(*_flags(bundle, workdir))
  first = subprocess.Popen(
    command, env=runs.environment(), cwd=runs.ROOT, stdout=subprocess.DEVNULL
  )
  deadline = time.monotonic() + runs.PATIENCE
  while not runs.newest_step(workdir):
    assert first.poll() is None
    assert time.monotonic() < deadline
    time.sleep(0.01)
  first.send_signal(signal.SIGSTOP)
  try:
    second = runs.launch(*_flags(bundle, workdir))
    # Reading is free.
    assert evaluate.evaluate(workdir)['test']['step'] > 0
  finally:
    first.send_signal(signal.SIGCONT)
  assert second.returncode == 2
  assert (
    second.stderr.strip()
    .splitlines()[-1]
    .startswith(f'error: {workdir}: another run (process {first.pid} on host ')
  )
  assert first.wait(timeout=runs.PATIENCE) == 0
  runs.assert_bit_equal(uninterrupted, workdir)
  assert not (workdir / '.lock').exists()


def test_a_link_in_a_circle_is_no_folder(bundle, tmp_path):
  (tmp_path / 'loop').symlink_to('loop')
  with pytest.raises(errors.UserError, match='loop: is no folder'):
    train.train(runs.config(bundle), tmp_path / 'loop')


def test_a_folder_is_held_while_it_is_trained_in(tmp_path, monkeypatch):
  workdir = tmp_path / 'run'
  with workdir_lib.hold(workdir):
    with (
      pytest.raises(errors.UserError, match=f'process {os.getpid()} on host'),
      workdir_lib.hold(workdir),
    ):
      pass
    assert (workdir / '.lock').exists()
  assert not workdir.exists()  # nothing was put in it
  with workdir_lib.hold(workdir / 'in' / 'folders'):
    pass
  assert not workdir.exists()
  with workdir_lib.hold(workdir / 'in'):
    (workdir / 'mine').touch()
  assert [p.name for p in workdir.iterdir()] == ['mine']
  (workdir / 'mine').unlink()

  def no_locks(file, operation):
    raise OSError(errno.ENOLCK, 'No locks available')

  with monkeypatch.context() as patch:
    patch.setattr(fcntl, 'flock', no_locks)
    with workdir_lib.hold(workdir), workdir_lib.hold(workdir):
      pass
  flock = fcntl.flock

  def as_the_other_ends(file, operation):
    (workdir / '.lock').unlink()
    flock(file, operation)

  monkeypatch.setattr(fcntl, 'flock', as_the_other_ends)
  with (
    pytest.raises(errors.UserError, match='just ended'),
    workdir_lib.hold(workdir),
  ):
    pass
