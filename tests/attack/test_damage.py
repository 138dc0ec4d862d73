"""Every file of a checkpoint flipped, cut, emptied or gone: no wrong number.

All of them:
  pytest -m slow tests/attack/test_damage.py
MORNING_ATTACK_SEED says which bits and which lengths (0).

What is demanded: the arrays of the damaged checkpoint as they were saved, where
the file plays no part in them, or those of the one before with one line that
says so; nothing else on stderr.
"""

import pathlib
import random
import shutil

import numpy as np
import pytest

from morning_jax.checkpoint import manager
from tests.attack import harness
from tests.attack import saves

pytestmark = pytest.mark.xdist_group('kills')


def _flip(file: pathlib.Path, rng: random.Random) -> None:
  data = bytearray(file.read_bytes())
  if data:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def _cut(file: pathlib.Path, rng: random.Random) -> None:
  data = file.read_bytes()
  file.write_bytes(data[: rng.randrange(len(data) or 1)])


def _extend(file: pathlib.Path, rng: random.Random) -> None:
  file.write_bytes(file.read_bytes() + rng.randbytes(rng.randint(1, 99)))


def _scramble(file: pathlib.Path, rng: random.Random) -> None:
  file.write_bytes(rng.randbytes(file.stat().st_size))


DAMAGES = {
  'flip': _flip,
  'cut': _cut,
  'empty': lambda file, rng: file.write_bytes(b''),
  'remove': lambda file, rng: file.unlink(),
  'extend': _extend,
  'scramble': _scramble,
  'folder': lambda file, rng: [file.unlink(), file.mkdir()],
}


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """A working folder with two checkpoints, of which the newest is the best."""
  folder = tmp_path_factory.mktemp('saves') / 'run'
  made = manager.Checkpoints(folder, max_to_keep=2)
  for step in (1, 2):
    made.save(
      step,
      items=saves.items(step),
      meta={},
      metrics={'map': saves.metric(step)},
    )
  made.close()
  return folder


def files(folder: pathlib.Path) -> list[pathlib.Path]:
  newest = folder / 'checkpoints' / '2'
  return sorted(p for p in newest.rglob('*') if p.is_file())


def damage(saved, folder, file, kind, rng, capfd) -> int:
  """Damages one file and restores; returns the step that came back."""
  shutil.copytree(saved, folder)
  DAMAGES[kind](folder / file.relative_to(saved), rng)
  made = manager.Checkpoints(folder, read_only=True)
  restored = made.restore(saves.targets, prefer_best=rng.random() < 0.5)
  for name, arrays in saves.items(restored.step).items():
    for key, array in arrays.items():
      np.testing.assert_array_equal(restored.items[name][key], array)
  said = harness.lines(capfd.readouterr().err)
  assert len(said) == (restored.step != 2), said
  if said:
    assert said[0].startswith('note: checkpoint 2 of '), said
    assert len(said[0]) <= harness.LONGEST_LINE, said
  shutil.rmtree(folder)
  return restored.step


def damage_all(saved, where, chosen, capfd, name) -> set[int]:
  rng = harness.rng(name)
  steps, failed = set(), []
  for i, (file, kind) in enumerate(chosen):
    try:
      steps.add(damage(saved, where / f'{i}', file, kind, rng, capfd))
    except Exception as e:
      failed.append(f'{kind} {file}: {type(e).__name__}: {e}')
  assert not failed, '\n'.join(failed)
  return steps


def test_files_of_each_kind_are_damaged(saved, tmp_path, capfd):
  rng = random.Random(0)
  chosen = [
    (file, rng.choice(sorted(DAMAGES))) for file in rng.sample(files(saved), 12)
  ]
  assert damage_all(saved, tmp_path, chosen, capfd, 'some') == {1, 2}


@pytest.mark.slow
@pytest.mark.parametrize('kind', DAMAGES)
def test_every_file_is_damaged(saved, tmp_path, capfd, kind):
  chosen = [(file, kind) for file in files(saved) for _ in range(3)]
  assert damage_all(saved, tmp_path, chosen, capfd, kind)
