"""Processes that are killed just before an operation on a file, and go on.

All of them:
  pytest -m slow tests/attack/test_kills.py
MORNING_ATTACK_KILLS says how many of each (20; 0: one before every kind of
operation of a save), MORNING_ATTACK_SEED which ones (0).
"""

from collections.abc import Sequence
import json
import os
import pathlib
import random
import shutil
import signal

import numpy as np
import pytest

from morning_jax.checkpoint import manager
from tests import runs
from tests.attack import forked
from tests.attack import harness
from tests.attack import saves
from tests.attack import system_calls

pytestmark = [
  pytest.mark.xdist_group('kills'),
  pytest.mark.skipif(
    not system_calls.available(), reason='takes seccomp on x86-64'
  ),
]

_COUNT = int(os.environ.get('MORNING_ATTACK_KILLS', '20'))
# Operations whose order or place tells most: fast seeds of the long run.
_FAST = (
  'sync *.draft',
  'write checkpoints/N.orbax-checkpoint-tmp/meta.orbax-checkpoint-tmp/metadata',
  'rename checkpoints/N.orbax-checkpoint-tmp',
  'remove checkpoints/N/params/manifest.ocdbt',
)


@pytest.fixture(scope='module')
def saving():
  launcher = forked.Launcher('tests.attack.saves')
  yield launcher
  launcher.close()


@pytest.fixture(scope='module')
def undisturbed(saving, tmp_path_factory):
  """Every operation of a few saves, in their order."""
  folder = tmp_path_factory.mktemp('saves') / 'run'
  ended = save(saving, folder, forked.Aim(str(folder)))
  assert (ended.code, ended.stderr) == (0, '')
  return ended.operations


def save(launcher, folder: pathlib.Path, aim: forked.Aim | None = None):
  return launcher.run(str(folder), '0', folder=folder.parent, aim=aim)


def assert_intact(folder: pathlib.Path) -> int:
  """Restores the newest save and compares it; returns its step, or 0."""
  made = manager.Checkpoints(folder, read_only=True)
  if not made.steps():
    return 0
  restored = made.restore(saves.targets)
  assert restored.step == made.steps()[-1]
  for name, arrays in saves.items(restored.step).items():
    for key, array in arrays.items():
      np.testing.assert_array_equal(restored.items[name][key], array)
  return restored.step


def assert_nothing_left_over(workdir: pathlib.Path) -> None:
  names = [p.name for p in workdir.rglob('*')]
  assert not [n for n in names if 'tmp' in n or n.endswith(('.draft', '.lock'))]


def kill_a_save(launcher, folder: pathlib.Path, role: str, number: int) -> None:
  """Kills before an operation; then all that was saved is there, and no more.

  Args:
    launcher: of `saves`.
    folder: a new working folder.
    role: of the operation.
    number: how many of the role happen before.
  """
  ended = save(launcher, folder, forked.Aim(str(folder), number, only=(role,)))
  assert not ended.left
  assert ended.stderr == ''
  assert ended.code in (-signal.SIGKILL, 0)
  if ended.code:
    assert len(ended.operations) == number + 1
  before = assert_intact(folder)
  ended = save(launcher, folder)
  assert (ended.code, ended.stderr) == (0, '')
  assert assert_intact(folder) == before + saves.COUNT
  assert_nothing_left_over(folder)
  steps = manager.Checkpoints(folder).steps()
  assert steps == [before + saves.COUNT]


def test_what_is_saved_is_on_the_disk_before_it_takes_its_name(undisturbed):
  draft = 'checkpoints/2.orbax-checkpoint-tmp'
  named = undisturbed.index(system_calls.Operation('rename', draft))
  synced = {o.path for o in undisturbed[:named] if o.kind == 'sync'}
  # Items lose the ending of their draft's name before that.
  for item in ('params', 'training', 'meta'):
    files = {
      o.path.replace(f'{item}.orbax-checkpoint-tmp', item).removesuffix(
        '.__lock'
      )
      for o in undisturbed[:named]
      if o.kind == 'write' and o.path.startswith(f'{draft}/{item}')
    }
    assert files and files <= synced
  after = [o for o in undisturbed[named + 1 :] if o.kind == 'sync']
  assert after[0].path == 'checkpoints'
  removed = next(
    i for i, o in enumerate(undisturbed) if o.path.startswith('checkpoints/1/')
  )
  assert removed > named


@pytest.mark.parametrize('role', _FAST)
def test_a_save_that_is_killed(saving, tmp_path, role):
  number = int('orbax' in role)
  kill_a_save(saving, tmp_path / 'run', role, number)


