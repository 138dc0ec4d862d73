"""Trains a model in a working folder, from scratch or from where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
import signal
import threading
import time
from typing import Any
import uuid

import flax.traverse_util
import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax import accounts as accounts_lib
from morning_jax import checkpoint
from morning_jax import errors
from morning_jax import evaluate as evaluate_lib
from morning_jax import optimizer as optimizer_lib
from morning_jax import processes
from morning_jax import sharding
from morning_jax import step_input
from morning_jax import training_step
from morning_jax.data import pipeline
from morning_jax.data import splits as splits_lib
from morning_jax.model import factory
from morning_jax.reporting import console
from morning_jax.reporting import tables
from morning_jax.reporting import tensorboard

METRICS_FILE = 'metrics.json'
# How long another process's new file may take to be seen.
_SEEN_SECONDS = 15
# What a resumed run may change: where it runs, how long, what it looks at.
_FREE_FIELDS = (
  'mesh.',
  'loss.sharding',
  'evaluation.',
  'checkpoint.',
  'train.epochs',
  'data.bundle',
  'data.data_dir',
  'data.placement',
  'data.stream',
)


class DivergedError(errors.UserError):
  """Training met a number that is not finite."""


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a run ended.

  Attributes:
    finished: False where SIGTERM stopped it after a save.
    step: the step it stands at.
    metrics: split -> metrics of the model that was kept; empty if unfinished.
  """

  finished: bool
  step: int
  metrics: dict[str, dict[str, Any]]


class _Termination:
  """Remembers a SIGTERM until the state can be saved."""

  def __init__(self) -> None:
    self.requested = False
    self._previous: Any = None

  def _handle(self, *_: object) -> None:
    self.requested = True

  def __enter__(self) -> _Termination:
    if threading.current_thread() is threading.main_thread():
      self._previous = signal.signal(signal.SIGTERM, self._handle)
    return self

  def __exit__(self, *exception: object) -> None:
    if self._previous is not None:
      signal.signal(signal.SIGTERM, self._previous)


