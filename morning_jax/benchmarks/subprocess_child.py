"""The program of a benchmark's child process; see `child_process`."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
import sys
from typing import Any


def _imports() -> dict[str, Any]:
  """Imports what training imports, and lets JAX find its devices."""
  import jax

  from morning_jax.training import train

  jax.devices()
  return {'module': train.__name__}


def _first_step(**arguments: Any) -> dict[str, Any]:
  """Trains one step; tells the seconds of each stage."""
  from morning_jax.benchmarks import startup

  return startup.first_step(**arguments)


def _devices(**arguments: Any) -> dict[str, Any]:
  """Times steps on all (simulated) devices of this process."""
  from morning_jax.benchmarks import scaling

  return scaling.on_all_devices(**arguments)


# Each imports what it needs by itself: what it imports is measured.
PARTS: dict[str, Callable[..., dict[str, Any]]] = {
  'imports': _imports,
  'first_step': _first_step,
  'devices': _devices,
}

if __name__ == '__main__':
  answer = PARTS[sys.argv[1]](**json.loads(sys.argv[2]))
  print(json.dumps(answer), flush=True)
  # An orderly end of what is still open would count as start-up.
  os._exit(0)
