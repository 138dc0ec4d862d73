"""The frozen half of a run of training: everything that its loop needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import pathlib
from typing import Any

import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.checkpoint import manager as checkpoint_lib
from morning_jax.checkpoint import meta as meta_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import input_spec
from morning_jax.data import splits as splits_lib
from morning_jax.data.records import stream as stream_lib
from morning_jax.evaluation import encode as encode_lib
from morning_jax.model import morning
from morning_jax.training import device_data
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import schedule as schedule_lib
from morning_jax.training import step as step_lib
from morning_jax.training import step_inputs


@dataclasses.dataclass(frozen=True)
class Trainer:
  """Everything that a run's loop needs; nothing in it changes.

  Attributes:
    config: the whole configuration.
    dataset: the data set with the splits of this run.
    data_fingerprint: of the data set as it is stored.
    workdir: the working folder.
    mesh: the mesh.
    spec: what takes part in the model.
    model: the module.
    plan: how the run is optimized.
    schedule: when it dispatches and evaluates.
    checkpoints: of the working folder.
    fitted: what was fitted to the training accounts, on device.
    data: what a step reads, on device.
    num_brands: how many brands it is trained on.
    valid: the validation split, where there is one.
    scorer: encodes accounts for evaluation.
    stream: batches from disk; None where the accounts are on device.
    inputs_of: (first step, step after the last) -> inputs of a dispatch.
    run_steps: see `step.make_run_steps`.
    abstract_params: the parameters' shapes and shardings.
  """

  config: ml_collections.ConfigDict
  dataset: accounts_lib.Dataset
  data_fingerprint: str
  workdir: pathlib.Path
  mesh: Mesh
  spec: input_spec.InputSpec
  model: morning.Morning
  plan: optimizer_lib.Plan
  schedule: schedule_lib.Schedule
  checkpoints: checkpoint_lib.Checkpoints
  fitted: Any
  data: device_data.TrainingData
  num_brands: int
  valid: splits_lib.Split | None
  scorer: encode_lib.Scorer
  stream: stream_lib.Stream | None
  inputs_of: Callable[[int, int], step_inputs.StepInputs]
  run_steps: Callable[..., tuple[step_lib.TrainState, dict[str, jax.Array]]]
  abstract_params: Any

  def take_steps(
    self, state: step_lib.TrainState, step: int, stop: int
  ) -> tuple[step_lib.TrainState, dict[str, jax.Array]]:
    """Dispatches the steps from one up to another; see `make_run_steps`."""
    batches = self.stream and self.stream.batches(step, stop)
    return self.run_steps(state, self.data, self.inputs_of(step, stop), batches)

  def save(
    self,
    step: int,
    state: step_lib.TrainState,
    progress: schedule_lib.Progress,
    metrics: Mapping[str, Any] | None,
  ) -> None:
    """Saves the state and everything that it takes to go on from it."""
    meta = meta_lib.CheckpointMeta(
      config=meta_lib.plain(self.config),
      data_fingerprint=self.data_fingerprint,
      spec=self.spec,
      progress=dataclasses.asdict(progress),
      input_position={
        'epoch': step // self.plan.steps_per_epoch,
        'step_of_epoch': step % self.plan.steps_per_epoch,
      },
    )
    self.checkpoints.save(
      step,
      items={
        'params': state.params,
        'training': {'opt_state': state.opt_state, 'step': state.step},
        **({'fitted': self.fitted} if self.fitted else {}),
      },
      meta=meta.to_json(),
      metrics=None if metrics is None else {'map': metrics['map']},
    )

  def check_finite(self, step: int, scalars: Mapping[str, np.ndarray]) -> None:
    """Stops at the first number that is not finite.

    Args:
      step: the step before the first of the scalars.
      scalars: loss parts and the like, [S] each.

    Raises:
      DivergedError: names the step and the loss part.
    """
    bad = {k: ~np.isfinite(v) for k, v in scalars.items()}
    if not any(v.any() for v in bad.values()):
      return
    first = min(int(v.argmax()) for v in bad.values() if v.any())
    names = [k for k, v in bad.items() if v[first]]
    # The total is bad wherever a part is; name the part.
    parts = [k for k in names if k not in ('loss', 'gradient_norm')] or names
    raise self.diverged(
      f'at step {step + first + 1}, {" and ".join(parts)} became'
      f' {" and ".join(str(float(scalars[k][first])) for k in parts)}'
    )

  def diverged(self, what: str) -> errors.DivergedError:
    """Returns the error of a run whose numbers are not finite any more."""
    self.checkpoints.wait()
    saved = self.checkpoints.steps()
    last = f'step {saved[-1]}' if saved else 'none was saved yet'
    return errors.DivergedError(
      f'{self.workdir}: {what}; the last good checkpoint: {last}; a lower'
      ' config.optimizer.learning_rate may help'
    )