def plain_config(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns a configuration as plain JSON values, as checkpoints store it."""
  return json.loads(config.to_json())


def config_differences(
  stored: Mapping[str, Any], wanted: Mapping[str, Any]
) -> list[str]:
  """Lists the fields in which a run may not differ from its checkpoint."""
  have = flax.traverse_util.flatten_dict(dict(stored), sep='.')
  want = flax.traverse_util.flatten_dict(dict(wanted), sep='.')
  return [
    f'config.{field} is {have.get(field)!r} in the checkpoint,'
    f' {want.get(field)!r} now'
    for field in sorted(have | want)
    if have.get(field) != want.get(field) and not field.startswith(_FREE_FIELDS)
  ]


def _check_numbers(config: ml_collections.ConfigDict) -> None:
  at_least_one = {
    'train.batch_size': config.train.batch_size,
    'train.epochs': config.train.epochs,
    'train.steps_per_call': config.train.steps_per_call,
    'evaluation.batch_size': config.evaluation.batch_size,
  }
  for field, value in at_least_one.items():
    if value < 1:
      raise errors.UserError(f'config.{field}={value} must be at least 1')
  if config.evaluation.every_epochs <= 0:
    raise errors.UserError('config.evaluation.every_epochs must be above 0')


@dataclasses.dataclass
class _Progress:
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


def fit_inputs(
  config: ml_collections.ConfigDict,
  dataset: accounts_lib.Dataset,
  split: splits_lib.Split,
  kinds: Mapping[str, str],
  features: Mapping[str, int],
) -> dict[str, Any]:
  """Fits to the training accounts what training does not change.

  Args:
    config: the whole configuration.
    dataset: the data set.
    split: what is trained on.
    kinds: feature -> kind of transform.
    features: feature -> size, of what takes part.

  Returns:
    Feature -> what its transform was fitted to; the attribute graph.
  """
  fitted = pipeline.fit_transforms(
    kinds, dataset, split, strength=config.model.whitening
  )
  if accounts_lib.ATTRIBUTE_LIST in features:
    fitted[evaluate_lib.GRAPH] = pipeline.fit_graph(
      config.model.attribute,
      dataset,
      kind=factory.graph_encoder(config.model),
      seed=config.seed,
      # A stored graph knows the pairs of all training brands, also of those
      # that a fold holds out.
      stored=not config.data.folds,
    )
  return fitted


class _Run:
  """One run: everything that the loop needs, built once."""

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    dataset: accounts_lib.Dataset,
    data_fingerprint: str,
    workdir: pathlib.Path,
  ):
    _check_numbers(config)
    step_input.check(config)
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
    self.features = {
      f: pipeline.available(dataset)[f]
      for modalities in self.perspectives.values()
      for f in modalities.values()
    }
    self.model = factory.build(config.model, self.perspectives, self.features)
    self.kinds = factory.transform_kinds(config.model, self.perspectives)
    self.num_positives = len(self.split.brand_P)
    batch_size = config.train.batch_size
    self.steps_per_epoch = max(1, self.num_positives // batch_size)
    self.num_steps = config.train.epochs * self.steps_per_epoch
    self.schedule = optimizer_lib.make_schedule(
      config.optimizer,
      steps_per_epoch=self.steps_per_epoch,
      num_steps=self.num_steps,
    )
    optimizer = optimizer_lib.make_optimizer(config.optimizer, self.schedule)
    self.valid = splits_lib.select(dataset, 'valid')
    self.checkpoints = checkpoint.Checkpoints(
      workdir, max_to_keep=config.checkpoint.max_to_keep
    )
    self.progress = _Progress()
    # Other hosts may round otherwise.
    self.fitted = processes.arrays_of_first(self._fit())
    self.fitted_on_device = jax.tree.map(
      lambda x: sharding.put(x, sharding.replicated(self.mesh)), self.fitted
    )
    graph = evaluate_lib.graph_of(self.fitted)
    self.init, self.abstract_state = training_step.make_init(
      self.model,
      optimizer,
      factory.example_table(self.perspectives, self.features),
      self.mesh,
      graph=graph,
      fsdp=config.mesh.fsdp,
    )
    self.run_steps = training_step.make_run_steps(
      config,
      self.model,
      optimizer,
      steps_per_epoch=self.steps_per_epoch,
      state_shardings=jax.tree.map(lambda x: x.sharding, self.abstract_state),
      mesh=self.mesh,
    )
    table = step_input.open_table(
      config,
      dataset,
      data_fingerprint,
      kinds=self.kinds,
      fitted=self.fitted,
      attribute_names=self.attribute_names,
      workdir=workdir,
    )
    # Dispatches of one length, and an evaluation after so many of them: every
    # other length would be another program to compile.
    wanted = max(
      1, round(config.evaluation.every_epochs * self.steps_per_epoch)
    )
    dispatches = -(-wanted // step_input.steps_per_dispatch(config, table))
    self.steps_per_call = -(-wanted // dispatches)
    self.evaluate_every = dispatches * self.steps_per_call
    self.stream = step_input.open_stream(
      config,
      table,
      self.split,
      self.mesh,
      steps_per_epoch=self.steps_per_epoch,
      num_steps=self.num_steps,
      next_stop=self.next_stop,
    )
    self.data = training_step.put_data(
      self.split, table, self.mesh, graph=graph
    )
    self.scorer = evaluate_lib.Scorer(
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
        shapes = checkpoint.stored_shapes(
          meta, 'fitted', sharding.replicated(self.mesh)
        )
        return {'fitted': shapes} if shapes else {}

      restored = self.checkpoints.restore(stored)
      return jax.device_get(restored.items.get('fitted', {}))
    return fit_inputs(
      self.config, self.dataset, self.split, self.kinds, self.features
    )

  def check_same_run(self, meta: Mapping[str, Any]) -> None:
    """Checks that a checkpoint is of this configuration and data."""
    differences = config_differences(meta['config'], plain_config(self.config))
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

  def start(self) -> training_step.TrainState:
    """Restores the newest checkpoint, or initialises the state."""
    if not self.checkpoints.steps():
      return self.init(jax.random.fold_in(jax.random.key(self.config.seed), 0))
    restored = self.checkpoints.restore(self.targets)
    self.progress = _Progress(**restored.meta['progress'])
    training = restored.items['training']
    return training_step.TrainState(
      step=training['step'],
      params=restored.items['params'],
      opt_state=training['opt_state'],
    )

  def save(
    self,
    step: int,
    state: training_step.TrainState,
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
        'config': plain_config(self.config),
        'data_fingerprint': self.data_fingerprint,
        'perspectives': self.perspectives,
        'features': self.features,
        'attribute_names': self.attribute_names,
        'progress': dataclasses.asdict(self.progress),
        'input_position': {
          'epoch': step // self.steps_per_epoch,
          'step_of_epoch': step % self.steps_per_epoch,
        },
      },
      metrics=None if metrics is None else {'map': metrics['map']},
    )

  def next_stop(self, step: int) -> int:
    """Returns where the next dispatch ends.

    The stops depend on the configuration alone, never on where a run was
    interrupted, so that a resumed run runs the very same programs.
    """
    length = self.steps_per_call
    return min(self.num_steps, (step // length + 1) * length)

  def take_steps(
    self, state: training_step.TrainState, step: int, stop: int
  ) -> tuple[training_step.TrainState, dict[str, jax.Array]]:
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


def _loop(
  run: _Run,
  state: training_step.TrainState,
  scalars_out: tensorboard.Scalars,
  termination: _Termination,
) -> tuple[int, bool]:
  """Runs to the end, or to a SIGTERM.

  Returns:
    The step reached, and whether training is finished.
  """
  step = int(state.step)
  batch_size = run.config.train.batch_size
  saved = set(run.checkpoints.steps())
  vote = processes.Vote(run.mesh)
  pending: tuple[int, dict[str, jax.Array]] | None = None
  with console.Progress(
    total=run.num_steps * batch_size,
    initial=step * batch_size,
    unit='triplets',
    title='training',
  ) as bar:

    def settle() -> None:
      """Takes in the scalars of the dispatch before."""
      nonlocal pending
      if pending is None:
        return
      first, on_device = pending
      pending = None
      values = jax.device_get(on_device)
      run.check(first, values)
      count = len(values['loss'])
      means = {k: float(v.mean()) for k, v in values.items()}
      means['learning_rate'] = float(run.schedule(first + count - 1))
      if run.stream:
        means['input_wait'] = run.stream.clock.settle()
      scalars_out.write(first + count, 'train', means)
      bar.advance(count * batch_size, loss=f'{means["loss"]:.4g}')

    def save(metrics: Mapping[str, Any] | None) -> None:
      if step not in saved:
        run.save(step, state, metrics)
        saved.add(step)

    while step < run.num_steps and not run.patience_is_over():
      if vote.ask(termination.requested):
        settle()
        save(None)
        return step, False
      stop = run.next_stop(step)
      state, on_device = run.take_steps(state, step, stop)
      settle()  # of the dispatch before, while this one runs
      pending = (step, on_device)
      step = stop
      if step % run.evaluate_every and step < run.num_steps:
        continue
      settle()
      metrics = None
      if run.valid is not None:
        metrics = evaluate_lib.evaluate_split(
          run.scorer, state.params, run.dataset, run.valid, step=step
        ).metrics
        run.progress.add(step, metrics)
        scalars_out.write(step, 'valid', metrics)
      save(metrics)
  return step, True


def _finish(run: _Run) -> dict[str, dict[str, Any]]:
  """Evaluates the checkpoint that is kept on the brands held out."""
  restored = run.checkpoints.restore(
    lambda meta: {'params': run.targets(meta)['params']}, prefer_best=True
  )
  names = [
    name
    for name in ('valid', 'test')
    if splits_lib.select(run.dataset, name) is not None
  ]
  if 'test' in names:
    chosen, notes = evaluate_lib.choose_splits(run.dataset, tuple(names))
  else:
    chosen, notes = evaluate_lib.choose_splits(run.dataset, None)
  console.notes(notes)
  return {
    split.name: evaluate_lib.evaluate_split(
      run.scorer,
      restored.items['params'],
      run.dataset,
      split,
      step=restored.step,
    ).metrics
    for split in chosen
  }


def train(
  config: ml_collections.ConfigDict,
  workdir: str | os.PathLike[str],
  *,
  dataset: accounts_lib.Dataset | None = None,
) -> Outcome:
  """Trains, or resumes, and evaluates at the end.

  Args:
    config: the configuration (configs/morning.py).
    workdir: where checkpoints, TensorBoard scalars and `metrics.json` go. With
      checkpoints in it, training goes on from the newest; where training is
      finished, nothing is trained.
    dataset: the data, if it is loaded already; else what the configuration
      names.

  Returns:
    How the run ended.

  Raises:
    UserError: the configuration, the data or the folder can't be used.
    DivergedError: a loss part is not finite any more.
  """
  workdir = pathlib.Path(workdir).resolve()
  if workdir.exists() and not workdir.is_dir():
    raise errors.UserError(f'--workdir={workdir}: is no folder')
  if dataset is None:
    dataset = pipeline.load(config.data)
  data_fingerprint = pipeline.fingerprint(dataset)
  processes.check_same(
    {
      '--workdir': str(workdir),
      '--config': config.to_json(),
      'the data': data_fingerprint,
    }
  )
  dataset = pipeline.assign_splits(dataset, config)
  run = _Run(config, dataset, data_fingerprint, workdir)
  console.say(f'working folder: {workdir}')
  with _Termination() as termination, jax.set_mesh(run.mesh):
    had = run.checkpoints.steps()
    state = run.start()
    step = int(state.step)
    finished = step >= run.num_steps or run.patience_is_over()
    known = _known_metrics(workdir) if finished else ''
    if known:
      console.say(
        f'{workdir} is finished: {step} steps are trained; nothing to do'
      )
      results = json.loads(known)
      console.say('\n' + tables.of_splits(results))
      return Outcome(finished=True, step=step, metrics=results)
    if had:
      console.say(f'resuming after step {step} of {run.num_steps}')
    else:
      console.say(tables.of_parameters(state.params))
      console.say(
        f'\n{run.num_positives:,} positives of {len(run.data.brand_row_B):,}'
        f' brands, {len(run.data.candidate_row_M):,} influencers;'
        f' {run.num_steps:,} steps of {config.train.batch_size} on'
        f' {run.mesh.size} device(s)'
      )
    _make_shared(workdir)
    scalars_out = tensorboard.Scalars(workdir, first_step=step)
    try:
      step, finished = _loop(run, state, scalars_out, termination)
      if run.stream:
        console.say(run.stream.clock.summary())
      run.checkpoints.wait()
      if not finished:
        console.say(
          f'stopped by SIGTERM after step {step} of {run.num_steps}, saved;'
          f' to resume, run the same command with --workdir={workdir}'
        )
        return Outcome(finished=False, step=step, metrics={})
      results = _finish(run)
    finally:
      if run.stream:
        run.stream.close()
      run.checkpoints.close()
      scalars_out.close()
  evaluate_lib.write_metrics(workdir / METRICS_FILE, results)
  processes.wait_for_all('metrics written')
  console.say('\n' + tables.of_splits(results))
  return Outcome(finished=True, step=step, metrics=results)


def _known_metrics(workdir: pathlib.Path) -> str:
  """Returns what the first process finds in `metrics.json`; '' without it."""
  path = workdir / METRICS_FILE
  return processes.text_of_first(
    path.read_text('utf-8') if path.exists() else ''
  )


def _make_shared(workdir: pathlib.Path) -> None:
  """Makes the working folder, and checks that all processes see the same one.

  Raises:
    UserError: it lies on a disk of one host's own.
  """
  workdir.mkdir(parents=True, exist_ok=True)
  if jax.process_count() == 1:
    return
  token = workdir / f'.seen-by-all-{processes.text_of_first(uuid.uuid4().hex)}'
  if processes.is_first():
    token.touch()
  processes.wait_for_all('working folder made')
  # A mounted bucket may show a new file some seconds late.
  deadline = time.monotonic() + _SEEN_SECONDS
  while not token.exists() and time.monotonic() < deadline:
    time.sleep(0.1)
  unseen = processes.any_of(not token.exists())
  if processes.is_first():
    token.unlink()
  if unseen:
    raise errors.UserError(
      f'--workdir={workdir}: is not one folder for all'
      f' {jax.process_count()} processes; name one on a file system that they'
      ' share, such as a mounted bucket'
    )


def cross_validate(
  config: ml_collections.ConfigDict, workdir: str | os.PathLike[str]
) -> bool:
  """Trains and evaluates each fold in a folder of its own.

  Args:
    config: with `data.folds` set and `data.fold` below 0.
    workdir: gets `fold-1`, `fold-2`, ... and a `metrics.json` with the mean
      and standard error over the folds.

  Returns:
    Whether all folds are finished; False after a SIGTERM.
  """
  workdir = pathlib.Path(workdir).resolve()
  dataset = pipeline.load(config.data)
  folds = []
  for index in range(config.data.folds):
    fold_config = ml_collections.ConfigDict(config)
    fold_config.data.fold = index
    console.say(f'\n== fold {index + 1} of {config.data.folds}')
    outcome = train(fold_config, workdir / f'fold-{index + 1}', dataset=dataset)
    if not outcome.finished:
      return False
    folds.append(outcome.metrics['test'])
  table, summary = tables.of_folds(folds)
  evaluate_lib.write_metrics(
    workdir / METRICS_FILE, {'cross_validation': summary, 'folds': folds}
  )
  console.say(f'\n== cross-validation\n{table}')
  return True
