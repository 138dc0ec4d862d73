"""Work that needs a process of its own.

The parent names the work and passes its arguments as JSON; the last line on
stdout is the answer, JSON too.
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

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def start(
  work: str, arguments: Mapping[str, Any], *, environment: Mapping[str, str]
) -> tuple[float, dict[str, Any]]:
  """Runs work in a new process.

  Args:
    work: 'imports', 'first_step' or 'devices'.
    arguments: its arguments, JSON-able.
    environment: variables to set; an empty one is removed.

  Returns:
    Seconds until the process is over, and its answer.

  Raises:
    RuntimeError: it failed; with the end of what it said.
  """
  variables = {**os.environ, **environment}
  variables = {k: v for k, v in variables.items() if v}
  # Where the package is not installed, it lies beside its parent folder.
  paths = [str(_ROOT), variables.get('PYTHONPATH', '')]
  variables['PYTHONPATH'] = os.pathsep.join(p for p in paths if p)
  command = [
    sys.executable,
    '-m',
    'morning_jax.benchmarks.subprocess_child',
    work,
  ]
  began = time.perf_counter()
  done = subprocess.run(
    [*command, json.dumps(dict(arguments))],
    env=variables,
    capture_output=True,
    text=True,
    check=False,
  )
  seconds = time.perf_counter() - began
  if done.returncode:
    raise RuntimeError(f'{work} failed: {done.stderr[-2000:]}')
  return seconds, json.loads(done.stdout.splitlines()[-1])


def _imports(arguments: Mapping[str, Any]) -> dict[str, Any]:
  """Imports what training imports, and lets JAX find its devices."""
  del arguments
  import jax

  from morning_jax.training import train

  jax.devices()
  return {'module': train.__name__}


def _first_step(arguments: Mapping[str, Any]) -> dict[str, Any]:
  """Trains one step from nothing; tells where the time went."""
  from morning_jax.benchmarks import startup

  return startup.first_step(**arguments)


def _devices(arguments: Mapping[str, Any]) -> dict[str, Any]:
  """Times steps on all (simulated) devices of this process."""
  from morning_jax.benchmarks import scaling

  return scaling.on_all_devices(**arguments)


_WORK = {'imports': _imports, 'first_step': _first_step, 'devices': _devices}

if __name__ == '__main__':
  answer = _WORK[sys.argv[1]](json.loads(sys.argv[2]))
  print(json.dumps(answer), flush=True)
  # What is still open needs no orderly end, which would count as start-up.
  os._exit(0)
