"""Evaluates the checkpoints of a working folder."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import multihost
from morning_jax.data import preprocessing
from morning_jax.data import splits as splits_lib
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.evaluation import encode as encode_lib
from morning_jax.evaluation import evaluator
from morning_jax.evaluation import trained_model
from morning_jax.reporting import console


def choose_splits(
  dataset: accounts_lib.Dataset, wanted: tuple[str, ...] | None
) -> tuple[list[splits_lib.Split], list[str]]:
  """Chooses the splits to evaluate.

  Args:
    dataset: the data set.
    wanted: names of splits; None for `test`, or what there is instead.

  Returns:
    The splits, and notes that say which one is used in place of which.

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
  trained = trained_model.restore(workdir)
  if bundle is not None:
    dataset = bundle_lib.read_bundle(bundle)
  else:
    dataset = trained_model.own_data(trained)
  console.notes(dataset.notes)
  console.notes(preprocessing.check_fits(trained.spec, dataset))
  chosen, notes = choose_splits(dataset, wanted_splits)
  console.notes(notes)
  if scores_file is not None and len(chosen) != 1:
    raise errors.UserError('--scores takes one split; name it with --split')
  scorer = encode_lib.Scorer(
    trained.model,
    preprocessing.account_source(trained.spec, trained.fitted, dataset),
    trained.mesh,
    graph=preprocessing.graph_of(trained.fitted),
    batch_size=trained.config.evaluation.batch_size,
  )
  results = {}
  for split in chosen:
    evaluation = evaluator.evaluate_split(
      scorer,
      trained.params,
      dataset,
      split,
      step=trained.step,
      keep_scores=scores_file is not None,
    )
    results[split.name] = evaluation.metrics
    if scores_file is not None and multihost.is_first():
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
