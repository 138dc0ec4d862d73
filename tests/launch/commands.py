"""Launchers, and scripts that run one, in processes of their own."""

import os
import subprocess
import sys

from tests import runs


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
