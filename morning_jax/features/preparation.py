"""From a raw folder to the data set of a bundle, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import options as options_lib
from morning_jax.features import stage_runs
from morning_jax.features import texts
from morning_jax.features import training
from morning_jax.features.attributes import fitted as attributes_lib
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.stages import runner as runner_lib
from morning_jax.features.steps import pictures as pictures_lib
from morning_jax.features.steps import words as words_lib


@dataclasses.dataclass(frozen=True)
class Report:
  """What a person should see of a preparation, beside the bundle.

  Attributes:
    left_over: words of biographies that the is-a table lacks.
    unreadable: (perspective, post, picture, reason) of pictures.
    counts: what was counted, by name.
  """

  left_over: list[attributes_lib.LeftOver]
  unreadable: list[tuple[str, str, str, str]]
  counts: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A raw folder, prepared.

  Attributes:
    dataset: what the bundle holds; `notes` say what a person should know.
    fitted: what was learned, or taken.
    report: for people.
  """

  dataset: accounts_lib.Dataset
  fitted: fitted_lib.Fitted
  report: Report


def prepare(
  raw: folder_lib.RawFolder,
  options: options_lib.Options,
  *,
  work: pathlib.Path,
  runner: runner_lib.Runner,
  sizes: options_lib.Sizes,
  report: pathlib.Path,
  fitted: fitted_lib.Fitted | None = None,
) -> Prepared:
  """Prepares a raw folder.

  The result follows from the raw folder and the options: not from the runner,
  the sizes, or how often the work was interrupted.

  Args:
    raw: the folder, its tables checked.
    options: what to compute; where `fitted` is given, the choices that features
      depend on come from there.
    work: folder for stored results of shards; what is there is taken.
    runner: who does shards.
    sizes: how the work is cut up.
    report: folder for why so many topics were chosen, where they are.
    fitted: what an earlier preparation learned, to be taken instead of learning
      from these accounts.

  Returns:
    The data set, what was learned, and a report.

  Raises:
    UserError: something is wrong with the folder or the options.
    OSError: a result can't be stored.
  """
  if fitted is not None:
    options = dataclasses.replace(
      options,
      posts=fitted.posts,
      text=fitted.text,
      images=_images(options, fitted),
    )
  image_digest = _check(options, fitted)
  steps = stage_runs.StageRuns(raw, options, work, runner, sizes)
  notes = list(raw.notes)
  merged, sponsors, counts = steps.posts(notes)
  positives_Px2 = training.positives_of(raw, sponsors, notes)
  trains_A = training.training_rows(raw.accounts, positives_Px2)
  if fitted is None:
    training.check(trains_A, raw)
  audience = steps.audience(merged, trains_A, counts, notes)
  documents = steps.documents(merged, audience)
  features: dict[str, np.ndarray] = {}
  names: dict[str, tuple[str, ...]] = {}
  models: dict[str, pathlib.Path] = {}
  for perspective in words_lib.PERSPECTIVES:
    found = texts.topics_of(
      documents, perspective, options.topics, runner, fitted, report
    )
    if found is not None:
      features[f'{perspective}_text'] = found.values
      names[f'{perspective}_text'] = found.names
      models[perspective] = found.model
  attributes, words, left_over = steps.attributes(trains_A, fitted)
  unreadable: list[tuple[str, str, str, str]] = []
  if options.images is not None:
    for perspective in words_lib.PERSPECTIVES:
      values = steps.pictures(
        merged, audience, perspective, image_digest, counts, unreadable
      )
      features[f'{perspective}_image'] = values
      encoder = pictures_lib.encoder(options.images)
      names[f'{perspective}_image'] = encoder.class_names
  kept = {
    f: np.ascontiguousarray(features[f][raw.profiles.profile_A])
    for f in accounts_lib.FEATURES
    if f in features
  }
  kept = _present(kept, raw.accounts, notes)
  dataset = accounts_lib.Dataset(
    name=str(raw.path),
    accounts=raw.accounts,
    features=kept,
    positives_Px2=positives_Px2,
    attributes=attributes,
    feature_names={f: names[f] for f in kept},
    notes=tuple(notes),
  )
  return Prepared(
    dataset=dataset,
    fitted=fitted
    or fitted_lib.Fitted(
      posts=options.posts,
      text=options.text,
      images=options.images,
      image_digest=image_digest,
      topics=models,
      attributes=words,
    ),
    report=Report(left_over, unreadable, counts),
  )


def _images(options: options_lib.Options, fitted: fitted_lib.Fitted) -> Any:
  """Returns the earlier choices, with what this machine has of them."""
  if fitted.images is None or options.images is None:
    return None
  return dataclasses.replace(
    fitted.images,
    weights=options.images.weights,
    download=options.images.download,
    threads=options.images.threads,
  )


def _check(
  options: options_lib.Options, fitted: fitted_lib.Fitted | None
) -> str:
  """Checks before long work what else would fail after it.

  Returns:
    The digest of the image encoder; '' without one.
  """
  words_lib.tokenizer(options.text)
  if fitted is None:
    attributes_lib.check(options.attributes)
  if options.images is None:
    return ''
  digest = pictures_lib.encoder(options.images).digest
  if fitted is not None and digest != fitted.image_digest:
    raise fitted_lib.FittedError(
      f'image encoder {options.images.encoder} has other weights than those of'
      ' the earlier preparation, so its features would not be comparable'
    )
  return digest


def _present(
  features: Mapping[str, np.ndarray],
  accounts: accounts_lib.Accounts,
  notes: list[str],
) -> dict[str, np.ndarray]:
  """Leaves out features that nobody has, and notes how many lack the others."""
  kept = {}
  for feature, values_AxF in features.items():
    lacking = int(np.isnan(values_AxF).any(axis=1).sum())
    if lacking == len(accounts):
      notes.append(f'{feature}: no account has it; it is left out')
      continue
    kept[feature] = values_AxF
    if lacking:
      notes.append(
        f'{feature}: {lacking:,} of {len(accounts):,} accounts lack it'
      )
  return kept
