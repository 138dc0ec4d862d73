"""launch/pod.sh against a stand-in for gcloud; this machine is its workers."""

import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from tests import runs

POD = runs.ROOT / 'launch' / 'pod.sh'

# `ssh` runs the command here, as a worker would; `describe` answers from files.
_GCLOUD = """#!/usr/bin/env bash
set -u
args="$*"
case $args in
  "compute tpus tpu-vm describe "*)
    # `failures` holds how often to fail, `message` what to say then.
    n=$(cat "$FAKE/failures" 2>/dev/null || echo 0)
    if [ "$n" -gt 0 ]; then
      echo $((n - 1)) >"$FAKE/failures"; cat "$FAKE/message" >&2; exit 1
    fi ;;&
  "compute tpus tpu-vm describe "*"--format=value(state)") cat "$FAKE/state" ;;
  "compute tpus tpu-vm describe "*) cat "$FAKE/endpoints" ;;
  "compute tpus tpu-vm ssh "*)
    for a in "$@"; do
      case $a in
        --worker=*) export JAX_PROCESS_ID=${a#*=} ;;
        --command=*) command=${a#*=} ;;
      esac
    done
    echo "$args" >>"$FAKE/log"
    if [[ $command == *setsid* && -e "$FAKE/slow.$JAX_PROCESS_ID" ]]; then
      rm "$FAKE/slow.$JAX_PROCESS_ID"; sleep 2
    fi
    cd "$FAKE" && exec bash -c "$command" ;;
  *) echo "unexpected: $args" >&2; exit 9 ;;
esac
"""


@pytest.fixture
def tpu(tmp_path):
  """The stand-in's folder; its workers find the project under morning_jax."""
  fake = tmp_path / 'fake'
  fake.mkdir()
  gcloud = fake / 'gcloud'
  gcloud.write_text(_GCLOUD)
  gcloud.chmod(0o755)
  (fake / 'state').write_text('READY\n')
  (fake / 'endpoints').write_text('10.0.0.1;10.0.0.2\n')
  (fake / 'morning_jax').symlink_to(runs.ROOT)
  return fake


def environment(tpu: pathlib.Path) -> dict[str, str]:
  return {
    **runs.environment(4),
    'PATH': f'{tpu}:{os.environ["PATH"]}',
    'FAKE': str(tpu),
    'HOME': str(tpu),
    'POD_RESTART_SECONDS': '0',
  }


