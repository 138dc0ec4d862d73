"""The time of a step whose batch comes from memory, or from records."""

from __future__ import annotations

import pathlib
import statistics
import tempfile
import time
from typing import Any

import jax
import numpy as np

from configs import morning as config_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.data import dataset as dataset_lib
from morning_jax.training import run as run_lib
from morning_jax.training import step as step_lib
from morning_jax.training import trainer as trainer_lib

_DISPATCHES = 12  # that are timed


def measure(bundle: str, placement: str, batch_size: int) -> str:
  """Times dispatches of steps of a run.

  Args:
    bundle: the data.
    placement: `config.data.placement`.
    batch_size: positives of a batch.

  Returns:
    A line: the median seconds of a step and, where rows come from disk, of
    reading the rows of a step and nothing else.
  """
  config = config_lib.get_config('')
  config.data.bundle = bundle
  config.data.placement = placement
  config.model.encoder = 'paper'
  config.model.image_widths = config.model.text_widths = (128, 64)
  config.train.batch_size = batch_size
  config.train.epochs = 1000
  config.train.steps_per_call = 2
  config.mesh.data = 1
  dataset = dataset_lib.assign_splits(dataset_lib.load(config.data), config)
  with tempfile.TemporaryDirectory() as folder:
    run, state, _ = run_lib.build(
      config, dataset, 'timed', pathlib.Path(folder)
    )
    try:
      with jax.set_mesh(run.mesh):
        seconds = _time(run, state)
    finally:
      if run.stream:
        run.stream.close()
  text = f'{statistics.median(seconds):.3f} s a step of {batch_size} positives'
  if placement == 'stream':
    text += f', {_time_reading(dataset, batch_size):.3f} s to read its rows'
  return text


def _time(run: trainer_lib.Trainer, state: step_lib.TrainState) -> list[float]:
  seconds, step = [], 0
  for _ in range(_DISPATCHES + 2):  # two to compile and to fill the queue
    began = time.perf_counter()
    stop = run.schedule.next_stop(step)
    state, scalars = run.take_steps(state, step, stop)
    jax.block_until_ready((state, scalars))
    seconds.append((time.perf_counter() - began) / (stop - step))
    step = stop
  return seconds[2:]


def _time_reading(dataset: accounts_lib.Dataset, batch_size: int) -> float:
  features: Any = dataset.features
  names, rng = list(features), np.random.default_rng(1)
  seconds = []
  for _ in range(5):
    rows = np.sort(rng.choice(len(dataset.accounts), 2 * batch_size, False))
    began = time.perf_counter()
    features.read(names, rows)
    seconds.append(time.perf_counter() - began)
  return statistics.median(seconds)
