"""How well the model ranked what it had never seen, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any

from morning_jax.checkpoint import workdir as workdir_lib

_LARGEST = 1 << 24
# Metric -> what it says; {} is its value, {brands} the number of brands.
_WORDS = {
  'recall@10': (
    'True partners in the first ten',
    'of everybody who had really worked with a brand, this share was among the'
    ' first ten that the model named',
    'share',
  ),
  'recall@50': (
    'True partners in the first fifty',
    'the same, among the first fifty',
    'share',
  ),
  'auc': (
    'Partner before stranger',
    'how often a true partner stood before somebody picked at random; 50 % is'
    ' guessing',
    'share',
  ),
  'cauc': (
    'Partner before stranger of the same field',
    'the same against somebody of the same category, which is harder',
    'share',
  ),
  'medr': (
    'Place of the first true partner',
    'for half of the brands the first true partner stood at this place or'
    ' better',
    'place',
  ),
}


def read(
  workdir: str | os.PathLike[str], *, step: int
) -> dict[str, dict[str, Any]]:
  """Reads the metrics of a working folder.

  Args:
    workdir: the folder that training wrote.
    step: of the model that they must be of.

  Returns:
    Split -> metrics; empty where there are none of that model.
  """
  path = pathlib.Path(workdir, workdir_lib.METRICS_FILE)
  try:
    if path.stat().st_size > _LARGEST:
      return {}
    found = json.loads(path.read_text('utf-8', 'replace'))
  except (OSError, ValueError, RecursionError):
    return {}
  if not isinstance(found, dict):
    return {}
  return {
    split: _finite(metrics)
    for split, metrics in found.items()
    if isinstance(metrics, dict) and metrics.get('step') == step
  }


def _finite(value: Any) -> Any:
  """Returns a value with None for numbers that JSON does not have."""
  if isinstance(value, dict):
    return {str(k): _finite(v) for k, v in value.items()}
  if isinstance(value, list):
    return [_finite(v) for v in value]
  if isinstance(value, float) and value - value != 0:
    return None
  return value


def in_words(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
  """Returns the metrics of a split that a person can read.

  Args:
    metrics: of a split.

  Returns:
    For each a name, its value and what it says.
  """
  told = []
  for key, (name, text, kind) in _WORDS.items():
    value = metrics.get(key)
    if isinstance(value, int | float):
      shown = f'{value:.0%}' if kind == 'share' else f'{value:,.0f}'
      told.append({'name': name, 'value': shown, 'text': text})
  return told
