"""Weights of PyTorch become safetensors by a command, and nothing else does."""

import os

from tests import runs
from tests.features.images import torch_files as made


def test_weights_are_converted(tmp_path):
  target = tmp_path / 'w.safetensors'
  done = runs.launch(
    f'--weights={made.OLD}', f'--output={target}', module='convert_weights'
  )
  assert done.returncode == 0, done.stderr
  assert f'{target}: 11 arrays, ' in done.stdout
  assert os.listdir(tmp_path) == ['w.safetensors']


def test_a_program_is_refused_in_one_line(tmp_path):
  path = tmp_path / 'evil.pth'
  mark = tmp_path / 'was_run'
  evil = made.called(made.word('posix', 'system'), made.text(f'touch {mark}'))
  path.write_bytes(made.zipped(evil))
  done = runs.launch(
    f'--weights={path}',
    f'--output={tmp_path / "w.safetensors"}',
    module='convert_weights',
  )
  assert done.returncode == 2
  (line,) = done.stderr.strip().splitlines()
  assert "calls for 'posix.system'" in line
  assert os.listdir(tmp_path) == ['evil.pth']
