"""Running a part of a benchmark in a process of its own.

The parent names the part and passes its arguments as JSON; the last line on
the child's stdout is its answer, JSON too. `subprocess_child` is the program
that the child runs. It imports the benchmarks, so nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

_PROGRAM = 'morning_jax.benchmarks.subprocess_child'
_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def run(
  part: str, arguments: Mapping[str, Any], *, environment: Mapping[str, str]
) -> tuple[float, dict[str, Any]]:
  """Runs a part of a benchmark in a new process.

  Args:
    part: one of `subprocess_child.PARTS`.
    arguments: its arguments, JSON-able.
    environment: variables to set; an empty one is removed.

  Returns:
    Seconds until the process has ended, and its answer.

  Raises:
    RuntimeError: it failed; the text has the end of its stderr.
  """
  command = [sys.executable, '-m', _PROGRAM, part, json.dumps(dict(arguments))]
  began = time.perf_counter()
  done = subprocess.run(
    command,
    env=variables(environment),
    capture_output=True,
    text=True,
    check=False,
  )
  seconds = time.perf_counter() - began
  if done.returncode:
    raise RuntimeError(f'{part} failed: {done.stderr[-2000:]}')
  return seconds, json.loads(done.stdout.splitlines()[-1])


def variables(changes: Mapping[str, str]) -> dict[str, str]:
  """Returns the environment of a child.

  Args:
    changes: variables to set; an empty one is removed.
  """
  found = {k: v for k, v in {**os.environ, **changes}.items() if v}
  # Where the package is not installed, it is found beside its parent folder.
  paths = [str(_ROOT), found.get('PYTHONPATH', '')]
  found['PYTHONPATH'] = os.pathsep.join(p for p in paths if p)
  return found