def start(tpu, *args: str) -> subprocess.Popen[str]:
  return subprocess.Popen(
    [str(POD), '--tpu=t', '--zone=z', *args],
    env=environment(tpu),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    # Tests that run in the background are born deaf to it, and so would be pod.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )


def pod(
  tpu, *args: str, timeout: float = runs.PATIENCE
) -> tuple[int, str, str]:
  process = start(tpu, *args)
  stdout, stderr = process.communicate(timeout=timeout)
  return process.returncode, stdout, stderr


def test_a_command_runs_on_every_worker(tpu):
  code, stdout, stderr = pod(
    tpu, '--', 'bash', '-c', 'echo "a  b $0" $JAX_PROCESS_ID; pwd', "it's"
  )
  assert (code, stderr) == (0, '')
  assert sorted(stdout.splitlines()) == sorted(
    [
      "[0] a  b it's 0",
      "[1] a  b it's 1",
      f'[0] {tpu}/morning_jax',
      f'[1] {tpu}/morning_jax',
    ]
  )
  assert '--zone=z' in (tpu / 'log').read_text()


# Worker 1 fails twice, while worker 0 waits for it; then both are well.
_FAILS_TWICE = (
  'r=$FAKE/runs; if [ $JAX_PROCESS_ID = 0 ]; then touch $FAKE/waits;'
  ' until [ "$(wc -l 2>/dev/null <$r)" = 3 ]; do sleep 0.1; done; exit 0; fi;'
  ' echo run >>$r; [ $(wc -l <$r) = 3 ] || { sleep 0.5; exit 134; }'
)


def test_a_failed_worker_restarts_all(tpu):
  code, _, stderr = pod(tpu, '--', 'bash', '-c', _FAILS_TWICE)
  assert code == 0, stderr
  assert 'worker 1 ended with code 134' in stderr
  assert 'restart 2 of 20' in stderr and 'restart 3 of 20' not in stderr
  assert (tpu / 'waits').exists()


def test_a_worker_that_starts_late_is_ended_too(tpu):
  (tpu / 'slow.0').touch()
  code, _, stderr = pod(tpu, '--', 'bash', '-c', _FAILS_TWICE)
  assert code == 0, stderr
  assert 'restart 2 of 20' in stderr


def test_an_end_that_takes_long_does_not_meet_the_next_start(tpu):
  # The record of the first command that is ended goes late, by when it could be
  # the next one's, which nobody could end then.
  rm = tpu / 'rm'
  rm.write_text(
    '#!/usr/bin/env bash\n'
    'if mkdir "$FAKE/late" 2>/dev/null; then sleep 1; fi\n'
    'PATH=/bin:/usr/bin rm "$@"\n'
  )
  rm.chmod(0o755)
  command = _FAILS_TWICE.replace('sleep 0.5', 'sleep 2')
  code, _, stderr = pod(tpu, '--', 'bash', '-c', command)
  assert code == 0, stderr
  assert (tpu / 'late').exists()


def test_a_number_from_before_a_reboot_ends_nothing(tpu):
  bystander = subprocess.Popen(['sleep', '10000'], start_new_session=True)
  # Whoever ends it waits until it is reaped.
  threading.Thread(target=bystander.wait, daemon=True).start()
  try:
    record = tpu / '.morning-pod-t-0.pid'
    record.write_text(f'{bystander.pid} another-boot\n')
    code, _, stderr = pod(tpu, '--', 'true')
    assert code == 0, stderr
    assert bystander.poll() is None
    # From this boot, it is what a lost connection left behind.
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text()
    record.write_text(f'{bystander.pid} {boot}')
    code, _, stderr = pod(tpu, '--', 'true')
    assert code == 0, stderr
    assert bystander.wait(timeout=runs.PATIENCE) == -signal.SIGTERM
  finally:
    bystander.kill()
    bystander.wait()


def test_it_gives_up(tpu):
  code, _, stderr = pod(tpu, '--restarts=2', '--', 'false')
  assert code == 1
  assert stderr.splitlines()[-1] == 'gave up after 2 restarts'
  assert stderr.count('restart ') == 2


def test_a_mistake_is_not_repeated(tpu):
  code, _, stderr = pod(tpu, '--', 'bash', '-c', 'echo error: no >&2; exit 2')
  assert code == 2
  assert '[0] error: no' in stderr
  assert 'restart' not in stderr


def test_a_preempted_tpu_is_told(tpu):
  (tpu / 'state').write_text('PREEMPTED\n')
  code, stdout, stderr = pod(tpu, '--', 'true')
  assert (code, stdout) == (75, '')
  assert 'is PREEMPTED; create it again' in stderr


def test_a_folder_that_is_not_there(tpu):
  code, _, stderr = pod(tpu, '--dir=elsewhere', '--', 'true')
  assert code == 2
  assert 'error: no folder elsewhere on worker 0' in stderr


@pytest.mark.parametrize(
  'name',
  [
    'x$(touch ran)',
    'x`touch ran`',
    'x"; touch ran; "',
    "x'; touch ran; '",
    '-L',
  ],
)
def test_a_name_is_no_command_for_the_worker(tpu, name):
  code, _, stderr = pod(tpu, f'--dir={name}', '--', 'true')
  assert code == 2
  assert f'error: no folder {name} on worker 0; copy' in stderr
  (tpu / name).mkdir()
  code, stdout, stderr = pod(tpu, f'--dir={name}', '--', 'pwd')
  assert (code, stderr) == (0, '')
  assert f'[0] {tpu}/{name}\n' in stdout
  assert not list(tpu.rglob('ran'))


def test_a_tpu_that_is_taken_away_after_a_good_stop_is_told(tpu):
  script = 'echo PREEMPTED >$FAKE/state; exit 0'
  code, _, stderr = pod(tpu, '--', 'bash', '-c', script)
  assert code == 75
  assert 'is PREEMPTED; create it again' in stderr


def test_one_that_lost_another_starts_again(tpu):
  script = 'if [ -e $FAKE/ran ]; then exit 0; fi; touch $FAKE/ran; exit 75'
  (tpu / 'endpoints').write_text('10.0.0.1\n')
  code, _, stderr = pod(tpu, '--restarts=08', '--', 'bash', '-c', script)
  assert code == 0, stderr
  assert 'restart 1 of 8' in stderr


def fail_to_describe(tpu: pathlib.Path, times: int, message: str) -> None:
  (tpu / 'failures').write_text(f'{times}\n')
  (tpu / 'message').write_text(f'ERROR: (gcloud.describe) {message}\n')


def test_a_tpu_that_does_not_exist_is_gone(tpu):
  fail_to_describe(tpu, 1, "NOT_FOUND: Resource 't' was not found")
  code, stdout, stderr = pod(tpu, '--', 'true')
  assert (code, stdout) == (75, '')
  first, second = stderr.splitlines()
  assert first.endswith("NOT_FOUND: Resource 't' was not found")
  assert second.startswith('the TPU t is gone; create it again')


def test_gcloud_that_fails_at_the_start_is_a_mistake(tpu):
  fail_to_describe(tpu, 1, 'PERMISSION_DENIED: log in first')
  code, stdout, stderr = pod(tpu, '--', 'true')
  assert (code, stdout) == (2, '')
  assert stderr.splitlines() == [
    'ERROR: (gcloud.describe) PERMISSION_DENIED: log in first',
    'error: gcloud can not describe the TPU t',
  ]


# Fails once, and with it from then on so many questions to gcloud.
_FAILS_ONCE = (
  'if [ -e $FAKE/ran ]; then exit 0; fi; touch $FAKE/ran;'
  ' echo %d >$FAKE/failures; exit 134'
)


@pytest.mark.parametrize(('failures', 'code'), [(5, 0), (6, 1)])
def test_gcloud_may_fail_for_a_while_between_attempts(tpu, failures, code):
  (tpu / 'endpoints').write_text('10.0.0.1\n')
  fail_to_describe(tpu, 0, 'UNAVAILABLE: no network')
  script = _FAILS_ONCE % failures
  ended, _, stderr = pod(tpu, '--', 'bash', '-c', script)
  assert ended == code, stderr
  assert stderr.count('UNAVAILABLE: no network') == failures
  gave_up = 'gave up: gcloud can not describe the TPU t'
  assert (stderr.splitlines()[-1] == gave_up) == bool(code)


def test_what_an_ended_worker_says_is_no_mistake(tpu):
  # Worker 1 crashes; worker 0 takes its end for a mistake. Then both are well.
  script = (
    'if [ -e $FAKE/ran ]; then exit 0; fi;'
    ' if [ $JAX_PROCESS_ID = 1 ]; then'
    ' until [ -e $FAKE/up ]; do sleep 0.1; done; touch $FAKE/ran; exit 134; fi;'
    ' trap "exit 2" TERM; touch $FAKE/up; while :; do sleep 0.1; done'
  )
  code, _, stderr = pod(tpu, '--', 'bash', '-c', script)
  assert code == 0, stderr
  assert 'worker 1 ended with code 134' in stderr
  assert 'restart 1 of 20' in stderr and 'restart 2 of 20' not in stderr


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (['--', 'true'], None),
    ([], 'no command after --'),
    (['--restarts=many', '--', 'true'], '--restarts=many is no number'),
    (['--restarts=' + '9' * 20, '--', 'true'], 'is no number'),
    (['train'], "unexpected argument 'train'"),
  ],
)
def test_mistakes_end_in_one_line(tpu, args, message):
  code, stdout, stderr = pod(tpu, *args)
  if message is None:
    assert code == 0
    return
  assert (code, stdout) == (2, '')
  assert stderr.startswith('error: ') and message in stderr
  assert len(stderr.splitlines()) == 1


