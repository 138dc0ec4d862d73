"""Builds a run of training, new or from its newest checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib
from typing import Any

import jax
import ml_collections

from morning_jax.checkpoint import checksums
from morning_jax.checkpoint import config_diff
from morning_jax.checkpoint import manager as checkpoint_lib
from morning_jax.checkpoint import meta as meta_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import multihost
from morning_jax.core import random_streams
from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.data import splits as splits_lib
from morning_jax.evaluation import encode as encode_lib
from morning_jax.reporting import console
from morning_jax.training import device_data
from morning_jax.training import input_pipeline
from morning_jax.training import optimizer as optimizer_lib
from morning_jax.training import programs as programs_lib
from morning_jax.training import schedule as schedule_lib
from morning_jax.training import step as step_lib
from morning_jax.training import step_inputs
from morning_jax.training import trainer as trainer_lib


def build(
  config: ml_collections.ConfigDict,
  dataset: accounts_lib.Dataset,
  data_fingerprint: str,
  workdir: pathlib.Path,
  *,
  programs: programs_lib.Kept | None = None,
) -> tuple[trainer_lib.Trainer, step_lib.TrainState, schedule_lib.Progress]:
  """Builds a run, from its newest checkpoint where it has one.

  Args:
    config: the whole configuration, checked.
    dataset: the data set with the splits of this run.
    data_fingerprint: of the data set as it is stored.
    workdir: the working folder.
    programs: what was compiled for earlier runs.

  Returns:
    The run, and the state and the progress from which it goes on.

  Raises:
    UserError: the data or the checkpoints can't be used.
  """
  mesh = sharding.make_mesh(data=config.mesh.data, model=config.mesh.model)
  split, notes = dataset_lib.training_split(dataset)
  spec, absent = dataset_lib.resolve_inputs(dataset, config.model)
  num_positives = len(split.brand_P)
  console.notes(
    (*dataset.notes, *notes, *absent, *_batch_notes(config, num_positives))
  )
  programs = programs or programs_lib.Kept()
  plan = optimizer_lib.plan(config, num_positives)
  checkpoints = checkpoint_lib.Checkpoints(
    workdir, max_to_keep=config.checkpoint.max_to_keep
  )

  restored = None
  if checkpoints.steps():

    def targets(stored: Mapping[str, Any]) -> dict[str, Any]:
      meta = meta_lib.CheckpointMeta.from_json(stored)
      _check_same_run(meta, config, data_fingerprint, workdir)
      shapes = checksums.shapes(stored, 'fitted', sharding.replicated(mesh))
      graph = preprocessing.graph_of(shapes)
      state = programs.of(config, spec, mesh, graph=graph).abstract_state
      return {
        'params': state.params,
        'training': {'opt_state': state.opt_state, 'step': state.step},
        **({'fitted': shapes} if shapes else {}),
      }

    restored = checkpoints.restore(targets)
    # Another machine would round otherwise.
    fitted = multihost.fetch(restored.items.get('fitted', {}))
  else:
    checkpoints.check_new()
    fitted = multihost.arrays_of_first(
      preprocessing.fit(
        spec,
        dataset,
        split,
        whitening=config.model.whitening,
        seed=config.seed,
      )
    )
  table = input_pipeline.open_table(
    config,
    spec,
    fitted,
    dataset,
    data_fingerprint=data_fingerprint,
    workdir=workdir,
  )
  evaluate_every = max(
    1, round(config.evaluation.every_epochs * plan.steps_per_epoch)
  )
  most = input_pipeline.most_steps(config, table)
  schedule = schedule_lib.Schedule(
    num_steps=plan.num_steps,
    evaluate_every=evaluate_every,
    steps_per_call=schedule_lib.steps_per_call(evaluate_every, most=most),
  )
  graph = preprocessing.graph_of(fitted)
  data = device_data.put_data(split, table, mesh, graph=graph)
  compiled = programs.of(config, spec, mesh, graph=graph)
  stream = input_pipeline.open_stream(
    config,
    table,
    split,
    mesh,
    steps_per_epoch=plan.steps_per_epoch,
    schedule=schedule,
  )
  trainer = trainer_lib.Trainer(
    config=config,
    dataset=dataset,
    data_fingerprint=data_fingerprint,
    workdir=workdir,
    mesh=mesh,
    spec=spec,
    model=compiled.model,
    plan=plan,
    schedule=schedule,
    checkpoints=checkpoints,
    fitted=jax.tree.map(
      lambda x: sharding.put(x, sharding.replicated(mesh)), fitted
    ),
    data=data,
    num_brands=len(split.brand_row_B),
    valid=splits_lib.select(dataset, 'valid'),
    scorer=encode_lib.Scorer(
      compiled.model,
      table,
      mesh,
      batch_size=config.evaluation.batch_size,
      graph=graph,
      encode=compiled.encode,
    ),
    stream=stream,
    inputs_of=step_inputs.make_step_inputs(
      config,
      plan,
      capacity=device_data.padded_size(schedule.steps_per_call),
    ),
    run_steps=compiled.run_steps,
    abstract_params=compiled.abstract_state.params,
  )
  if restored is None:
    key = random_streams.key(config.seed, random_streams.Stream.PARAMETERS)
    with jax.set_mesh(mesh):
      state = compiled.init(key, data.graph)
    return trainer, state, schedule_lib.Progress()
  training = restored.items['training']
  state = step_lib.TrainState(
    step=training['step'],
    params=restored.items['params'],
    opt_state=training['opt_state'],
  )
  return trainer, state, schedule_lib.Progress(**restored.meta['progress'])


def _batch_notes(
  config: ml_collections.ConfigDict, num_positives: int
) -> list[str]:
  size = config.train.batch_size
  if size <= num_positives:
    return []
  return [
    f'config.train.batch_size={size:,} is more than the {num_positives:,}'
    ' positives: a batch holds each of them'
    f' {size / num_positives:.1f} times;'
    f' config.train.batch_size={num_positives} takes such steps in less time'
  ]


def _check_same_run(
  meta: meta_lib.CheckpointMeta,
  config: ml_collections.ConfigDict,
  data_fingerprint: str,
  workdir: pathlib.Path,
) -> None:
  """Checks that a checkpoint is of this configuration and data."""
  differences = config_diff.differences(meta.config, meta_lib.plain(config))
  if meta.data_fingerprint != data_fingerprint:
    differences.append('the data has other contents than it had then')
  if differences:
    raise errors.UserError(
      f'{workdir}: holds another run: {"; ".join(differences)}; name another'
      ' --workdir'
    )
