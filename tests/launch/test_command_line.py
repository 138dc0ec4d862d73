"""What all commands have in common: errors of one line, exit codes, caches."""

import os

import pytest

from tests import runs
from tests.launch import commands


def test_overrides_may_stand_before_the_configuration(bundle, tmp_path):
  line = commands.fails(
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
  line = commands.fails(f'--compilation_cache={tmp_path}/file')
  assert 'file: is no folder that can be written' in line


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
  done = commands.run_main(body)
  assert (done.returncode, done.stderr) == (code, line)


@pytest.mark.parametrize(
  'body', ["raise ValueError('bug')", "raise OSError(errno.EBADF, 'bug')"]
)
def test_a_bug_keeps_its_traceback(body):
  done = commands.run_main(body)
  assert done.returncode == 1
  assert 'Traceback' in done.stderr and 'in main' in done.stderr


def test_a_full_disk_under_stdout_is_told():
  if not os.path.exists('/dev/full'):
    pytest.skip('no /dev/full')
  done = commands.run_main("print('x')", stdout='/dev/full')
  assert (done.returncode, done.stderr) == (
    2,
    'error: No space left on device\n',
  )


def test_a_reader_that_went_away_is_no_error():
  reader, writer = os.pipe()
  os.close(reader)
  done = commands.run_main("print('x')", stdout=f'/proc/self/fd/{writer}')
  os.close(writer)
  assert (done.returncode, done.stderr) == (1, '')


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
  done = commands.run_script(script, *flags)
  assert (done.returncode, done.stderr) == (
    code,
    'error: can not join the other processes: no; --distributed=off runs'
    ' alone\n',
  )


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
  done = commands.run_script(script)
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
  done = commands.run_script(_STOPPED_WHILE_IT_ENDS)
  assert (done.returncode, done.stderr) == (130, '')
