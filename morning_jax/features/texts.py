"""The text part of a preparation: words, topics and attributes."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import pathlib
import shutil
from typing import Any

import numpy as np

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import options as options_lib
from morning_jax.features.stages import runner as runner_lib
from morning_jax.features.stages import store
from morning_jax.features.steps import biographies as biographies_lib
from morning_jax.features.steps import topics as topics_lib
from morning_jax.features.steps import words as words_lib
from morning_jax.features.text import corpus
from morning_jax.features.text import vocabulary as vocabulary_lib
from morning_jax.features.topics import lda
from morning_jax.features.topics import selection as selection_lib
from morning_jax.features.topics import store as topic_store
from morning_jax.reporting import console


@dataclasses.dataclass(frozen=True)
class TextFeature:
  """The topics of a perspective.

  Attributes:
    values: float32 [accounts' profiles, T]; NaN where there is no known word.
    names: of the topics.
    model: folder of the topic model.
  """

  values: np.ndarray
  names: tuple[str, ...]
  model: pathlib.Path


def topics_of(
  documents: words_lib.Documents,
  perspective: str,
  options: options_lib.TopicOptions,
  runner: runner_lib.Runner,
  fitted: fitted_lib.Fitted | None,
  report: pathlib.Path,
) -> TextFeature | None:
  """Learns topics, or takes those learned before, and infers everybody's.

  Args:
    documents: of all accounts, done.
    perspective: 'content' or 'audience'.
    options: how topics are learned.
    runner: who does shards.
    fitted: what an earlier preparation learned, if it is to be taken.
    report: folder for what a person may look at: why so many topics.

  Returns:
    The topics; None where there is nothing to learn from, or nothing learned.

  Raises:
    UserError: the vocabulary is empty, or a number of topics is not possible.
  """
  if fitted is not None:
    if perspective not in fitted.topics:
      return None
    model_folder = fitted.topics[perspective]
    vocabulary = topic_store.load(model_folder).vocabulary
    learning: list[Any] = list(sorted(model_folder.iterdir()))
  else:
    counts = topics_lib.count_words(documents, perspective)
    if not counts.users:
      return None
    vocabulary = vocabulary_lib.build(counts, options.vocabulary)
    learning = [dataclasses.asdict(options), options.of(perspective)]
  key = files.digest(documents.key, perspective, vocabulary.words, *learning)
  place = documents.work / 'vocabularies' / f'{perspective}-{key[:24]}.npz'
  store.write(place, {'words': list(vocabulary.words)})
  encoded = topics_lib.Encoded(
    work=documents.work,
    key=key,
    shards=documents.shards,
    documents=documents,
    perspective=perspective,
    vocabulary=place,
  )
  runner_lib.complete(encoded, runner)
  if fitted is None:
    model_folder = documents.work / 'topics' / f'{perspective}-{key[:24]}'
    _learn(encoded, vocabulary, model_folder, options, report)
  model = topic_store.load(model_folder)
  inferred = topics_lib.Topics(
    work=documents.work,
    key=key,
    shards=documents.shards,
    encoded=encoded,
    model=model_folder,
  )
  runner_lib.complete(inferred, runner)
  return TextFeature(values_of(inferred), model.names(), model_folder)


def values_of(task: topics_lib.Topics) -> np.ndarray:
  """Puts the values of all shards of a task together."""
  parts = []
  for shard in range(task.shards):
    with task.open(shard) as stored:
      parts.append(stored['values'])
  return np.concatenate(parts)


def _learn(
  encoded: topics_lib.Encoded,
  vocabulary: vocabulary_lib.Vocabulary,
  folder: pathlib.Path,
  options: options_lib.TopicOptions,
  report: pathlib.Path,
) -> None:
  """Learns the topics of a perspective, unless they are stored already."""
  if folder.exists():
    try:
      topic_store.load(folder)
      return
    except topic_store.TopicsError:
      shutil.rmtree(folder)  # damaged
  source: corpus.Source = topics_lib.TrainingDocuments(encoded)
  num_topics = options.of(encoded.perspective)
  if num_topics is None:
    num_topics = _choose(
      source, vocabulary, encoded.perspective, options, report
    )
  with console.Progress(
    total=1, unit='documents', title=f'learning topics of {encoded.perspective}'
  ) as progress:
    told = 0

    def tell(done: int, total: int) -> None:
      nonlocal told
      progress.advance(done - told, left=total - done)
      told = done

    model = lda.fit(
      source, vocabulary, num_topics, options=options.lda, progress=tell
    )
  topic_store.save(folder, model)


def _choose(
  source: corpus.Source,
  vocabulary: vocabulary_lib.Vocabulary,
  perspective: str,
  options: options_lib.TopicOptions,
  report: pathlib.Path,
) -> int:
  """Chooses the number of topics; leaves a table, and a picture if it can."""
  with console.Progress(
    total=len(options.grid),
    unit='models',
    title=f'number of topics of {perspective}',
  ) as progress:
    chosen = selection_lib.choose(
      source,
      vocabulary,
      options=selection_lib.SelectionOptions(grid=options.grid),
      lda_options=options.lda,
      report=lambda candidate: progress.advance(1),
    )
  report.mkdir(parents=True, exist_ok=True)
  files.write_text(
    report / f'topics_of_{perspective}.txt', chosen.table() + '\n'
  )
  try:
    chosen.draw(report / f'topics_of_{perspective}.png')
  except errors.UserError as e:
    console.note(f'no picture of the numbers of topics: {e}')
  return chosen.num_topics


def nouns_of(
  biographies: Sequence[str],
  work: pathlib.Path,
  options: options_lib.Options,
  sizes: options_lib.Sizes,
  runner: runner_lib.Runner,
) -> list[list[str]]:
  """Returns the nouns of each account's biography."""
  key = files.digest(
    'biographies',
    list(biographies),
    dataclasses.asdict(options.text),
    sizes.profiles,
  )
  place = work / 'biographies' / f'{key[:24]}.npz'
  store.write(place, {'biographies': list(biographies)})
  task = biographies_lib.Nouns(
    work=work,
    key=key,
    shards=-(-len(biographies) // sizes.profiles),
    biographies=place,
    shard_size=sizes.profiles,
    options=options.text,
  )
  runner_lib.complete(task, runner)
  found: list[list[str]] = []
  for shard in range(task.shards):
    with task.open(shard) as stored:
      found.extend(stored['nouns'])
  return found
