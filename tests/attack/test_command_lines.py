"""Command lines drawn from a grammar of all flags end well or in one line.

All of them:
  pytest -m slow tests/attack/test_command_lines.py
MORNING_ATTACK_LINES says how many (1,000), MORNING_ATTACK_SEED which ones (0),
MORNING_ATTACK_COMMANDS of which launchers (`recommend,serve`; all of them).
A line that fails is printed; it can be typed as it is.
"""

import os
import pathlib
import random
import re
import shlex
import shutil

import pytest

from launch import command_line
from tests import runs
from tests.attack import command_grammars
from tests.attack import forked

_FAST = 15


@pytest.fixture(scope='module')
def world(tmp_path_factory):
  """What lies on the disk that the lines name."""
  root = tmp_path_factory.mktemp('world')
  paths = {
    name: root / name
    for name in ('bundle', 'trained', 'graph', 'file', 'fifo', 'loop')
  }
  runs.write_bundle(paths['bundle'])
  c = runs.config(paths['bundle'], train__epochs=1, **runs.NARROW)
  runs.run(c, paths['trained'])
  _write_graph(paths['graph'])
  paths['file'].write_text('not what you think\n')
  os.mkfifo(paths['fifo'])
  paths['loop'].symlink_to(paths['loop'])
  paths['dangling'] = root / 'dangling'
  paths['dangling'].symlink_to(root / 'nothing')
  begin = 'from configs import morning\ndef get_config(variant=""):\n  '
  take = 'c = morning.get_config("smoke")\n  c.unlock()\n  '
  for name, text in {
    'lacking': begin + take + 'del c.train["epochs"]\n  return c\n',
    'surplus': begin + take + 'c.train.epoch = 1\n  return c\n',
    'untyped': begin
    + take
    + 'with c.ignore_type(): c.train.epochs = "1"\n  return c\n',
    'raising': begin + 'return 1 / 0\n',
    'other': begin + 'return {}\n',
    'exiting': begin + 'raise SystemExit(0)\n',
    'empty': '',
  }.items():
    paths[name] = root / f'{name}.py'
    paths[name].write_text(text)
  return {k: str(v) for k, v in paths.items()}


def _write_graph(folder: pathlib.Path) -> None:
  folder.mkdir()
  for name, text in {
    'accounts.csv': 'account_id,role,category,split\n'
    'b,brand,drink,train\nm,influencer,,\n',
    'interactions.csv': 'brand_id,influencer_id\nb,m\n',
    'attributes.csv': 'attribute_id,name\n0,wine\n1,food\n2,beer\n',
    'account_attributes.csv': 'role,account_id,attribute_id\n'
    'brand,b,0\nbrand,b,1\ninfluencer,m,2\n',
  }.items():
    (folder / name).write_text(text)


@pytest.fixture(scope='module')
def launchers():
  """The servers, started when one is first asked for."""
  started: dict[str, forked.Launcher] = {}

  def launcher(name: str) -> forked.Launcher:
    if name not in started:
      started[name] = forked.Launcher(f'launch.{name}')
    return started[name]

  yield launcher
  for server in started.values():
    server.close()


def draw(
  rng: random.Random, grammar: command_grammars.Grammar
) -> tuple[list[str], bool]:
  """Draws a command line; tells whether it must end with code 2."""
  line = list(grammar.always)
  must_fail = False
  for flag in rng.sample(sorted(grammar.flags), rng.choice((1, 1, 2, 3))):
    value = rng.choice(grammar.flags[flag])
    must_fail |= value.bad
    line = [w for w in line if not w.startswith(f'--{flag}=')]
    line += [f'--{flag}={value.text}']
  if rng.random() < 0.05:
    word = rng.choice(grammar.words)
    must_fail |= word.bad
    line.append(word.text)
  rng.shuffle(line)
  return line, must_fail


def _snapshot(folder: pathlib.Path) -> dict[str, int]:
  return {
    str(path): path.lstat().st_mtime_ns if not path.is_dir() else 0
    for path in folder.rglob('*')
  }