def test_ctrl_c_lets_the_workers_save(tpu):
  script = (
    'trap "echo saved >>$FAKE/saved; exit 0" TERM;'
    ' touch $FAKE/up.$JAX_PROCESS_ID; while :; do sleep 0.1; done'
  )
  process = start(tpu, '--', 'bash', '-c', script)
  deadline = time.monotonic() + runs.PATIENCE
  while not all((tpu / f'up.{w}').exists() for w in '01'):
    assert time.monotonic() < deadline
    time.sleep(0.05)
  process.send_signal(signal.SIGINT)
  _, stderr = process.communicate(timeout=runs.PATIENCE)
  assert process.returncode == 130, stderr
  assert (tpu / 'saved').read_text().count('saved') == 2


@pytest.mark.slow
def test_training_survives_the_loss_of_a_worker(tpu, tmp_path):
  bundle = runs.write_bundle(tmp_path / 'small')
  common = [
    '--config=configs/morning.py:smoke',
    f'--config.data.bundle={bundle}',
    '--config.train.steps_per_call=4',
    '--config.mesh.data=8',
  ]
  process = start(
    tpu,
    '--',
    'env',
    f'JAX_COORDINATOR_ADDRESS=127.0.0.1:{runs.free_port()}',
    'JAX_NUM_PROCESSES=2',
    *runs.command(*common, f'--workdir={tmp_path}/pod'),
  )
  while not runs.newest_step(tmp_path / 'pod'):
    assert process.poll() is None, process.communicate()
    time.sleep(0.05)
  record = tpu / '.morning-pod-t-1.pid'
  os.killpg(int(record.read_text().split()[0]), signal.SIGKILL)
  _, stderr = process.communicate(timeout=runs.PATIENCE)
  assert process.returncode == 0, stderr
  assert 'restart 1 of 20' in stderr
  one = runs.launch(*common, f'--workdir={tmp_path}/one', devices=8)
  assert one.returncode == 0, one.stderr
  assert runs.losses(tmp_path / 'pod').keys() >= {40}
  gap = abs(
    runs.losses(tmp_path / 'pod')[40] - runs.losses(tmp_path / 'one')[40]
  )
  assert gap < 1e-4
