"""Two processes of four devices do what one of eight does, and survive losses.

The processes are real ones on this machine; they meet over localhost.
"""

from concurrent import futures
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from morning_jax.checkpoint import workdir as workdir_lib
from morning_jax.data import packing
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.training import history
from tests import runs
from tests.checkpoint import test_manager

_STEPS = 16  # of the configuration below


def arguments(bundle: pathlib.Path, workdir: pathlib.Path) -> list[str]:
  return [
    '--config=configs/morning.py:smoke',
    f'--config.data.bundle={bundle}',
    '--config.model.perspectives=("content",)',  # compiles faster
    '--config.train.epochs=4',
    '--config.train.steps_per_call=4',
    '--config.evaluation.every_epochs=1',
    # Sums in another order differ in the last bits. Adam divides a gradient by
    # its own size plus epsilon: with 1e-8, one of that size becomes a step of
    # another one in its noise.
    '--config.optimizer.epsilon=1e-4',
    f'--workdir={workdir}',
  ]


def start_two(
  *args: str, module: str = 'train', differ: tuple[str, ...] = ('', '')
) -> list[subprocess.Popen[str]]:
  """Starts two processes; `differ` gives each an argument of its own."""
  port = runs.free_port()
  return [
    subprocess.Popen(
      runs.command(
        *args,
        *([own] if own else []),
        f'--coordinator_address=127.0.0.1:{port}',
        '--num_processes=2',
        f'--process_id={index}',
        module=module,
      ),
      env=runs.environment(4),
      cwd=runs.ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for index, own in enumerate(differ)
  ]


def run_two(
  *args: str, module: str = 'train', differ: tuple[str, ...] = ('', '')
) -> list[tuple[int, str, str]]:
  """Runs two processes to their ends, as `start_two` and `ends` would."""
  port = runs.free_port()

  def run(index: int) -> tuple[int, str, str]:
    own = differ[index]
    done = runs.launch(
      *args,
      *([own] if own else []),
      f'--coordinator_address=127.0.0.1:{port}',
      '--num_processes=2',
      f'--process_id={index}',
      devices=4,
      module=module,
      server=index,
    )
    return done.returncode, done.stdout, done.stderr

  with futures.ThreadPoolExecutor(2) as pool:
    return list(pool.map(run, range(2)))


def ends(
  processes: list[subprocess.Popen[str]], timeout: float = runs.PATIENCE
) -> list[tuple[int, str, str]]:
  """Waits for all; returns exit code, stdout and stderr of each."""
  out = []
  for process in processes:
    try:
      stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
      for p in processes:
        p.kill()
      raise
    out.append((process.returncode, stdout, stderr))
  return out


def wait_for_checkpoint(
  workdir: pathlib.Path,
  processes: list[subprocess.Popen[str]],
  after: int = 0,
) -> None:
  """Waits for a checkpoint newer than a step, of a run that goes on."""
  deadline = time.monotonic() + runs.PATIENCE
  while runs.newest_step(workdir) <= after:
    assert time.monotonic() < deadline, 'no checkpoint'
    assert all(p.poll() is None for p in processes), ends(processes)
    time.sleep(0.02)


@pytest.fixture(scope='module')
def together(bundle, tmp_path_factory):
  """A run of two processes that nothing disturbs."""
  workdir = tmp_path_factory.mktemp('together')
  first, second = run_two(*arguments(bundle, workdir))
  assert first[0] == second[0] == 0, (first[2], second[2])
  return workdir, first, second


def test_one_process_speaks(together):
  _, first, second = together
  assert f'{_STEPS} steps of 64 on 8 device(s)' in first[1]
  assert 'test: planted ceiling' in first[1]
  # What Gloo's threads say may stand in between each other's words.
  gloo = 'Gloo Rank is connected to peer ranks Expected number of'
  assert set(re.findall(r'[A-Za-z]+', second[1])) <= set(gloo.split())
  assert second[2] == ''


@pytest.mark.parametrize(
  'devices', [1, pytest.param(8, marks=pytest.mark.slow)]
)
def test_two_processes_are_one(together, bundle, tmp_path, devices):
  workdir = together[0]
  one = runs.launch(*arguments(bundle, tmp_path), devices=devices)
  assert one.returncode == 0, one.stderr
  assert runs.losses(tmp_path).keys() == runs.losses(workdir).keys()
  for step, loss in runs.losses(tmp_path).items():
    np.testing.assert_allclose(runs.losses(workdir)[step], loss, rtol=1e-5)
  ours, theirs = runs.final_arrays(workdir), runs.final_arrays(tmp_path)
  assert ours.keys() == theirs.keys()
  for path, array in theirs.items():
    if array.dtype.kind == 'f':
      np.testing.assert_allclose(
        ours[path], array, rtol=0, atol=1e-5, err_msg=path
      )
    else:
      np.testing.assert_array_equal(array, ours[path])
  assert len(history.read(workdir)) == len(history.read(tmp_path)) == 4


@pytest.mark.slow
def test_a_stopped_then_a_killed_worker_leave_the_same_bits(
  together, bundle, tmp_path
):
  # SIGTERM to one: both save the same step and end well.
  processes = start_two(*arguments(bundle, tmp_path))
  wait_for_checkpoint(tmp_path, processes)
  processes[1].send_signal(signal.SIGTERM)
  first, second = ends(processes)
  assert first[0] == second[0] == 0, (first[2], second[2])
  stop = re.search(r'stopped by SIGTERM after step (\d+) of', first[1])
  assert stop
  stopped = int(stop[1])
  assert stopped == runs.newest_step(tmp_path) < _STEPS
  # A kill: the other can't go on alone, and says nothing of metrics.
  processes = start_two(*arguments(bundle, tmp_path))
  wait_for_checkpoint(tmp_path, processes, after=stopped)
  processes[1].kill()
  killed = ends(processes)
  assert killed[1][0] == -signal.SIGKILL
  assert killed[0][0] == 75, killed[0][2]
  assert runs.error_lines(killed[0][2]) == [
    'error: process 1 of 2 is gone (killed, lost or hanging); start all of them'
    ' again'
  ]
  assert not (tmp_path / 'metrics.json').exists()
  # Both again: to the end, and to the same bits.
  first, second = run_two(*arguments(bundle, tmp_path))
  assert first[0] == second[0] == 0, (first[2], second[2])
  assert re.search(rf'resuming after step \d+ of {_STEPS}', first[1])
  runs.assert_bit_equal(together[0], tmp_path)


@pytest.mark.slow
def test_two_processes_stream_what_they_would_hold(together, bundle, tmp_path):
  first, second = run_two(
    *arguments(bundle, tmp_path), '--config.data.placement=stream'
  )
  assert first[0] == second[0] == 0, (first[2], second[2])
  assert re.search(r'waited [\d.]+% of the time for input', first[1])
  want = runs.losses(together[0])
  assert runs.losses(tmp_path).keys() == want.keys()
  for step, loss in runs.losses(tmp_path).items():
    np.testing.assert_allclose(loss, want[step], rtol=1e-5)


_READING = """
import json
import threading
import numpy as np
from launch import command_line, train
from morning_jax.data.records import row_files, stream
here, loads = threading.local(), {}
read, load = row_files.RowFiles.read, stream.Stream._load
def noted_read(self, rows):
  if getattr(here, 'own', None) is not None:
    here.own.update(np.asarray(rows).tolist())
  return read(self, rows)
def noted_load(self, step, stop):
  here.own = set()
  loaded = load(self, step, stop)
  rows = loaded.rows
  both = [x.ravel() for x in (rows.brand_row_SxP, rows.influencer_row_SxQ)]
  loads[step] = [sorted(here.own), np.unique(np.concatenate(both)).tolist()]
  here.own = None
  return loaded
row_files.RowFiles.read, stream.Stream._load = noted_read, noted_load
def main(argv):
  train.main(argv)
  print(json.dumps(loads))
command_line.run(main)
"""


# That a process reads rows of its own devices, and once, tests/training/
# test_large_data.py shows beside the other tests.
@pytest.mark.slow
def test_two_processes_read_their_parts_of_records(together, bundle, tmp_path):
  packing.pack(bundle_lib.read_bundle(bundle), tmp_path / 'records')
  first, second = ends(
    _start_script(
      _READING,
      *arguments(tmp_path / 'records', tmp_path / 'run'),
      '--config.data.placement=stream',
      devices=4,
    )
  )
  assert first[0] == second[0] == 0, (first[2], second[2])
  one, other = (
    json.loads(stdout.splitlines()[-1]) for _, stdout, _ in (first, second)
  )
  assert one.keys() == other.keys() == {'0', '4', '8', '12'}
  for step, (own, wanted) in one.items():
    theirs, wanted_there = other[step]
    assert wanted == wanted_there
    assert set(own) | set(theirs) == set(wanted)
    # Some accounts are in both halves of a batch; not all.
    assert max(len(own), len(theirs)) < 0.9 * len(wanted)
  # A run of arrays in memory, which itself is that of one process.
  want = runs.losses(together[0])
  for step, loss in runs.losses(tmp_path / 'run').items():
    np.testing.assert_allclose(loss, want[step], rtol=1e-5)


def test_two_processes_evaluate_what_one_does(together, tmp_path):
  workdir = together[0]
  args = [f'--workdir={workdir}', '--split=valid,test']
  one = runs.launch(
    *args, f'--json={tmp_path}/one.json', module='evaluate', devices=1
  )
  assert one.returncode == 0, one.stderr
  both = run_two(*args, f'--json={tmp_path}/two.json', module='evaluate')
  assert [code for code, *_ in both] == [0, 0], both
  a, b = (
    json.loads((tmp_path / f'{name}.json').read_text())
    for name in ('one', 'two')
  )
  assert a.keys() == b.keys() == {'valid', 'test'}
  for split, metrics in a.items():
    for name in ('auc', 'recall@10', 'map'):
      assert abs(metrics[name] - b[split][name]) < 1e-5


def test_processes_that_differ_are_told(bundle, tmp_path):
  both = run_two(
    *arguments(bundle, tmp_path),
    differ=('--config.seed=1', '--config.seed=2'),
  )
  assert [code for code, *_ in both] == [2, 2]
  for _, _, stderr in both:
    assert 'error: --config is not the same on all 2 processes' in stderr
  assert not (tmp_path / 'checkpoints').exists()


_READER = """
import sys
import jax
port, index, folder = sys.argv[1:]
jax.distributed.initialize(f'127.0.0.1:{port}', 2, int(index))
from tests.checkpoint import test_manager
from morning_jax.checkpoint import failures, manager
made = manager.Checkpoints(folder, read_only=True)
try:
  restored = made.restore(test_manager.targets)
  print(made.steps(), made.best_step(), restored.step)
except failures.CheckpointError as e:
  print(e)
"""


@pytest.mark.parametrize(
  ('hurt', 'said'),
  [
    (lambda file: file.write_text('{"conte'), ['[1, 2] 1 1', '[1, 2] 1 1']),
    pytest.param(
      test_manager._cannot_open,
      ['could not be read (on another process)', 'could not be read (OSError'],
      marks=pytest.mark.slow,
    ),
  ],
  ids=['damaged', 'unopened'],
)
def test_what_one_process_can_not_read_none_takes(tmp_path, hurt, said):
  # As if the second saw its folder late, and worse.
  folders = [tmp_path / 'first', tmp_path / 'second']
  test_manager.save(folders[0], [(1, 0.9), (2, 0.1)])
  shutil.copytree(*folders)
  second = folders[1] / 'checkpoints'
  hurt(second / '2' / 'meta' / 'metadata')
  (second / '3').mkdir()
  port = runs.free_port()
  both = ends(
    [
      subprocess.Popen(
        [sys.executable, '-c', _READER, str(port), str(index), str(folder)],
        env={
          **runs.environment(4),
          'PYTHONPATH': str(runs.ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      for index, folder in enumerate(folders)
    ],
  )
  for (code, stdout, stderr), text in zip(both, said, strict=True):
    assert code == 0, stderr
    assert text in stdout


def test_both_processes_are_told_of_another_run(bundle, tmp_path):
  with workdir_lib.hold(tmp_path):
    both = run_two(*arguments(bundle, tmp_path))
  assert [code for code, *_ in both] == [2, 2]
  for _, _, stderr in both:
    assert f'error: {tmp_path}: another run (process ' in stderr


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (
      ['--num_processes=2'],
      'several processes need --coordinator_address and --process_id too',
    ),
    (
      ['--coordinator_address=x', '--num_processes=2', '--process_id=0'],
      '--coordinator_address=x: is not HOST:PORT',
    ),
    (
      ['--coordinator_address=x:1', '--num_processes=2', '--process_id=2'],
      '--process_id=2 is not in 0..1 (--num_processes=2)',
    ),
  ],
)
def test_half_a_description_is_refused(bundle, tmp_path, flags, message):
  result = runs.launch(*arguments(bundle, tmp_path), *flags)
  assert result.returncode == 2
  assert result.stderr.strip() == f'error: {message}'


_TOGETHER = """
import sys
from launch import command_line, distributed
from morning_jax.core import multihost
def main(argv):
  distributed.join()
  for folder in ('first', 'second'):
    with multihost.raise_together():
      if folder == 'second' and not multihost.is_first():
        open('/proc/\\N{SNOWMAN}', 'w')
  print('went on')
command_line.run(main)
"""


def _start_script(
  script: str, *args: str, devices: int = 1
) -> list[subprocess.Popen[str]]:
  port = runs.free_port()
  return [
    subprocess.Popen(
      [
        *(sys.executable, '-c', script, *args),
        *(f'--coordinator_address=127.0.0.1:{port}', '--num_processes=2'),
        f'--process_id={index}',
      ],
      env={**runs.environment(devices), 'PYTHONPATH': str(runs.ROOT)},
      cwd=runs.ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for index in range(2)
  ]


def test_what_one_process_meets_all_tell(tmp_path):
  line = 'error: /proc/\N{SNOWMAN}: No such file or directory\n'
  for code, stdout, stderr in ends(_start_script(_TOGETHER)):
    assert (code, stderr) == (2, line)
    assert 'went on' not in stdout


def test_a_mistake_that_one_process_raises_alone_is_told_by_all():
  # Where nobody thought of it: the other waits for the first in vain.
  script = _TOGETHER.replace('with multihost.raise_together():', 'if True:')
  script = script.replace("print('went on')", "multihost.wait_for_all('end')")
  first, second = ends(_start_script(script))
  line = '/proc/\N{SNOWMAN}: No such file or directory\n'
  assert (second[0], second[2]) == (2, f'error: {line}')
  assert first[0] == 2
  assert first[2].strip() == f'error: process 1: {line}'.strip()