def check(launcher, name, grammar, line, must_fail, world, folder) -> None:
  """Runs a line and demands what every line has to keep to."""
  folder.mkdir()
  before = _snapshot(pathlib.Path(world['bundle']).parent)
  fill = {**world, 'here': str(folder)}
  args = [_filled(word, fill) for word in line]
  os.symlink(runs.ROOT / 'configs', folder / 'configs')
  ended = launcher.run(*args, folder=folder)
  shown = (
    f'cd {folder}; python -m launch.{name} {shlex.join(args)}'[:2000]
    + f'\n{ended}'[:6000]
  )
  assert ended.code is not None, f'hangs: {shown}'
  assert not ended.left, f'leaves processes: {shown}'
  assert 'Traceback' not in ended.stdout + ended.stderr, shown
  codes = (2,) if must_fail else grammar.codes
  assert ended.code in codes, f'not {codes}: {shown}'
  (folder / 'configs').unlink()
  left = [p for p in folder.rglob('*') if p.name.endswith('.draft')]
  assert not left, shown
  if ended.code == 2:
    said = [
      text
      for text in ended.stderr.split('\n')
      if text and not text.startswith(('note: ', '\r'))
    ]
    assert len(said) == 1 and said[0].startswith('error: '), shown
    assert len(said[0]) <= 300 and said[0].isprintable(), shown
    assert not list(folder.iterdir()), f'leaves files: {shown}'
  if '{trained}' not in line:
    assert _snapshot(pathlib.Path(world['bundle']).parent) == before, shown
  shutil.rmtree(folder)


def _filled(word: str, paths: dict[str, str]) -> str:
  for name, path in paths.items():
    word = word.replace(f'{{{name}}}', path)
  return word


def run_lines(count, seed, names, world, launchers, tmp_path) -> None:
  rng = random.Random(seed)
  failed = []
  for number in range(count):
    name = rng.choice(names)
    line, must_fail = draw(rng, command_grammars.GRAMMARS[name])
    try:
      check(
        launchers(name),
        name,
        command_grammars.GRAMMARS[name],
        line,
        must_fail,
        world,
        tmp_path / str(number),
      )
    except AssertionError as e:
      failed.append(f'line {number}: {e}')
      print(failed[-1], flush=True)  # a run of hours need not reach its end
  assert not failed, f'{len(failed)} of {count}:\n' + '\n\n'.join(failed)


def test_a_few_lines(world, launchers, tmp_path):
  run_lines(_FAST, 1, ['train', 'graph'], world, launchers, tmp_path)


@pytest.mark.slow
def test_many_lines(world, launchers, tmp_path):
  count = int(os.environ.get('MORNING_ATTACK_LINES', '1000'))
  seed = int(os.environ.get('MORNING_ATTACK_SEED', '0'))
  names = os.environ.get('MORNING_ATTACK_COMMANDS')
  run_lines(
    count,
    seed,
    names.split(',') if names else sorted(command_grammars.GRAMMARS),
    world,
    launchers,
    tmp_path,
  )


def test_a_closed_stdout_is_told(launchers, world, tmp_path):
  folder = tmp_path / 'run'
  folder.mkdir()
  ended = launchers('graph').run(
    f'--bundle={world["graph"]}', folder=folder, closed=1
  )
  assert ended.code == 2
  assert ended.stderr.startswith('error: stdout is closed')
  assert ended.stderr.count('\n') == 1


@pytest.mark.slow
def test_a_closed_stderr_does_not_end_training(launchers, world, tmp_path):
  folder = tmp_path / 'run'
  folder.mkdir()
  ended = launchers('train').run(
    f'--config={runs.ROOT}/configs/morning.py:smoke',
    f'--config.data.bundle={world["bundle"]}',
    '--config.train.epochs=1',
    '--workdir=x',
    folder=folder,
    closed=2,
  )
  assert (ended.code, ended.stderr) == (0, '')
  assert (folder / 'x' / 'metrics.json').exists()


def test_a_nul_is_told(capsys):
  with pytest.raises(SystemExit) as e:
    command_line._parse_flags(['x', '--workdir=a\0b'])
  assert e.value.code == 2
  assert capsys.readouterr().err == (
    'error: in the flags: --workdir=a\\x00b holds a NUL\n'
  )


def test_every_flag_of_every_launcher_is_drawn():
  launchers = {
    path.stem: path.read_text()
    for path in (runs.ROOT / 'launch').glob('*.py')
    if '\n  command_line.run(main' in path.read_text()
  }
  assert len(launchers) > 10
  missing = [
    f'{name} --{flag}'
    for name, text in launchers.items()
    for flag in re.findall(r"flags\.DEFINE_[a-z_]+\(\s*'(\w+)'", text)
    if flag not in command_grammars.GRAMMARS[name].flags
  ]
  assert missing == []
