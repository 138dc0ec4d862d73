"""Command lines drawn from a grammar of all flags end well or in one line.

All of them:
  pytest -m slow tests/attack/test_command_lines.py
MORNING_ATTACK_LINES says how many (1,000), MORNING_ATTACK_SEED which ones (0).
A line that fails is printed; it can be typed as it is.
"""

import os
import pathlib
import random
import shlex
import shutil
from typing import NamedTuple

import pytest

from launch import command_line
from tests import runs
from tests.attack import forked

_FAST = 15


class Value(NamedTuple):
  """A value of a flag.

  Attributes:
    text: the value; `{x}` is a path of the world below.
    bad: whether a line with it must end with code 2.
  """

  text: str
  bad: bool = False


def good(*texts: str) -> list[Value]:
  return [Value(t) for t in texts]


def bad(*texts: str) -> list[Value]:
  return [Value(t, bad=True) for t in texts]


_NO_TEXT = bad('', '{here}/\udcff')
_NO_NUMBER = bad(
  '', 'x', '1.5', '-1', '1e3', '²', str(2**63), '9' * 5000, '0x', '--', 'nan'
)
_NO_FOLDER = [
  *_NO_TEXT,
  *bad('nowhere', '{file}', '{loop}', '{dangling}', '/dev/null', 'n' * 300),
  *bad('n/' * 3000, '{fifo}', '\x1b[31mred', 'a\nb', '" ; $(x)'),
]
_NO_OUTPUT = [
  *_NO_TEXT,
  *bad('{here}', '{fifo}', '/dev/full', 'nowhere/x', '{file}/x', 'n' * 256),
  *bad('/proc/x.json', 'n/' * 3000, '{here}/' + '\N{SNOWMAN}' * 90),
]
_OUTPUTS = good('x', '{here}/x', 'n' * 250, '\N{SNOWMAN}' * 80, '-', ' ')
_BUNDLE = [*good('{bundle}'), *_NO_FOLDER, *bad('{trained}', '{here}')]
_TRAINED = [*good('{trained}'), *_NO_FOLDER, *bad('{bundle}', '{here}')]
_CONFIG = bad(
  '',
  'nowhere.py',
  '{here}',
  '{fifo}',
  '{file}',
  'configs/morning.py:smok',
  '{lacking}',
  '{surplus}',
  '{untyped}',
  '{raising}',
  '{other}',
  '{exiting}',
  '{empty}',
  '{file}:\udcff',
  'n' * 300,
)
_FIELDS = {
  'seed': [*good('1'), *_NO_NUMBER],
  'data.bundle': _NO_FOLDER,
  'data.folds': bad('-1', '1000', 'x', ''),
  'data.valid_share': bad('nan', 'x', ''),
  'data.placement': bad('', 'disk', '0'),
  'data.stream_mib': bad('0', '-1', 'x'),
  'mesh.data': bad('3', '0', 'x', ''),
  'model.encoder': bad('', 'resdual', '1'),
  'model.perspectives': bad('', 'content,none', '()', '((((', '"'),
  'model.image_widths': bad('a', '', '1.5', '(1', '[' * 200),
  'model.init_scale': bad('inf', '-1', 'x'),
  'loss.kind': bad('', 'pairs'),
  'optimizer.learning_rate': bad('nan', '-1', 'x', ''),
  'train.batch_size': [*good('32'), *_NO_NUMBER, *bad('0')],
  'train.epochs': [*_NO_NUMBER, *bad('0')],
  'train.shuffle': bad('maybe', '2', ''),
  'evaluation.every_epochs': bad('0', 'nan', 'inf', 'x'),
  'evaluation.batch_size': bad('0', '-5'),
  'train.epoch': bad('1', ''),
  'trian': bad('1', ''),
}
_DISTRIBUTED = {
  'distributed': [*good('off', 'auto'), *bad('', 'maybe')],
  'coordinator_address': bad('', 'x', 'x:', ':1', 'x:99999', 'x:²', 'x:-1'),
  'num_processes': bad('', 'x', '0', '2', '-1', '9' * 30),
  'process_id': bad('', 'x', '-1', '0', '5'),
}
_EVERYWHERE = {
  'compilation_cache': [
    *_NO_TEXT,
    *bad('{file}', '{file}/x', '/proc/x', 'n' * 256),
  ],
  'wrkdir': bad('x', ''),
  'verbosity': bad('x', ''),
  'flagfile': bad('nowhere', '{here}'),
}


class Grammar(NamedTuple):
  """The command lines of a launcher.

  Attributes:
    always: what every line begins with; later flags win.
    flags: flag -> values to draw from.
    codes: exit codes of lines without a bad value.
    words: words without `--`, of which some lines have one.
  """

  always: list[str]
  flags: dict[str, list[Value]]
  codes: tuple[int, ...] = (0,)
  words: list[Value] = bad('smoke', '', '-', '\udcff', '²')


