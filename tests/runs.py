"""Small runs of training for tests, in this process and in their own."""

from collections.abc import Collection, Iterable
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
from typing import Any

import jax
import ml_collections
import numpy as np
from orbax import checkpoint as ocp
import pytest
from tensorboardX.proto import event_pb2

from configs import morning as config_lib
from morning_jax.data import dataset as dataset_lib
from morning_jax.data.bundle import bundle
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib
from morning_jax.training import run as run_lib
from morning_jax.training import step as step_lib
from morning_jax.training import step_inputs
from morning_jax.training import train
from morning_jax.training import trainer as trainer_lib
from tests import forked
from tests import xla_flags

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Seconds after which what hangs fails a test. No test counts on being faster.
PATIENCE = 900


# The smallest model, for tests of what no model plays a part in: it compiles in
# half of the time.
NARROW = {'model__perspectives': ('content',)}


def small_world():
  """The smallest embedded world."""
  return world_lib.generate(world_options.small())


def write_bundle(folder: pathlib.Path) -> pathlib.Path:
  bundle.write_bundle(small_world(), folder)
  return folder


def config(bundle_folder: pathlib.Path, **changes: Any):
  """A configuration of a few quick steps."""
  c = config_lib.get_config('smoke')
  c.data.bundle = str(bundle_folder)
  c.train.epochs = 4
  c.mesh.data = 1
  c.evaluation.every_epochs = 1.0
  with c.unlocked():
    c.update_from_flattened_dict(
      {k.replace('__', '.'): v for k, v in changes.items()}
    )
  return c


def final_arrays(workdir: pathlib.Path) -> dict[str, np.ndarray]:
  """The newest checkpoint's arrays by path, read by Orbax alone."""
  newest = workdir / 'checkpoints' / str(newest_step(workdir))
  sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  arrays = {}
  with ocp.StandardCheckpointer() as reader:
    for item in ('params', 'training'):
      metadata = reader.metadata(newest / item).item_metadata.tree
      target = jax.tree.map(
        lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype, sharding=sharding),
        metadata,
      )
      restored = reader.restore(newest / item, target)
      for path, leaf in jax.tree_util.tree_leaves_with_path(restored):
        arrays[item + jax.tree_util.keystr(path)] = np.asarray(leaf)
  return arrays


def losses(workdir: pathlib.Path) -> dict[int, float]:
  """The training loss of each dispatch, by its last step, from TensorBoard."""
  found = {}
  for file in sorted(workdir.glob('events.*')):
    data = file.read_bytes()
    while data:
      # Length, its checksum, the event, its checksum.
      (size,) = struct.unpack('<Q', data[:8])
      event = event_pb2.Event.FromString(data[12 : 12 + size])
      data = data[16 + size :]
      for value in event.summary.value:
        if value.tag == 'train/loss':
          found[event.step] = value.simple_value
  return found


def newest_step(workdir: pathlib.Path) -> int:
  """The step of the newest complete checkpoint; 0 without one."""
  folder = workdir / 'checkpoints'
  names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
  return max((int(name) for name in names if name.isdigit()), default=0)


def assert_bit_equal(a: pathlib.Path, b: pathlib.Path) -> None:
  """Compares the newest checkpoints of two folders, to the last bit."""
  one, other = final_arrays(a), final_arrays(b)
  assert one.keys() == other.keys()
  for path, array in one.items():
    assert array.tobytes() == other[path].tobytes(), path


def launch(
  *args: str,
  devices: int = 1,
  timeout: float = PATIENCE,
  module: str = 'train',
  server: int = 0,
  quick: bool = True,
) -> subprocess.CompletedProcess[str]:
  """Runs a launcher in a process of its own, as `forked.run` does.

  Args:
    *args: its arguments.
    devices: how many it sees.
    timeout: seconds after which it is killed.
    module: which launcher.
    server: which server runs it; several run several at a time.
    quick: whether XLA compiles as it does for tests, or as it does for users.

  Returns:
    Its exit code and what it printed.
  """
  env = environment(devices)
  if not quick:
    env['XLA_FLAGS'] = env['XLA_FLAGS'].replace(xla_flags.QUICK, '')
  return forked.run(module, args, env, timeout, server)


def command(*args: str, module: str = 'train') -> list[str]:
  return [sys.executable, '-m', f'launch.{module}', *args]


def environment(devices: int = 1) -> dict[str, str]:
  return {
    **os.environ,
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': xla_flags.with_devices(os.environ['XLA_FLAGS'], devices),
  }


def error_lines(stderr: str) -> list[str]:
  """The lines of stderr, less notes and progress bars."""
  lines = [line for line in stderr.splitlines() if line]
  return [x for x in lines if not re.match(r'note: |\w+: +\d+%\|', x)]


def slow_but(fast: Collection[Any], names: Iterable[Any]) -> list[Any]:
  """Parameters of a test, all slow but some; tuples are several parameters."""
  return [
    name
    if name in fast
    else pytest.param(
      *(name if isinstance(name, tuple) else (name,)), marks=pytest.mark.slow
    )
    for name in names
  ]


def free_port() -> int:
  """A port of this machine that nobody listens on."""
  with socket.socket() as s:
    s.bind(('127.0.0.1', 0))
    return s.getsockname()[1]


def start(
  c: ml_collections.ConfigDict, workdir: pathlib.Path
) -> tuple[trainer_lib.Trainer, step_lib.TrainState]:
  """Builds a run as `train.train` does, and the state that it starts from."""
  data = dataset_lib.load(c.data)
  run, state, _ = run_lib.build(
    c,
    dataset_lib.assign_splits(data, c),
    dataset_lib.fingerprint(data),
    workdir,
  )
  return run, state


def prepare(
  c: ml_collections.ConfigDict, workdir: pathlib.Path
) -> trainer_lib.Trainer:
  """Builds a run without starting it."""
  return start(c, workdir)[0]


def inputs(run: trainer_lib.Trainer, steps: int) -> step_inputs.StepInputs:
  """Inputs of a dispatch of the first so many steps."""
  return step_inputs.make_step_inputs(
    run.config,
    run.plan,
    capacity=steps,
  )(0, steps)


def scalars(
  run: trainer_lib.Trainer, state: step_lib.TrainState, steps: int
) -> dict[str, np.ndarray]:
  """Takes the first steps in one dispatch; returns every scalar of each."""
  with jax.set_mesh(run.mesh):
    _, found = run.run_steps(state, run.data, inputs(run, steps))
  return jax.device_get(found)


def run(c: ml_collections.ConfigDict, workdir: pathlib.Path) -> train.Outcome:
  return train.train(c, workdir)