@pytest.mark.slow
def test_a_save_that_is_killed_before_every_kind_of_operation(
  saving, undisturbed, tmp_path
):
  rng = harness.rng('kills of saves')
  roles = sorted({o.role for o in undisturbed})
  if _COUNT:
    roles = rng.sample(roles, min(_COUNT, len(roles)))
  failed = []
  for i, role in enumerate(roles):
    times = sum(o.role == role for o in undisturbed)
    number = rng.randrange(times)
    print(f'before operation {number} of {times}: {role}', flush=True)
    try:
      kill_a_save(saving, tmp_path / f'{i}', role, number)
    except AssertionError as e:
      failed.append(f'{number} {role}: {e}')
    shutil.rmtree(tmp_path / f'{i}', ignore_errors=True)
  assert not failed, '\n'.join(failed)


# A run of three saves has more than these, in its working folder.
_OPERATIONS = 700

TRAINED = {
  'device': (),
  'stream': ('--config.data.placement=stream',),
  'folds': ('--config.data.folds=2',),
}


@pytest.fixture(scope='module')
def training(tmp_path_factory):
  """Runs training on a bundle: (folder, options, aim) -> how it ended."""
  launcher = forked.Launcher('launch.train')
  bundle = runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')

  def train(workdir, options, aim=None):
    return launcher.run(
      f'--config={runs.ROOT}/configs/morning.py:smoke',
      f'--config.data.bundle={bundle}',
      '--config.train.epochs=3',
      '--config.evaluation.every_epochs=1.0',
      '--config.checkpoint.max_to_keep=1',
      f'--workdir={workdir}',
      *options,
      folder=workdir.parent,
      aim=aim,
    )

  yield train
  launcher.close()


def what_is_left(workdir: pathlib.Path) -> dict[str, object]:
  """All that a run leaves, less the times at which it ran."""
  found: dict[str, object] = {}
  for metrics in sorted(workdir.rglob('metrics.json')):
    found[str(metrics.relative_to(workdir))] = json.loads(metrics.read_text())
  for history in sorted(workdir.rglob('history.jsonl')):
    run = history.parent
    name = str(run.relative_to(workdir))
    found[f'{name} history'] = history.read_text()
    found[f'{name} losses'] = runs.losses(run)
    found[f'{name} steps'] = sorted(os.listdir(run / 'checkpoints'))
    found[f'{name} arrays'] = {
      path: array.tobytes() for path, array in runs.final_arrays(run).items()
    }
  return found


def kill_training(
  train,
  workdir: pathlib.Path,
  options,
  expected,
  *,
  times: int,
  rng: random.Random,
  notes: Sequence[str] = (),
) -> int:
  """Kills a run, and lets it end.

  Args:
    train: of `training`.
    workdir: a new working folder.
    options: of the run.
    expected: what it has to leave in the end.
    times: how often it is started to be killed.
    rng: decides before which operations.
    notes: lines that it may print on stderr.

  Returns:
    How often it died; else it had ended before.
  """
  kills = 0
  for _ in range(times):
    number = rng.randrange(_OPERATIONS)
    print(f'{workdir.name}: before operation {number}', flush=True)
    ended = train(workdir, options, forked.Aim(str(workdir), number))
    assert not ended.left
    assert ended.code in (-signal.SIGKILL, 0), ended.stderr
    assert {*harness.lines(ended.stderr)} <= {*notes}
    kills += ended.code != 0
  ended = train(workdir, options)
  assert ended.code == 0, ended.stderr
  assert {*harness.lines(ended.stderr)} <= {*notes}
  assert what_is_left(workdir) == expected
  assert_nothing_left_over(workdir)
  return kills


def test_training_that_is_killed(training, tmp_path):
  whole = tmp_path / 'whole'
  ended = training(whole, (), forked.Aim(str(whole)))
  assert ended.code == 0
  done = [o.role for o in ended.operations]
  saved = done.index('rename checkpoints/N.orbax-checkpoint-tmp')
  assert {'sync events.out.tfevents', 'sync history.jsonl'} <= {*done[:saved]}
  expected = what_is_left(whole)
  assert kill_training(
    training,
    tmp_path / 'killed',
    (),
    expected,
    times=1,
    rng=random.Random(1),
  )


@pytest.mark.slow
@pytest.mark.parametrize('kind', TRAINED)
def test_training_that_is_killed_often(training, tmp_path, kind):
  options = TRAINED[kind]
  whole = training(tmp_path / 'whole', options)
  assert whole.code == 0
  notes = harness.lines(whole.stderr)
  # Which fold it is, and which of its brands are lent to validation.
  assert all(n.startswith('note: ') for n in notes) and bool(notes) == (
    kind == 'folds'
  )
  expected = what_is_left(tmp_path / 'whole')
  rng = harness.rng(f'kills of training, {kind}')
  left, chain = _COUNT or 20, 0
  while left > 0:
    chain += 1
    workdir = tmp_path / f'{chain}'
    times = rng.randint(1, 3)
    left -= kill_training(
      training,
      workdir,
      options,
      expected,
      times=times,
      rng=rng,
      notes=notes,
    )
    shutil.rmtree(workdir)