_GRAMMARS = {
  'train': Grammar(
    [
      '--config={here}/configs/morning.py:smoke',
      '--config.train.epochs=1',
      '--config.data.bundle={bundle}',
    ],
    {
      'config': _CONFIG,
      **{f'config.{k}': v for k, v in _FIELDS.items()},
      'workdir': [
        *good('x', ' ', '\N{SNOWMAN}', '-', 'a\nb'),
        *_NO_TEXT,
        *bad(
          '{trained}',
          '{file}',
          '{fifo}',
          '/dev/null',
          '{loop}',
          'n' * 300,
          '/proc/x',
        ),
      ],
      **_DISTRIBUTED,
      **_EVERYWHERE,
    },
  ),
  'evaluate': Grammar(
    ['--workdir={trained}'],
    {
      'workdir': _TRAINED,
      'bundle': _BUNDLE,
      'split': [
        *good('test', 'train', 'valid,test', 'test,test'),
        *bad('', 'tset', ',', 'test,', 'Test', '²'),
      ],
      'json': [*_OUTPUTS, *_NO_OUTPUT],
      'scores': [*good('s.npz'), *_NO_OUTPUT],
      **_DISTRIBUTED,
      **_EVERYWHERE,
    },
    # Scores of two splits do not fit into one file.
    codes=(0, 2),
  ),
  'graph': Grammar(
    ['--bundle={graph}'],
    {
      'bundle': [*good('{graph}'), *_NO_FOLDER, *bad('{trained}')],
      'edges': [*_NO_TEXT, *bad('nowhere', '{here}', '{file}', '{loop}')],
      'neighbours': [*good('wine'), *bad('', 'wines', '\udcff', 'a\nb')],
      'count': [*good('1', '3', str(2**40)), *_NO_NUMBER, *bad('0')],
      'plot': [*good('x.png', 'x.svg', 'x'), *_NO_OUTPUT, *bad('x.nonsense')],
      'save_vectors': _NO_OUTPUT,
      'workdir': bad('', '/proc/x', 'nowhere', '{file}', '{loop}', '{trained}'),
      'p': bad('', '0', '-1', 'nan', 'inf', 'x', '1e-300'),
      'q': bad('', '0', 'nan', '-inf', '1e300'),
      'seed': [*good('0', str(2**32 - 1)), *_NO_NUMBER, *bad(str(2**32))],
      **_EVERYWHERE,
    },
  ),
  'compare': Grammar(
    [
      '--bundle={bundle}',
      '--methods=similarity',
      '--seeds=1',
      '--folds=2',
      '--jobs=0',
    ],
    {
      'bundle': _BUNDLE,
      'methods': bad('', 'morning-papers', 'similarity,', ',', '²'),
      'folds': [*_NO_NUMBER, *bad('0', '1', '1000')],
      'seeds': [*_NO_NUMBER, *bad('0', '99999999999')],
      'costly_seeds': [*_NO_NUMBER, *bad('0')],
      'curves': bad('', 'epoch', ',', '²'),
      'jobs': [*_NO_NUMBER, *bad('99999999')],
      'workdir': [
        *good('x', '\N{SNOWMAN}'),
        *_NO_TEXT,
        *bad('{file}', '{fifo}', '/dev/null', '{loop}', 'n' * 300, '/proc/x'),
      ],
      **_EVERYWHERE,
    },
  ),
  'compile': Grammar(
    [
      '--topology=v5e:2x2',
      '--config={here}/configs/morning.py:smoke',
      '--features=content_text:8',
    ],
    {
      'config': _CONFIG,
      'topology': bad('', 'v5e', 'v5e:', 'v9:2x2', 'v5e:0x2', 'v5e:²x2', ':'),
      'brands': [*_NO_NUMBER, *bad('0', str(2**31))],
      'influencers': [*_NO_NUMBER, *bad('0')],
      'features': bad('', 'content_text', 'x:1', 'content_text:²', ':', ','),
      'sweep': bad('', 'brands', 'brands:', 'x:1', 'brands:0', 'brands:²'),
      'config.train.batch_size': [*_NO_NUMBER, *bad('0')],
      **_EVERYWHERE,
    },
    codes=(0, 1),
  ),
  'import_release': Grammar(
    ['--features={here}', '--bundle=new'],
    {
      'features': _NO_FOLDER,
      'bundle': [*_NO_TEXT, *bad('{bundle}', '{file}', '{file}/x')],
      'test_pairs': [*_NO_TEXT, *bad('nowhere', '{here}', '{file}')],
      **_EVERYWHERE,
    },
    codes=(2,),
  ),
  'convert_weights': Grammar(
    ['--weights={file}', '--output=w.safetensors'],
    {
      'weights': [*_NO_TEXT, *bad('nowhere', '{here}', '{file}', '{fifo}')],
      'output': [*_NO_OUTPUT, *bad('w.pth', 'w')],
      **_EVERYWHERE,
    },
    codes=(2,),
  ),
  'benchmark': Grammar(
    ['--quick', '--peers=none'],
    {
      'json': _NO_OUTPUT,
      'peers': bad('', 'all'),
      'bundle': [*_NO_FOLDER, *bad('{trained}')],
      'folder': _NO_FOLDER,
      **{
        k: [*_NO_NUMBER, *bad('0')]
        for k in ('repeats', 'epochs', 'influencers', 'width', 'brands', 'k')
      },
      'batch_sizes': bad('', '0', 'x', '1,', '²', '9' * 5000, '1,-1'),
      'devices': bad('', '0', '1000000', 'x'),
      'accounts': bad('', '1', '99', 'x'),
      **_EVERYWHERE,
    },
    codes=(2,),  # without a benchmark's name
    words=bad('', 'trainings', '²', '-'),
  ),
}


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


def draw(rng: random.Random, grammar: Grammar) -> tuple[list[str], bool]:
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
    line, must_fail = draw(rng, _GRAMMARS[name])
    try:
      check(
        launchers(name),
        name,
        _GRAMMARS[name],
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
  run_lines(count, seed, sorted(_GRAMMARS), world, launchers, tmp_path)


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
