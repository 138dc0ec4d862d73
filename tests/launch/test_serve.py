"""The command: what it refuses, and a whole run on the embedded world."""

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from tests import runs

MISTAKES = {
  '--token_file': ['--host=0.0.0.0'],
  '--allowed_hosts': ['--host=0.0.0.0', '--token_file={}/token'],
  'nobody.txt': ['--exclude={}/nobody.txt'],
  'no such folder': [],
}


@pytest.mark.parametrize('line', runs.slow_but({'--token_file'}, MISTAKES))
def test_mistakes_end_in_one_line(tmp_path, line):
  ended = runs.launch(
    f'--workdir={tmp_path}/none',
    '--port=0',
    *(flag.format(tmp_path) for flag in MISTAKES[line]),
    module='serve',
  )
  assert ended.returncode == 2
  (error,) = runs.error_lines(ended.stderr)
  assert line in error and len(error) <= 300
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_is_found_wrong_later_ends_in_one_line_too(tmp_path):
  config = runs.config(runs.write_bundle(tmp_path / 'small'))
  runs.run(config, tmp_path / 'run')
  (tmp_path / 'small' / 'accounts.csv').write_text('account_id,role\n')
  ended = runs.launch(f'--workdir={tmp_path}/run', '--port=0', module='serve')
  assert ended.returncode == 2
  (error,) = runs.error_lines(ended.stderr)
  assert 'accounts.csv' in error and len(error) <= 300


@pytest.mark.slow
def test_a_trained_model_is_served(tmp_path):
  config = runs.config(runs.write_bundle(tmp_path / 'small'))
  runs.run(config, tmp_path / 'run')
  removed = tmp_path / 'removed.txt'
  removed.write_text('')
  process = subprocess.Popen(
    runs.command(
      f'--workdir={tmp_path}/run',
      '--port=0',
      f'--exclude={removed}',
      module='serve',
    ),
    env=runs.environment(),
    cwd=runs.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    address = process.stdout.readline().strip()
    assert re.fullmatch(r'http://127\.0\.0\.1:\d+/', address)

    def ask(path):
      with urllib.request.urlopen(address + path) as answer:
        return json.load(answer)

    deadline = time.monotonic() + runs.PATIENCE
    while time.monotonic() < deadline:
      try:
        ask('health/ready')
        break
      except urllib.error.HTTPError as e:
        assert e.code == 503 and json.load(e)['error']['code'] == 'not_ready'
        time.sleep(0.1)
    metrics = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
    model = ask('api/v1/model')
    assert model['metrics']['test']['auc'] == metrics['test']['auc']
    assert str(tmp_path) not in json.dumps(model)
    question = 'api/v1/recommendations?brand=shoes_01&k=1'
    (first,) = ask(question)['recommendations']
    removed.write_text(first['influencer_id'])
    (second,) = ask(question)['recommendations']
    assert second['influencer_id'] != first['influencer_id']
  finally:
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate()
  assert process.returncode == 0
  assert runs.error_lines(stderr) == []


@pytest.mark.slow
@pytest.mark.parametrize(
  ('number', 'code', 'said'),
  [
    (signal.SIGTERM, 0, []),
    (signal.SIGINT, 130, ['stopped from the keyboard']),
  ],
)
def test_it_can_be_stopped_while_the_model_is_loaded(
  tmp_path, monkeypatch, number, code, said
):
  runs.write_bundle(tmp_path / 'small')
  config = runs.config(tmp_path / 'small', train__epochs=1, **runs.NARROW)
  runs.run(config, tmp_path / 'run')
  # Threads that are in XLA's compiler when Python ends have crashed it.
  monkeypatch.setenv('JAX_ENABLE_COMPILATION_CACHE', 'false')
  for seconds in (0, 1, 2, 3):
    process = subprocess.Popen(
      runs.command(f'--workdir={tmp_path}/run', '--port=0', module='serve'),
      env=runs.environment(),
      cwd=runs.ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      preexec_fn=lambda: signal.signal(
        signal.SIGINT, signal.default_int_handler
      ),
    )
    assert process.stdout.readline().startswith('http://')
    time.sleep(seconds)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=runs.PATIENCE)
    assert process.returncode == code, stderr
    assert runs.error_lines(stderr) == said
