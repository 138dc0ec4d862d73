"""Ranks every candidate of a split for every brand and measures it.

Training's periodic evaluation and `launch.evaluate` run the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp
from jax.sharding import Mesh
import ml_collections
import numpy as np

from morning_jax import accounts as accounts_lib
from morning_jax import checkpoint
from morning_jax import errors
from morning_jax import losses
from morning_jax import metrics as metrics_lib
from morning_jax import processes
from morning_jax import sharding
from morning_jax.data import bundle as bundle_lib
from morning_jax.data import pipeline
from morning_jax.data import splits as splits_lib
from morning_jax.data import transforms
from morning_jax.graph import attribute_graph
from morning_jax.model import factory
from morning_jax.model import morning
from morning_jax.reporting import console

# What the attribute graph is called among what was fitted.
GRAPH = 'attribute_graph'

_SCORES_AT_A_TIME = 1 << 24  # of the score matrix, held on device


def make_encode(model: morning.Morning) -> Callable[..., Any]:
  """Compiles the encoding of accounts of one role, once for all tables.

  Args:
    model: the model.

  Returns:
    A jitted function of (variables, accounts, graph, role), which returns
    perspective -> [accounts, D].
  """

  def encode(
    variables: Mapping[str, Any],
    accounts: accounts_lib.AccountTable,
    graph: Any,
    role: str,
  ) -> Any:
    return model.apply(
      variables, accounts, role=role, graph=graph, method='encode'
    )

  return jax.jit(encode, static_argnames='role')


class Scorer:
  """Encodes each account once and scores brands against candidates.

  Memory is bounded: accounts are encoded `batch_size` at a time, and scores
  come in blocks of brands.
  """

  def __init__(
    self,
    model: morning.Morning,
    table: accounts_lib.Rows,
    mesh: Mesh,
    *,
    batch_size: int,
    graph: Any = None,
    encode: Callable[..., Any] | None = None,
  ):
    """Prepares to score.

    Args:
      model: the model.
      table: features of all accounts, on the host.
      mesh: where to compute.
      batch_size: accounts encoded at a time.
      graph: the attribute graph, where the model takes it.
      encode: what `make_encode` returned for the model, where it is at hand.
    """
    self._table = table
    self._graph = sharding.put_large(graph, mesh)
    self._mesh = mesh
    axis = mesh.shape[sharding.DATA]
    self._batch_size = -(-max(batch_size, 1) // axis) * axis
    self._encode = encode or make_encode(model)

  def encode(
    self, params: Any, rows: np.ndarray, *, role: str
  ) -> dict[str, jax.Array]:
    """Encodes accounts of one role.

    Args:
      params: the model's parameters.
      rows: account rows.
      role: 'brand' or 'influencer'.

    Returns:
      Perspective -> [rows, D].
    """
    blocks = []
    for start in range(0, len(rows), self._batch_size):
      block = rows[start : start + self._batch_size]
      # The last block is padded, so that one program serves all.
      padded = np.resize(block, self._batch_size)
      batch = sharding.put_rows(self._table[padded], self._mesh)
      encoded = self._encode({'params': params}, batch, self._graph, role)
      blocks.append({k: v[: len(block)] for k, v in encoded.items()})
    return jax.tree.map(lambda *x: jnp.concatenate(x), *blocks)


def _category_codes(
  accounts: accounts_lib.Accounts, split: splits_lib.Split
) -> tuple[np.ndarray, np.ndarray]:
  """Returns category codes of the brands and of where candidates were found."""
  brand = accounts.categories[split.brand_row_B]
  if accounts.found_under is None:
    found = np.full(len(split.candidate_row_M), '')
  else:
    found = accounts.found_under[split.candidate_row_M]
  names = np.unique(np.concatenate([brand, found]))
  brand_B = np.where(brand == '', -2, np.searchsorted(names, brand))
  found_M = np.where(found == '', -1, np.searchsorted(names, found))
  return brand_B.astype(np.int32), found_M.astype(np.int32)


class _Positives:
  """The positives of a split's brands, as compressed rows."""

  def __init__(self, split: splits_lib.Split):
    order = np.argsort(split.brand_P, kind='stable')
    self._candidate_P = split.candidate_P[order].astype(np.int32)
    self.count_B = np.bincount(split.brand_P, minlength=len(split.brand_row_B))
    self._start_B = np.cumsum(self.count_B) - self.count_B

  def matrix(self, brands: np.ndarray) -> np.ndarray:
    """Returns [brands, P] candidate indices; -1 where a brand has fewer.

    P is a power of two, so that few programs serve all blocks.
    """
    count = self.count_B[brands][:, None]
    place = np.arange(1 << (int(count.max()) - 1).bit_length())
    last = len(self._candidate_P) - 1
    index = np.minimum(self._start_B[brands][:, None] + place, last)
    return np.where(place < count, self._candidate_P[index], -1)


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What an evaluation of one split found.

  Attributes:
    metrics: the object that `metrics.json` holds for the split.
    scores: perspective -> float32 [B, M], where they were asked for.
  """

  metrics: dict[str, Any]
  scores: dict[str, np.ndarray] | None = None


def rank_split(
  brand: Mapping[str, jax.Array],
  candidate: Mapping[str, jax.Array],
  accounts: accounts_lib.Accounts,
  split: splits_lib.Split,
  *,
  keep_scores: bool = False,
) -> Evaluation:
  """Ranks a split's candidates by inner products (SPEC section 8).

  Args:
    brand: perspective -> [B, D] representations.
    candidate: perspective -> [M, D] representations.
    accounts: who the accounts are.
    split: what to rank.
    keep_scores: whether to return the scores, all of them.

  Returns:
    Metrics over all brands and per category.
  """
  category_B, found_M = _category_codes(accounts, split)
  positives = _Positives(split)
  num_brands, num_candidates = len(split.brand_row_B), len(found_M)
  # The number of positives differs wildly between brands: grouping brands of
  # like numbers keeps the padding small.
  order = np.argsort(positives.count_B, kind='stable')
  step = max(1, min(num_brands, _SCORES_AT_A_TIME // num_candidates))
  blocks, kept = [], []
  for start in range(0, num_brands, step):
    chosen = order[start : start + step]
    scores = morning.scores_of_all(
      {k: v[chosen] for k, v in brand.items()}, candidate
    )
    total_BxM = losses.join(scores)
    blocks.append(
      metrics_lib.brand_statistics(
        total_BxM,
        positives.matrix(chosen),
        brand_category_B=category_B[chosen],
        found_under_M=found_M,
      )
    )
    if keep_scores:
      kept.append(processes.fetch({**scores, 'scores': total_BxM}))
  back = np.argsort(order)
  statistics = metrics_lib.concatenate(blocks).take(back)
  names = accounts.categories[split.brand_row_B]
  sizes = {'num_candidates': num_candidates}
  return Evaluation(
    metrics={
      **metrics_lib.summarize(statistics),
      'num_brands': num_brands,
      **sizes,
      'per_category': {
        str(name): {
          **metrics_lib.summarize(statistics.take(names == name)),
          'num_brands': int((names == name).sum()),
          **sizes,
        }
        for name in np.unique(names[names != ''])
      },
    },
    scores={k: np.concatenate([b[k] for b in kept])[back] for k in kept[0]}
    if keep_scores
    else None,
  )


def statistics_of_scores(
  score_BxM: np.ndarray,
  accounts: accounts_lib.Accounts,
  split: splits_lib.Split,
) -> metrics_lib.BrandStatistics:
  """Ranks a split's candidates by scores that anything may have computed.

  Args:
    score_BxM: float32 scores of the split's brands and candidates.
    accounts: who the accounts are.
    split: what is ranked, with its positives.

  Returns:
    What each brand adds to the metrics.
  """
  category_B, found_M = _category_codes(accounts, split)
  return metrics_lib.brand_statistics(
    jnp.asarray(score_BxM),
    _Positives(split).matrix(np.arange(len(split.brand_row_B))),
    brand_category_B=category_B,
    found_under_M=found_M,
  )


def evaluate_split(
  scorer: Scorer,
  params: Any,
  dataset: accounts_lib.Dataset,
  split: splits_lib.Split,
  *,
  step: int,
  keep_scores: bool = False,
) -> Evaluation:
  """Evaluates parameters on a split.

  Args:
    scorer: encodes the data set's accounts.
    params: the parameters.
    dataset: the data set.
    split: one of its splits.
    step: the training step that the parameters stand at, for the record.
    keep_scores: whether to return the scores.

  Returns:
    The metrics; in a synthetic world with those of the planted preference
    under `planted`, which is the ceiling.
  """
  evaluation = rank_split(
    scorer.encode(params, split.brand_row_B, role='brand'),
    scorer.encode(params, split.candidate_row_M, role='influencer'),
    dataset.accounts,
    split,
    keep_scores=keep_scores,
  )
  evaluation.metrics['step'] = step
  if dataset.planted is not None:
    planted = rank_split(
      {'planted': jnp.asarray(dataset.planted[split.brand_row_B])},
      {'planted': jnp.asarray(dataset.planted[split.candidate_row_M])},
      dataset.accounts,
      split,
    ).metrics
    evaluation.metrics['planted'] = {k: planted[k] for k in metrics_lib.METRICS}
  return evaluation


def choose_splits(
  dataset: accounts_lib.Dataset, wanted: tuple[str, ...] | None
) -> tuple[list[splits_lib.Split], list[str]]:
  """Chooses the splits to evaluate.

  Args:
    dataset: the data set.
    wanted: names of splits; None for `test`, or what there is instead.

  Returns:
    The splits, and notes that say what stands in for what.

  Raises:
    UserError: a split that was asked for is unknown or has no brands.
  """
  if wanted is not None:
    chosen = []
    for name in wanted:
      if name not in accounts_lib.SPLITS:
        raise errors.UserError(
          f'--split={name}: splits are {", ".join(accounts_lib.SPLITS)}'
        )
      split = splits_lib.select(dataset, name)
      if split is None:
        raise errors.UserError(
          f'--split={name}: {dataset.name} has no {name} brand with a positive'
        )
      chosen.append(split)
    return chosen, []
  for name in ('test', 'valid', 'train'):
    split = splits_lib.select(dataset, name)
    if split is None:
      continue
    notes = []
    if name != 'test':
      notes.append(
        f'{dataset.name} has no test brands; evaluated on its {name} brands'
      )
    if name == 'train':
      notes.append(
        'the model may have been trained on these brands: this says nothing'
        ' about others'
      )
    return [split], notes
  raise errors.UserError(
    f'{dataset.name}: no brand of any split has a positive; nothing to evaluate'
  )


def _check_fit(
  stored: Mapping[str, int],
  perspectives: factory.Perspectives,
  dataset: accounts_lib.Dataset,
) -> None:
  have = pipeline.available(dataset)
  wrong = []
  for perspective, modalities in perspectives.items():
    for feature in modalities.values():
      if feature not in have:
        wrong.append(f'it has no {feature}, which {perspective} needs')
      elif feature == accounts_lib.ATTRIBUTE_LIST:
        continue  # matched by name, whatever their number
      elif have[feature] != stored[feature]:
        wrong.append(
          f'its {feature} has {have[feature]} features, the model was trained'
          f' on {stored[feature]}'
        )
  if wrong:
    raise errors.UserError(
      f'{dataset.name} does not fit the checkpoint: ' + '; '.join(wrong)
    )


@dataclasses.dataclass(frozen=True)
class Trained:
  """A model as a checkpoint has it.

  Attributes:
    config: the configuration it was trained with.
    model: the module.
    perspectives: what takes part.
    feature_sizes: feature -> size, of what takes part.
    params: the parameters.
    kinds: feature -> kind of transform.
    fitted: feature -> what its transform was fitted to; the attribute graph.
    attribute_names: names of the graph's nodes, in order.
    step: the step that they stand at.
    mesh: the mesh that they lie on.
    data_fingerprint: of the data that it was trained on.
  """

  config: ml_collections.ConfigDict
  model: morning.Morning
  perspectives: factory.Perspectives
  feature_sizes: dict[str, int]
  params: Any
  kinds: dict[str, str]
  fitted: dict[str, transforms.Fitted]
  attribute_names: list[str]
  step: int
  mesh: Mesh
  data_fingerprint: str


def graph_of(fitted: Mapping[str, Any]) -> Any:
  """Returns the attribute graph among what was fitted, or None."""
  if GRAPH not in fitted:
    return None
  return attribute_graph.from_arrays(fitted[GRAPH])


def restore(workdir: str | os.PathLike[str]) -> Trained:
  """Restores the best checkpoint of a working folder, or the newest.

  Args:
    workdir: the folder that training wrote.

  Returns:
    The model, its parameters on this machine's devices.

  Raises:
    UserError: no usable checkpoint.
  """
  mesh = sharding.make_mesh()
  parts: dict[str, Any] = {}

  def targets(meta: Mapping[str, Any]) -> dict[str, Any]:
    config = ml_collections.ConfigDict(meta['config'])
    try:
      model = factory.build(
        config.model, meta['perspectives'], meta['features']
      )
    except (KeyError, AttributeError) as e:
      raise checkpoint.CheckpointError(
        f'{workdir}: was trained by another version of this software; its'
        f' configuration lacks {" ".join(str(e).split())}'
      ) from None
    table = factory.example_table(meta['perspectives'], meta['features'])
    fitted = checkpoint.stored_shapes(meta, 'fitted', sharding.replicated(mesh))
    boxed = jax.eval_shape(
      model.init, jax.random.key(0), table, table, graph=graph_of(fitted)
    )
    shardings = sharding.state_shardings(boxed, mesh)
    kinds = factory.transform_kinds(config.model, meta['perspectives'])
    parts.update(config=config, model=model, kinds=kinds)
    return {
      'params': jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        nn.unbox(boxed),
        shardings,
      )['params'],
      **({'fitted': fitted} if fitted else {}),
    }

  if not pathlib.Path(workdir).is_dir():
    raise errors.UserError(f'--workdir={workdir}: no such folder')
  checkpoints = checkpoint.Checkpoints(workdir, read_only=True)
  restored = checkpoints.restore(targets, prefer_best=True)
  return Trained(
    **parts,
    perspectives=restored.meta['perspectives'],
    feature_sizes=restored.meta['features'],
    params=restored.items['params'],
    fitted=jax.device_get(restored.items.get('fitted', {})),
    attribute_names=restored.meta['attribute_names'],
    step=restored.step,
    mesh=mesh,
    data_fingerprint=restored.meta['data_fingerprint'],
  )


def node_vectors(
  workdir: str | os.PathLike[str],
) -> tuple[list[str], np.ndarray]:
  """Encodes the attribute graph with a working folder's best checkpoint.

  Args:
    workdir: the folder that training wrote.

  Returns:
    The attributes' names, and their vectors float32 [V, D].

  Raises:
    UserError: no usable checkpoint, or its model takes no attribute lists.
  """
  trained = restore(workdir)
  if GRAPH not in trained.fitted:
    raise errors.UserError(
      f'--workdir={workdir}: its model has no attribute graph; train with'
      ' --config.model.attribute.encoder=gcn'
    )
  vectors = trained.model.apply(
    {'params': trained.params},
    graph_of(trained.fitted),
    method='node_vectors',
  )
  names = trained.attribute_names
  return names, np.asarray(vectors, np.float32)[: len(names)]


def evaluate(
  workdir: str | os.PathLike[str],
  *,
  bundle: str | None = None,
  wanted_splits: tuple[str, ...] | None = None,
  scores_file: str | None = None,
) -> dict[str, dict[str, Any]]:
  """Evaluates a working folder's best checkpoint.

  Args:
    workdir: the folder that training wrote.
    bundle: another data set than the one trained on.
    wanted_splits: names of splits; None for `test`, or what there is instead.
    scores_file: an `.npz` file to write the scores to; takes one split.

  Returns:
    Split -> metrics.

  Raises:
    UserError: the checkpoint or the data can't be used, or don't fit.
  """
  trained = restore(workdir)
  if bundle is not None:
    dataset = bundle_lib.read_bundle(bundle)
  else:
    dataset = pipeline.load(trained.config.data)
    if pipeline.fingerprint(dataset) != trained.data_fingerprint:
      raise errors.UserError(
        f'{dataset.name}: the data has changed since the model was trained;'
        ' name it with --bundle to evaluate on it as it is now'
      )
    dataset = pipeline.assign_splits(dataset, trained.config)
  console.notes(dataset.notes)
  _check_fit(trained.feature_sizes, trained.perspectives, dataset)
  if accounts_lib.ATTRIBUTE_LIST in trained.feature_sizes:
    console.notes(pipeline.unknown_attributes(dataset, trained.attribute_names))
  chosen, notes = choose_splits(dataset, wanted_splits)
  console.notes(notes)
  if scores_file is not None and len(chosen) != 1:
    raise errors.UserError('--scores takes one split; name it with --split')
  scorer = Scorer(
    trained.model,
    pipeline.account_table(
      dataset,
      trained.kinds,
      trained.fitted,
      attribute_names=trained.attribute_names,
    ),
    trained.mesh,
    graph=graph_of(trained.fitted),
    batch_size=trained.config.evaluation.batch_size,
  )
  results = {}
  for split in chosen:
    evaluation = evaluate_split(
      scorer,
      trained.params,
      dataset,
      split,
      step=trained.step,
      keep_scores=scores_file is not None,
    )
    results[split.name] = evaluation.metrics
    if scores_file is not None and processes.is_first():
      assert evaluation.scores is not None
      ids = dataset.accounts.ids
      with open(scores_file, 'wb') as f:
        np.savez(
          f,
          brand_ids=ids[split.brand_row_B],
          influencer_ids=ids[split.candidate_row_M],
          **evaluation.scores,  # type: ignore[arg-type]
        )
  return results


def write_metrics(
  path: str | os.PathLike[str], results: Mapping[str, Any]
) -> None:
  """Writes metrics as JSON; the file appears whole or not at all.

  Of several processes the first writes.
  """
  if not processes.is_first():
    return
  path = pathlib.Path(path)
  draft = path.with_name(path.name + '.draft')
  draft.write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')
  draft.replace(path)
