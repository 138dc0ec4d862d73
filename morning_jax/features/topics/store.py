"""A topic model as a folder: JSON and one array file, no pickle."""

from __future__ import annotations

import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import user_files
from morning_jax.features.text import vocabulary as vocabulary_lib
from morning_jax.features.topics import model as model_lib

VERSION = 1
_FORMAT = 'morning_jax topics'
_DESCRIPTION = 'topics.json'
_ARRAYS = 'topics.npz'
_LARGEST = 1 << 28  # bytes of the description, at most
_NUMBERS = ('document_prior', 'topic_prior', 'tolerance')
_COUNTS = ('document_steps', 'documents')


class TopicsError(errors.UserError):
  """A stored topic model that can't be used."""


def save(folder: str | os.PathLike[str], model: model_lib.TopicModel) -> None:
  """Writes a model; the folder appears complete or not at all.

  The same model gives the same bytes.

  Args:
    folder: to make; it may exist if it is empty.
    model: what to write.

  Raises:
    OSError: it can't be written.
  """
  with files.new_folder(folder) as draft:
    arrays = draft / _ARRAYS
    files.write_whole(
      arrays,
      lambda f: np.savez(f, allow_pickle=False, topics_TxW=model.topics_TxW),
    )
    description: dict[str, Any] = {
      'format': _FORMAT,
      'version': VERSION,
      **{name: getattr(model, name) for name in (*_NUMBERS, *_COUNTS)},
      'arrays': files.digest(arrays),
      'words': list(model.vocabulary.words),
    }
    description['checksum'] = files.checksum(description)
    files.write_json(draft / _DESCRIPTION, description)


def load(folder: str | os.PathLike[str]) -> model_lib.TopicModel:
  """Reads a model that `save` wrote.

  Args:
    folder: where it is.

  Returns:
    The model, equal to the one that was saved, bit by bit.

  Raises:
    TopicsError: it is missing, damaged or of another version.
  """
  path = pathlib.Path(folder) / _DESCRIPTION
  told = _description(path)
  words = told['words']
  topics = _topics(path.with_name(_ARRAYS), told['arrays'])
  if topics.shape[1] != len(words):
    raise TopicsError(
      errors.in_file(
        path, f'{len(words):,} words for topics over {topics.shape[1]:,}'
      )
    )
  return model_lib.TopicModel(
    vocabulary=vocabulary_lib.Vocabulary(tuple(words)),
    topics_TxW=topics,
    **{name: told[name] for name in (*_NUMBERS, *_COUNTS)},
  )


def _description(path: pathlib.Path) -> dict[str, Any]:
  with user_files.open_file(path, error=TopicsError) as f:
    try:
      told = json.loads(f.read(_LARGEST))
    except (OSError, ValueError, RecursionError) as e:
      raise TopicsError(
        errors.in_file(path, f'damaged: no JSON ({errors.quoted(e)})')
      ) from None
  if not isinstance(told, dict) or told.get('format') != _FORMAT:
    raise TopicsError(errors.in_file(path, 'describes no topic model'))
  version = told.get('version')
  if version != VERSION:
    raise TopicsError(
      errors.in_file(
        path,
        f'is of version {errors.quoted(version)}, this program reads'
        f' {VERSION}; fit the topics anew',
      )
    )
  checksum = told.pop('checksum', None)
  if checksum != files.checksum(told) or not _sound(told):
    raise TopicsError(
      errors.in_file(path, 'damaged: the checksum does not fit')
    )
  return told


def _sound(told: dict[str, Any]) -> bool:
  numbers = [told.get(name) for name in _NUMBERS]
  counts = [told.get(name) for name in _COUNTS]
  words = told.get('words')
  return (
    all(isinstance(x, float) and 0 < x < math.inf for x in numbers)
    and all(isinstance(x, int) and x > 0 for x in counts)
    and isinstance(told.get('arrays'), str)
    and isinstance(words, list)
    and all(isinstance(w, str) for w in words)
    and words == sorted(set(words))
  )


def _topics(path: pathlib.Path, digest: str) -> np.ndarray:
  with user_files.open_file(path, error=TopicsError) as f:
    if files.digest(path) != digest:
      raise TopicsError(
        errors.in_file(path, 'damaged: the checksum does not fit')
      )
    try:
      with np.load(f, allow_pickle=False) as arrays:
        topics: np.ndarray = arrays['topics_TxW']
    except Exception as e:
      # Archives of something else raise many types.
      raise TopicsError(
        errors.in_file(path, f'holds no topics ({errors.quoted(e)})')
      ) from None
  if (
    topics.dtype != np.float32
    or topics.ndim != 2
    or not ((topics > 0) & np.isfinite(topics)).all()
  ):
    raise TopicsError(errors.in_file(path, 'holds no topics'))
  return topics
