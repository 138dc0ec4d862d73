"""One run of training: everything that its loop needs, built once."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax.checkpoint import checksums
from morning_jax.checkpoint import config_diff
from morning_jax.checkpoint import manager as checkpoint_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import multihost
from morning_jax.core import sharding
from morning_jax.data import fitted as fitted_lib
from morning_jax.data import pipeline
from morning_jax.data import splits as splits_lib
from morning_jax.evaluation import encode as encode_lib
from morning_jax.model import factory
from morning_jax.reporting import console
from morning_jax.training import config_check
from morning_jax.training import device_data
from morning_jax.training import input_pipeline
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import step as step_lib


class DivergedError(errors.UserError):
  """Training met a number that is not finite."""


@dataclasses.dataclass
class Progress:
  """What a run knows beside its state; saved with every checkpoint."""

  best_map: float | None = None
  best_step: int | None = None
  evaluations_without_gain: int = 0
  history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

  def add(self, step: int, metrics: Mapping[str, Any]) -> None:
    """Records an evaluation of the validation brands."""
    self.history.append(
      {'step': step}
      | {k: v for k, v in metrics.items() if isinstance(v, int | float)}
    )
    gained = self.best_map is None or metrics['map'] > self.best_map
    if gained or metrics['map'] == self.best_map:
      # Of equals the newest is kept, as the checkpoints do it.
      self.best_map, self.best_step = metrics['map'], step
    self.evaluations_without_gain = (
      0 if gained else self.evaluations_without_gain + 1
    )


class Run:
  """One run: everything that the loop needs, built once."""

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    dataset: accounts_lib.Dataset,
    data_fingerprint: str,
    workdir: pathlib.Path,
  ):
    config_check.check(config)
    input_pipeline.check(config)
    self.config = config
    self.dataset = dataset
    self.data_fingerprint = data_fingerprint
    self.workdir = workdir
    self.mesh: Mesh = sharding.make_mesh(
      data=config.mesh.data, model=config.mesh.model
    )
    self.split, notes = pipeline.training_split(dataset)
    self.perspectives, absent = factory.choose_perspectives(
      config.model, pipeline.available(dataset)
    )
    console.notes((*dataset.notes, *notes, *absent))
    self.features = factory.feature_sizes(
      self.perspectives, pipeline.available(dataset)
    )
    self.model = factory.build(config.model, self.perspectives, self.features)
    self.kinds = factory.transform_kinds(config.model, self.perspectives)
    self.num_positives = len(self.split.brand_P)
    self.plan = optimizer_lib.plan(config, self.num_positives)
    self.valid = splits_lib.select(dataset, 'valid')
    self.checkpoints = checkpoint_lib.Checkpoints(
      workdir, max_to_keep=config.checkpoint.max_to_keep
    )
    self.progress = Progress()
    # Other hosts may round otherwise.
    self.fitted = multihost.arrays_of_first(self._fit())
    self.fitted_on_device = jax.tree.map(
      lambda x: sharding.put(x, sharding.replicated(self.mesh)), self.fitted
    )
    graph = fitted_lib.graph_of(self.fitted)
    self.init, self.abstract_state = step_lib.make_init(
      self.model,
      self.plan.optimizer,
      factory.example_table(self.perspectives, self.features),
      self.mesh,
      graph=graph,
      fsdp=config.mesh.fsdp,
    )
    self.run_steps = step_lib.make_run_steps(
      config,
      self.model,
      self.plan.optimizer,
      steps_per_epoch=self.plan.steps_per_epoch,
      state_shardings=jax.tree.map(lambda x: x.sharding, self.abstract_state),
      mesh=self.mesh,
    )
    table = input_pipeline.open_table(
      config,
      dataset,
      data_fingerprint,
      kinds=self.kinds,
      fitted=self.fitted,
      attribute_names=self.attribute_names,
      workdir=workdir,
    )
    self.evaluate_every = max(
      1, round(config.evaluation.every_epochs * self.plan.steps_per_epoch)
    )
    self.steps_per_call = input_pipeline.steps_per_dispatch(
      config, table, self.evaluate_every
    )
    self.stream = input_pipeline.open_stream(
      config,
      table,
      self.split,
      self.mesh,
      steps_per_epoch=self.plan.steps_per_epoch,
      num_steps=self.plan.num_steps,
      next_stop=self.next_stop,
    )
    self.data = device_data.put_data(self.split, table, self.mesh, graph=graph)
    self.scorer = encode_lib.Scorer(
      self.model,
      table,
      self.mesh,
      batch_size=config.evaluation.batch_size,
      graph=graph,
    )

  @property
  def attribute_names(self) -> list[str]:
    """Names of the attributes that the model knows, in order."""
    if accounts_lib.ATTRIBUTE_LIST not in self.features:
      return []
    assert self.dataset.attributes is not None
    return self.dataset.attributes.names_V.tolist()

  def _fit(self) -> dict[str, Any]:
    """Fits to the training accounts what training does not change.

    A resumed run takes it from its checkpoint: another machine rounds
    otherwise.
    """
    if self.checkpoints.steps():

      def stored(meta: Mapping[str, Any]) -> dict[str, Any]:
        self.check_same_run(meta)
        shapes = checksums.shapes(
          meta, 'fitted', sharding.replicated(self.mesh)
        )
        return {'fitted': shapes} if shapes else {}

      restored = self.checkpoints.restore(stored)
      return jax.device_get(restored.items.get('fitted', {}))
    self.checkpoints.check_new()
    return fitted_lib.fit_inputs(
      self.config, self.dataset, self.split, self.kinds, self.features
    )

  def check_same_run(self, meta: Mapping[str, Any]) -> None:
    """Checks that a checkpoint is of this configuration and data."""
    differences = config_diff.differences(
      meta['config'], config_diff.plain(self.config)
    )
    if meta['data_fingerprint'] != self.data_fingerprint:
      differences.append('the data has other contents than it had then')
    if differences:
      raise errors.UserError(
        f'{self.workdir}: holds another run: {"; ".join(differences)}; name'
        ' another --workdir'
      )

  def targets(self, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Checks a checkpoint against this run and says what to restore."""
    self.check_same_run(meta)
    return {
      'params': self.abstract_state.params,
      'training': {
        'opt_state': self.abstract_state.opt_state,
        'step': self.abstract_state.step,
      },
    }

  def start(self) -> step_lib.TrainState:
    """Restores the newest checkpoint, or initialises the state."""
    if not self.checkpoints.steps():
      key = jax.random.fold_in(jax.random.key(self.config.seed), 0)
      return self.init(key, self.data.graph)
    restored = self.checkpoints.restore(self.targets)
    self.progress = Progress(**restored.meta['progress'])
    training = restored.items['training']
    return step_lib.TrainState(
      step=training['step'],
      params=restored.items['params'],
      opt_state=training['opt_state'],
    )

  def save(
    self,
    step: int,
    state: step_lib.TrainState,
    metrics: Mapping[str, Any] | None,
  ) -> None:
    """Saves the state and everything that it takes to go on from it."""
    self.checkpoints.save(
      step,
      items={
        'params': state.params,
        'training': {'opt_state': state.opt_state, 'step': state.step},
        **({'fitted': self.fitted_on_device} if self.fitted else {}),
      },
      meta={
        'config': config_diff.plain(self.config),
        'data_fingerprint': self.data_fingerprint,
        'perspectives': self.perspectives,
        'features': self.features,
        'attribute_names': self.attribute_names,
        'progress': dataclasses.asdict(self.progress),
        'input_position': {
          'epoch': step // self.plan.steps_per_epoch,
          'step_of_epoch': step % self.plan.steps_per_epoch,
        },
      },
      metrics=None if metrics is None else {'map': metrics['map']},
    )

  def next_stop(self, step: int) -> int:
    """Returns where the next dispatch ends.

    The stops depend on the configuration alone, never on where a run was
    interrupted, so that a resumed run runs the very same programs.
    """
    evaluated = step - step % self.evaluate_every
    dispatches = (step - evaluated) // self.steps_per_call + 1
    return min(
      evaluated + dispatches * self.steps_per_call,
      evaluated + self.evaluate_every,
      self.plan.num_steps,
    )

  def take_steps(
    self, state: step_lib.TrainState, step: int, stop: int
  ) -> tuple[step_lib.TrainState, dict[str, jax.Array]]:
    """Dispatches the steps from one up to another; see `make_run_steps`."""
    batches = self.stream and self.stream.batches(step, stop)
    return self.run_steps(state, self.data, batches, length=stop - step)

  def patience_is_over(self) -> bool:
    """Tells whether the validation MAP has stopped rising."""
    patience = self.config.evaluation.patience
    return bool(patience) and (
      self.progress.evaluations_without_gain >= patience
    )

  def check(self, step: int, scalars: Mapping[str, np.ndarray]) -> None:
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
    self.checkpoints.wait()
    kept = self.checkpoints.steps()
    last = f'step {kept[-1]} is kept' if kept else 'none was saved yet'
    raise DivergedError(
      f'{self.workdir}: at step {step + first + 1},'
      f' {" and ".join(parts)} became'
      f' {" and ".join(str(float(scalars[k][first])) for k in parts)};'
      f' the last good checkpoint: {last}; a lower'
      ' config.optimizer.learning_rate may help'
    )
