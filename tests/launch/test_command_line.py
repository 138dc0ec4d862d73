"""Mistakes end in one line and exit code 2, and nothing is written."""

import errno
import os
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from launch import command_line
from launch import config_file
from launch import devices
from launch import standard_streams
from morning_jax.core import errors
from tests import runs
from tests.attack import harness


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@pytest.fixture(scope='module')
def trained(bundle, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('runs') / 'trained'
  done = runs.launch(
    '--config=configs/morning.py:smoke',
    '--config.train.epochs=1',
    f'--config.data.bundle={bundle}',
    f'--workdir={workdir}',
  )
  assert done.returncode == 0, done.stderr
  assert f'launch.evaluate --workdir={workdir}' in done.stdout
  return workdir


def fails(*args, module='train') -> str:
  """Runs a launcher that must fail; returns its one line."""
  done = runs.launch(*args, module=module)
  lines = [
    line
    for line in done.stderr.splitlines()
    if line and not line.startswith('note: ')
  ]
  assert done.returncode == 2, done.stderr
  assert len(lines) == 1, done.stderr
  assert lines[0].startswith('error: ')
  assert 'Traceback' not in done.stderr + done.stdout
  return lines[0]


FLAGS = {
  'unknown field': (['--config.train.epoch=3'], 'near: train.epochs'),
  'unknown section': (['--config.trian.epochs=3'], 'near: train.epochs'),
  'wrong type': (['--config.train.epochs=many'], 'config.train.epochs=many'),
  'unknown variant': (['--config=configs/morning.py:smok'], 'smoke'),
  'no such file': (['--config=nope.py'], 'no such file nope.py'),
  'unknown flag': (['--wrkdir=x'], 'workdir'),
  'positional': (['smoke'], "unexpected argument 'smoke'"),
  'out of range': (['--config.train.batch_size=0'], 'at least 1'),
  'a field before its file': (
    ['--config.train.batch_size=0', '--config=configs/morning.py:paper'],
    'at least 1',
  ),
  'unknown value': (['--config.model.encoder=resdual'], 'residual'),
  'mesh': (['--config.mesh.data=3'], 'needs 3 devices, there are 1'),
  'infinite': (
    ['--config.evaluation.every_epochs=inf'],
    'config.evaluation.every_epochs=inf is not finite',
  ),
  'a seed below 0, of folds': (
    ['--config.seed=-1', '--config.data.folds=2'],
    'config.seed=-1 must be at least 0',
  ),
  'too many steps': (
    [f'--config.train.epochs={2**31 - 1}', '--config.train.batch_size=16'],
    'steps at most',
  ),
}


@pytest.mark.parametrize('name', FLAGS)
def test_mistakes_in_the_flags(name, bundle, tmp_path):
  args, said = FLAGS[name]
  line = fails(
    *args, f'--config.data.bundle={bundle}', f'--workdir={tmp_path}/run'
  )
  assert said in line
  assert list(tmp_path.iterdir()) == []


def _truncate(folder):
  path = folder / 'content_text.npy'
  path.write_bytes(path.read_bytes()[:-100])


def _pickle(folder):
  np.save(folder / 'content_text.npy', np.array([[None]], object))


def _unknown_account(folder):
  with (folder / 'interactions.csv').open('a') as f:
    f.write('nobody,no one\n')


MISTAKES = {
  'missing file': (lambda f: (f / 'accounts.csv').unlink(), 'accounts.csv'),
  'truncated': (_truncate, 'content_text.npy'),
  'pickled': (_pickle, 'never loaded'),
  'unknown account': (_unknown_account, 'interactions.csv, row '),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_mistakes_in_the_bundle(name, bundle, tmp_path):
  damage, said = MISTAKES[name]
  folder = tmp_path / 'data'
  shutil.copytree(bundle, folder)
  damage(folder)
  line = fails(f'--config.data.bundle={folder}', f'--workdir={tmp_path}/run')
  assert said in line
  assert [p.name for p in tmp_path.iterdir()] == ['data']


def test_names_are_listed_with_commas(bundle, tmp_path):
  done = runs.launch(
    '--config=configs/morning.py:smoke',
    '--config.train.epochs=1',
    '--config.model.perspectives=content,audience',
    '--config.model.modalities=text',
    f'--config.data.bundle={bundle}',
    f'--workdir={tmp_path}/run',
  )
  assert done.returncode == 0, done.stderr
  assert 'audience/text/' in done.stdout and 'content/text/' in done.stdout
  assert 'attribute/' not in done.stdout and '/image/' not in done.stdout


def test_overrides_may_stand_before_the_configuration(bundle, tmp_path):
  line = fails(
    '--config.train.batch_size=0',
    '--config=configs/morning.py:smoke',
    f'--config.data.bundle={bundle}',
    f'--workdir={tmp_path}/run',
  )
  assert 'config.train.batch_size=0' in line


@pytest.mark.parametrize(
  'module',
  ['train', 'evaluate', 'compare', 'import_release', 'convert_weights'],
)
def test_help_has_an_example(module):
  done = runs.launch('--help', module=module)
  assert done.returncode == 0
  assert f'python -m launch.{module} ' in done.stdout


def test_compiled_programs_are_kept(trained, tmp_path):
  cache = tmp_path / 'new' / 'cache'
  options = (f'--workdir={trained}', f'--compilation_cache={cache}')
  done = runs.launch(*options, module='evaluate')
  assert done.returncode == 0, done.stderr
  kept = {p.name for p in cache.iterdir()}
  assert any(name.startswith('jit_encode') for name in kept)
  again = runs.launch(*options, module='evaluate')
  assert again.stdout == done.stdout
  programs = {n for n in kept if n.endswith('-cache')}
  assert programs == {
    p.name for p in cache.iterdir() if p.name.endswith('-cache')
  }


def test_a_cache_that_is_no_folder(tmp_path):
  (tmp_path / 'file').write_text('')
  line = fails(f'--compilation_cache={tmp_path}/file')
  assert 'file: is no folder that can be written' in line


def test_evaluate_writes_metrics_and_scores(trained, tmp_path):
  done = runs.launch(
    f'--workdir={trained}',
    '--split=valid',
    f'--json={tmp_path}/m.json',
    f'--scores={tmp_path}/s.npz',
    module='evaluate',
  )
  assert done.returncode == 0, done.stderr
  with np.load(tmp_path / 's.npz', allow_pickle=False) as scores:
    assert set(scores.files) == {
      'brand_ids',
      'influencer_ids',
      'scores',
      'content',
      'audience',
      'attribute',
    }
    shape = (len(scores['brand_ids']), len(scores['influencer_ids']))
    total = scores['content'] + scores['audience'] + scores['attribute']
    assert scores['scores'].shape == shape == total.shape
    np.testing.assert_allclose(scores['scores'], total, rtol=1e-5, atol=1e-5)


def test_a_foreign_bundle_that_does_not_fit(trained, bundle, tmp_path):
  folder = tmp_path / 'data'
  shutil.copytree(bundle, folder)
  (folder / 'audience_image.npy').unlink()
  (
    folder / 'feature_names.csv'
  ).unlink()  # names more numbers than there will be
  x = np.load(folder / 'content_text.npy')
  np.save(folder / 'content_text.npy', x[:, :-1])
  line = fails(f'--workdir={trained}', f'--bundle={folder}', module='evaluate')
  assert 'no audience_image, which audience needs' in line
  size = x.shape[1]
  assert f'content_text has {size - 1} features, the model' in line


def test_a_foreign_bundle_that_fits(trained, bundle, tmp_path):
  folder = tmp_path / 'data'
  shutil.copytree(bundle, folder)
  accounts = folder / 'accounts.csv'
  accounts.write_text(accounts.read_text().replace(',train,', ',test,'))
  done = runs.launch(
    f'--workdir={trained}', f'--bundle={folder}', module='evaluate'
  )
  assert done.returncode == 0, done.stderr
  assert 'test ' in done.stdout


EVALUATE = {
  'unknown split': (['--split=tset'], 'train, valid, test'),
  'no folder for the file': (['--json=nowhere/m.json'], 'does not exist'),
  'two splits': (['--split=valid,test', '--scores=s.npz'], 'one split'),
}


@pytest.mark.parametrize('name', EVALUATE)
def test_mistakes_of_evaluation(trained, name):
  args, said = EVALUATE[name]
  assert said in fails(f'--workdir={trained}', *args, module='evaluate')


COMPILE = {
  'out of range': (
    ['--topology=v5e:2x2', '--config.train.batch_size=0'],
    'config.train.batch_size=0 must be at least 1',
  ),
  'no number': (['--topology=v5e:²x2'], 'is no chip and shape as in v5e:4x4'),
  'no feature': (
    ['--topology=v5e:2x2', '--features=content_image:0'],
    "'content_image:0' is no feature:size",
  ),
  'no size': (
    ['--topology=v5e:2x2', '--sweep=brands:²'],
    'is not of the form batch_size:256,1024',
  ),
  'too many': (['--topology=v5e:2x2', '--brands=2147483648'], 'brands'),
  'no chips': (['--topology=v5e:0x4'], 'is no chip and shape as in v5e:4x4'),
}


@pytest.mark.parametrize(
  'name', runs.slow_but({'out of range', 'no chips'}, COMPILE)
)
def test_mistakes_of_compilation(name):
  args, said = COMPILE[name]
  assert said in fails(*args, module='compile')


OUTPUTS = {
  'metrics': ('evaluate', ['--workdir=nowhere', '--json={}']),
  'scores': ('evaluate', ['--workdir=nowhere', '--scores={}']),
  'figures': ('benchmark', ['paper', '--quick', '--json={}']),
  'picture': ('graph', ['--bundle=nowhere', '--plot={}']),
  'vectors': ('graph', ['--bundle=nowhere', '--save_vectors={}']),
}


@pytest.mark.parametrize('name', runs.slow_but({'metrics'}, OUTPUTS))
def test_what_is_no_file_is_not_written(name, tmp_path):
  module, args = OUTPUTS[name]
  line = fails(*(a.format(tmp_path) for a in args), module=module)
  assert line.endswith(f'={tmp_path}: is no file')
  assert list(tmp_path.parent.glob('*.draft')) == []


def test_a_device_is_not_replaced_by_a_file(tmp_path):
  pipe = tmp_path / 'pipe'
  os.mkfifo(pipe)
  line = fails('--workdir=nowhere', f'--json={pipe}', module='evaluate')
  assert line.endswith(f'--json={pipe}: is no file')
  assert pipe.is_fifo()


def test_no_checkpoint(tmp_path):
  line = fails(f'--workdir={tmp_path}', module='evaluate')
  assert 'has no checkpoint' in line


def run_script(script: str, *args: str, stdout: str | None = None):
  with open(stdout or os.devnull, 'w') as out:
    return subprocess.run(
      [sys.executable, '-c', script, *args],
      cwd=runs.ROOT,
      env={**runs.environment(), 'PYTHONUNBUFFERED': ''},
      stdout=out,
      stderr=subprocess.PIPE,
      text=True,
      check=False,
    )


def run_main(body: str, **kwargs):
  """Runs a launcher whose `main` has this body."""
  return run_script(
    'import errno\n'
    'from launch import command_line\n'
    'from morning_jax.core import errors\n'
    f'def main(argv):\n  {body}\n'
    'command_line.run(main)\n',
    **kwargs,
  )


RAISED = {
  'a mistake': ("raise errors.UserError('no\\nx')", 2, 'error: no x\n'),
  'may pass': ("raise errors.TransientError('late')", 75, 'error: late\n'),
  'a path': (
    "open('README.md/x', 'w')",
    2,
    'error: README.md/x: Not a directory\n',
  ),
  'a disk': (
    "raise OSError(errno.ENOSPC, 'x')",
    2,
    'error: No space left on device\n',
  ),
  'a mount': (
    "raise OSError(errno.ENOTCONN, 'x', '/mnt/b/f')",
    75,
    'error: /mnt/b/f: Transport endpoint is not connected\n',
  ),
  'memory': (
    "raise MemoryError('Unable to allocate 9 GiB')",
    2,
    'error: memory does not suffice: Unable to allocate 9 GiB\n',
  ),
  'memory of a device': (
    "raise RuntimeError('Out of memory allocating 9 bytes.')",
    2,
    'error: memory does not suffice: Out of memory allocating 9 bytes.\n',
  ),
  'in words': (
    """raise ValueError('Error writing local file "/d/params": Failed to'
      " write 3737 bytes: No space left on device [os_error_code='28']")""",
    2,
    'error: /d/params: No space left on device\n',
  ),
  'in words, of a file': (
    """raise ValueError('Failed writing: "/d/params/d/6ab": Failed to write 13'
      " bytes to file 3: Disk quota exceeded [os_error_code='122']")""",
    2,
    'error: /d/params/d/6ab: Disk quota exceeded\n',
  ),
  'in words, of a folder': (
    """raise ValueError('Failed to create directory: "/d/d\\\\x00\\\\x35": No'
      " space left on device [os_error_code='28']")""",
    2,
    'error: /d/d: No space left on device\n',
  ),
}


@pytest.mark.parametrize(
  'name', runs.slow_but({'a mistake', 'may pass', 'a disk'}, RAISED)
)
def test_what_main_raises_is_one_line(name):
  body, code, line = RAISED[name]
  done = run_main(body)
  assert (done.returncode, done.stderr) == (code, line)


@pytest.mark.parametrize(
  'body', ["raise ValueError('bug')", "raise OSError(errno.EBADF, 'bug')"]
)
def test_a_bug_keeps_its_traceback(body):
  done = run_main(body)
  assert done.returncode == 1
  assert 'Traceback' in done.stderr and 'in main' in done.stderr


def test_a_full_disk_under_stdout_is_told():
  if not os.path.exists('/dev/full'):
    pytest.skip('no /dev/full')
  done = run_main("print('x')", stdout='/dev/full')
  assert (done.returncode, done.stderr) == (
    2,
    'error: No space left on device\n',
  )


def test_a_reader_that_went_away_is_no_error():
  reader, writer = os.pipe()
  os.close(reader)
  done = run_main("print('x')", stdout=f'/proc/self/fd/{writer}')
  os.close(writer)
  assert (done.returncode, done.stderr) == (1, '')


def test_a_disk_that_is_full_ends_training_in_one_line(bundle, tmp_path):
  command = runs.command(
    '--config=configs/morning.py:smoke',
    '--config.train.epochs=1',
    f'--config.data.bundle={bundle}',
    f'--workdir={tmp_path}/run',
  )
  done = subprocess.run(
    ['bash', '-c', 'ulimit -f 40; exec "$@"', 'bash', *command],
    cwd=runs.ROOT,
    # The limit would leave broken programs in the cache that tests share.
    env={**runs.environment(), 'JAX_ENABLE_COMPILATION_CACHE': 'false'},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2, done.stderr
  line = harness.assert_one_line(done.stderr)
  assert line.startswith(f'error: {tmp_path}/run/checkpoints/')
  assert line.endswith(': File too large')


@pytest.mark.parametrize(
  ('raised', 'code'), [('RuntimeError', 75), ('ValueError', 2)]
)
def test_peers_that_are_late_are_no_mistake(raised, code):
  script = (
    'import jax\n'
    'from launch import command_line, distributed\n'
    'def initialize(**_):\n'
    f'  raise {raised}("no\\nmore")\n'
    'jax.distributed.initialize = initialize\n'
    'command_line.run(lambda argv: distributed.join())\n'
  )
  flags = ['--coordinator_address=x:1', '--num_processes=2', '--process_id=0']
  done = run_script(script, *flags)
  assert (done.returncode, done.stderr) == (
    code,
    'error: can not join the other processes: no; --distributed=off runs'
    ' alone\n',
  )


OUTPUT_PLACES = {
  'a name that is too long': ('{}/' + 'n' * 256, 'File name too long'),
  'a file system that takes none': ('/proc/x', 'No such file or directory'),
  'a folder that is not there': ('{}/x/y', 'its folder does not exist'),
  'a file in place of a folder': ('{}/file/y', 'its folder does not exist'),
  'a folder': ('{}', 'is no file'),
  'a device': ('/dev/full', 'is no file'),
}


@pytest.mark.parametrize('name', OUTPUT_PLACES)
def test_an_output_is_tried_before_the_work(name, tmp_path):
  path, said = OUTPUT_PLACES[name]
  (tmp_path / 'file').touch()
  with pytest.raises(errors.UserError, match='^--json=.*: ' + said):
    command_line.check_output_files(json=path.format(tmp_path))
  assert [p.name for p in tmp_path.iterdir()] == ['file']


def test_a_full_disk_is_seen_before_the_work(tmp_path, monkeypatch):
  def full(_):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', full)
  with pytest.raises(errors.UserError, match=r'^--json=.*: No space left'):
    command_line.check_output_files(json=str(tmp_path / 'x'))
  assert list(tmp_path.iterdir()) == []


def test_what_can_be_written_passes_and_is_left_alone(tmp_path):
  old = tmp_path / 'old'
  old.write_text('old')
  names = ['n' * 255, '\N{SNOWMAN}' * 85, 'x']
  paths = dict(zip('abc', (str(tmp_path / n) for n in names), strict=True))
  command_line.check_output_files(json=str(old), scores=None, **paths)
  assert old.read_text() == 'old'
  assert [p.name for p in tmp_path.iterdir()] == ['old']


def test_two_outputs_are_two_files(tmp_path):
  (tmp_path / 'link').symlink_to(tmp_path / 'x')
  with pytest.raises(errors.UserError, match='--json names too'):
    command_line.check_output_files(
      json=str(tmp_path / 'x'), scores=str(tmp_path / 'link')
    )


def test_the_table_is_shown_before_its_file_is_written(tmp_path):
  script = (
    'import errno\n'
    'from launch import command_line, evaluate\n'
    'metrics = {"num_brands": 7, "per_category": {}}\n'
    'def fail(*_):\n'
    '  raise OSError(errno.EDQUOT, "x", "m.json")\n'
    'evaluate.evaluate.evaluate = lambda *_, **__: {"test": metrics}\n'
    'evaluate.files.write_json = fail\n'
    'command_line.run(evaluate.main)\n'
  )
  table = tmp_path / 'table'
  done = run_script(
    script, '--workdir=x', f'--json={tmp_path}/m.json', stdout=str(table)
  )
  assert (done.returncode, done.stderr) == (
    2,
    'error: m.json: Disk quota exceeded\n',
  )
  assert 'test' in table.read_text() and ' 7 ' in table.read_text()


_CHANGES = {
  'a field that is missing': (
    'del c.train["epochs"]',
    'lacks train.epochs;',
  ),
  'a part that is missing': (
    'del c["evaluation"]',
    'lacks evaluation.batch_size, evaluation.every_epochs,'
    ' evaluation.patience;',
  ),
  'a field too many': ('c.train.epoch = 1', 'has an unknown train.epoch;'),
  'another type': (
    'with c.ignore_type(): c.train.epochs = "1"',
    "train.epochs='1' is of type str, must be int",
  ),
  'a mistake': ('c.none', 'row 6: AttributeError:'),
  'an end': ('raise SystemExit', 'row 6: SystemExit: '),
  'something else': ('return 7', 'get_config returns no ConfigDict but a int'),
}


@pytest.mark.parametrize('name', _CHANGES)
def test_a_configuration_file_of_ones_own_is_complete(name, tmp_path):
  change, said = _CHANGES[name]
  path = tmp_path / 'mine.py'
  path.write_text(
    'from configs import morning\n\n\ndef get_config():\n'
    f'  c = morning.get_config("smoke").unlock()\n  {change}\n  return c\n'
  )
  with pytest.raises(errors.UserError) as e:
    config_file.complete(['x', f'--config={path}'])
  assert str(e.value).startswith(f'--config={path}: ')
  assert said in str(e.value)


def test_a_configuration_file_of_ones_own_may_change_what_it_likes(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'from configs import morning\n\n\ndef get_config(variant):\n'
    '  c = morning.get_config(variant).unlock()\n'
    '  c.data.bundle = "x"\n  c.data.valid_share = 0\n  return c\n'
  )
  words = ['x', '--config.train.epochs=1', f'--config={path}:paper']
  assert config_file.complete(words) == [words[0], words[2], words[1]]


def test_a_stderr_that_went_away_is_no_reason_to_end():
  reader, writer = os.pipe()
  os.close(reader)
  with os.fdopen(writer, 'w', 1) as broken:
    stream = standard_streams.Lasting(broken)
    print('a note', file=stream, flush=True)
    print('another', file=stream, flush=True)
    assert stream.fileno() == writer


_STOPPED = """
import os, signal, time
# A job that a shell puts into the background ignores it from the start.
signal.signal(signal.SIGINT, signal.default_int_handler)
from launch import command_line
def stop():
  os.kill(os.getpid(), signal.SIGINT)
  time.sleep(100)
def main(argv):
  try:
    stop()
  finally:
    stop()
command_line.run(main)
"""


@pytest.mark.parametrize('times', [1, 2])
def test_ctrl_c_is_one_line_however_often(times):
  script = _STOPPED
  if times == 1:
    script = script.replace('finally:\n    stop', 'finally:\n    print')
  done = run_script(script)
  assert (done.returncode, done.stderr) == (130, 'stopped from the keyboard\n')


_STOPPED_WHILE_IT_ENDS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = '-m'  # as it is while `python -m launch.train` is imported
import launch
class Last:
  def __init__(self):
    self.again = os.kill, os.getpid(), signal.SIGINT
  def __del__(self):
    kill, *once_more = self.again
    kill(*once_more)
last = Last()
sys.exit(130)
"""


def test_ctrl_c_while_python_ends_changes_no_exit_code():
  done = run_script(_STOPPED_WHILE_IT_ENDS)
  assert (done.returncode, done.stderr) == (130, '')


@pytest.mark.parametrize(
  ('environment', 'devices_there', 'wanted'),
  [
    ({}, (), 'cpu'),
    ({'JAX_PLATFORMS': 'tpu'}, (), None),
    ({'JAX_PLATFORMS': ''}, (), None),
    ({}, ('/dev/accel0',), None),
    ({}, ('/dev/vfio/0',), None),
  ],
)
def test_a_tpu_is_looked_for_where_there_may_be_one(
  monkeypatch, environment, devices_there, wanted
):
  monkeypatch.delenv('JAX_PLATFORMS')
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  set_to = []
  config = types.SimpleNamespace(update=lambda *a: set_to.append(a))
  monkeypatch.setattr(devices, 'jax', types.SimpleNamespace(config=config))
  monkeypatch.setattr(
    devices.importlib.util, 'find_spec', lambda n: n == 'libtpu' or None
  )
  monkeypatch.setattr(devices.metadata, 'entry_points', lambda **_: ())
  monkeypatch.setattr(
    devices.glob,
    'glob',
    lambda p: [d for d in devices_there if d[:-1] == p.removesuffix('[0-9]*')],
  )
  devices.look_for_present_ones()
  assert set_to == ([('jax_platforms', wanted)] if wanted else [])
  monkeypatch.delenv('JAX_PLATFORMS', raising=False)


def test_a_launcher_without_a_tpu_is_quiet(trained):
  pytest.importorskip('libtpu')
  environment = runs.environment()
  del environment['JAX_PLATFORMS']
  done = subprocess.run(
    runs.command(f'--workdir={trained}', module='evaluate'),
    env=environment,
    cwd=runs.ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0
  assert runs.error_lines(done.stderr) == []
