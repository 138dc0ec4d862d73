"""SIGTERM is remembered by whoever can stop well, and by nobody else."""

import os
import signal
import threading

import pytest

from configs import morning as config_lib
from morning_jax.training import cross_validation
from morning_jax.training import loop
from morning_jax.training import termination as termination_lib
from morning_jax.training import train
from tests import runs


def terminate():
  os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def handler():
  """Whoever handles SIGTERM before a test handles it after it."""

  def unexpected(*_):
    raise AssertionError('nobody took the signal')

  before = signal.signal(signal.SIGTERM, unexpected)
  yield
  assert signal.signal(signal.SIGTERM, before) is unexpected


def test_it_is_remembered_to_the_end_of_the_outermost_block():
  with termination_lib.remembered() as outer:
    assert not outer.requested
    with termination_lib.remembered() as inner:
      terminate()
      assert inner.requested
    assert outer.requested
  with termination_lib.remembered() as later:
    assert not later.requested


def test_it_ends_a_block_that_has_nothing_to_save():
  with pytest.raises(termination_lib.Stopped), termination_lib.raised():
    terminate()
    raise AssertionError('not stopped')


def test_who_can_save_is_not_interrupted_by_who_can_not():
  with termination_lib.raised() as outer:
    with termination_lib.remembered() as inner:
      terminate()
      assert inner.requested
    assert outer.requested
    with pytest.raises(termination_lib.Stopped), termination_lib.raised():
      raise AssertionError('begun in spite of the request')


def test_the_cleaning_up_is_not_interrupted_again():
  cleaned = False
  with pytest.raises(termination_lib.Stopped), termination_lib.raised():
    try:
      terminate()
    finally:
      terminate()
      cleaned = True
  assert cleaned


def test_other_threads_go_on(handler):
  seen = []

  def work():
    with termination_lib.remembered() as termination:
      seen.append(termination.requested)

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [False]


def test_where_it_is_ignored_it_stays_so(handler):
  previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
  try:
    with termination_lib.remembered() as termination:
      terminate()
    assert not termination.requested
  finally:
    signal.signal(signal.SIGTERM, previous)


def test_a_fold_that_is_evaluated_is_the_last(tmp_path, monkeypatch, capsys):
  folds = []

  def fake(config, workdir, *, dataset, programs):
    del config, dataset, programs
    with termination_lib.remembered():
      folds.append(workdir.name)
      terminate()  # in the final evaluation: the fold is finished all the same
    return train.Outcome(finished=True, step=1, metrics={'test': {}})

  monkeypatch.setattr(train, 'train', fake)
  c = config_lib.get_config('smoke')
  c.data.folds = 3
  c.data.bundle = str(runs.write_bundle(tmp_path / 'small'))
  assert not cross_validation.cross_validate(c, tmp_path / 'run')
  assert folds == ['fold-1']
  assert 'stopped by SIGTERM after fold 1 of 3' in capsys.readouterr().out


def test_training_that_is_over_is_not_evaluated(tmp_path, monkeypatch, capsys):
  evaluated = []
  run_to_end = loop.run_to_end

  def then_terminate(*args):
    done = run_to_end(*args)
    terminate()
    return done

  monkeypatch.setattr(loop, 'run_to_end', then_terminate)
  monkeypatch.setattr(train, '_finish', evaluated.append)
  c = runs.config(
    runs.write_bundle(tmp_path / 'small'), train__epochs=1, **runs.NARROW
  )
  outcome = train.train(c, tmp_path / 'run')
  assert not outcome.finished and not evaluated
  assert runs.newest_step(tmp_path / 'run') == outcome.step
  assert not (tmp_path / 'run' / 'metrics.json').exists()
  assert 'stopped by SIGTERM after step 4 of 4, saved' in (
    capsys.readouterr().out
  )
  monkeypatch.undo()
  again = train.train(c, tmp_path / 'run')
  assert again.finished and again.metrics['test']
